"""Single algorithms in a race with the best library for each, round by round in one process."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import lapack
from scipy.sparse import csr_array, csr_matrix
from threadpoolctl import threadpool_limits

from app.learning.dataset import Dataset
from app.learning.preferences import dataset_histories
from app.learning.recommenders.base import Recommender
from app.learning.recommenders.registry import FAMILIES
from benchmarks import datasets
from benchmarks.machine import say, show, spread
from benchmarks.options import Options
from benchmarks.peers import as_implicit_likes, library
from benchmarks.simulated import simulate
from benchmarks.tasks import SEED, Score, judge, random_fifth

_FACTORS = 64
_ROUNDS = 15
"""Of alternating least squares, on both sides."""
_NEIGHBOURS = 100
_SIMULATED = (5_000, 8_000, 400_000)
"""Users, items and interactions."""
_MEMORY_MB = 2_000
"""Enough for all of these items at once."""
_EASE_ITEMS = 10_000
"""Of more items the inverse takes minutes, on either side."""


def run(options: Options) -> None:
    """The public sets whose places are given, and a simulated shop."""
    sets = dict(datasets.given(options))
    sets["simulated"] = simulate(*_SIMULATED, np.random.default_rng(SEED))
    say(
        f"{options.threads} threads on either side; {options.rounds} rounds, the sides in turn; "
        "processor time of the fastest, which other work on the machine disturbs least."
    )
    with threadpool_limits(options.threads):
        for name, dataset in sets.items():
            say(f"\n{name}: {dataset.n_users:,} users, {dataset.n_items:,} items, {len(dataset.log):,} rows")
            if dataset.n_items <= _EASE_ITEMS:
                _ease(dataset, options.rounds)
            _als(dataset, options.rounds, options.threads)
            _neighbours(dataset, options.rounds, options.threads)


def _ease(dataset: Dataset, rounds: int) -> None:
    matrix = _matrix(dataset)

    def bare() -> None:
        gram = np.asarray((matrix.T @ matrix).toarray(order="F"), dtype=np.float32)
        gram[np.diag_indices_from(gram)] += np.float32(gram.diagonal().mean())
        factor, _ = lapack.spotrf(gram, lower=1, overwrite_a=1, clean=0)
        lapack.spotri(factor, lower=1, overwrite_c=1)

    _race(
        "EASE, whole fit",
        lambda: _fit("ease", dataset, memory_mb=_MEMORY_MB),
        "Gram and LAPACK",
        bare,
        rounds,
    )


def _als(dataset: Dataset, rounds: int, threads: int) -> None:
    task = random_fifth(dataset)
    histories = dataset_histories(task.train)
    matrix = csr_matrix(histories.matrix)
    recipe = {"factors": _FACTORS, "epochs": _ROUNDS}
    # A weight of what was not chosen, beside 1 of what was, is one over implicit's alpha.
    unobserved = FAMILIES["als"].config.model_validate(recipe).model_dump()["unobserved_weight"]
    made: dict[str, Score] = {}

    def ours() -> None:
        model = _fit("als", task.train, **recipe)
        made["ours"] = lambda rows: model.score(histories.take(rows))

    def theirs() -> None:
        model = library("implicit.cpu.als").AlternatingLeastSquares(
            factors=_FACTORS,
            iterations=_ROUNDS,
            alpha=1 / unobserved,
            num_threads=threads,
            random_state=SEED,
        )
        with as_implicit_likes():
            model.fit(matrix, show_progress=False)
        users, items = model.user_factors, model.item_factors
        made["theirs"] = lambda rows: np.asarray(users[rows] @ items.T, dtype=np.float32)

    _race(f"ALS, {_FACTORS} factors, {_ROUNDS} rounds", ours, "implicit ALS", theirs, rounds)
    quality = {side: judge(score, task, task.questions[0])["ndcg"].mean() for side, score in made.items()}
    say(
        f"nDCG@10 on a random fifth of each user's, with the same weights and else the defaults: "
        f"{quality['ours']:.4f} / {quality['theirs']:.4f} = {quality['ours'] / quality['theirs']:.3f}"
    )


def _neighbours(dataset: Dataset, rounds: int, threads: int) -> None:
    matrix = _matrix(dataset)
    counts = csr_matrix(matrix)

    def ours() -> None:
        _fit("item_neighbours", dataset, neighbours=_NEIGHBOURS)

    def theirs() -> None:
        cosine = library("implicit.nearest_neighbours").CosineRecommender(_NEIGHBOURS, threads)
        with as_implicit_likes():
            cosine.fit(counts, show_progress=False)

    def product() -> None:
        norms = np.sqrt(np.bincount(matrix.indices, weights=matrix.data**2, minlength=matrix.shape[1]))
        unit = csr_matrix(matrix)
        unit.data = (matrix.data / norms[matrix.indices]).astype(np.float32)
        # The item itself is among its neighbours here.
        library("sparse_dot_topn").sp_matmul_topn(
            unit.T.tocsr(), unit, top_n=_NEIGHBOURS + 1, n_threads=threads
        )

    _race(f"item neighbours, {_NEIGHBOURS}", ours, "implicit cosine", theirs, rounds)
    _race(f"item neighbours, {_NEIGHBOURS}", ours, "sparse_dot_topn", product, rounds)


def _matrix(dataset: Dataset) -> csr_array:
    """The preferences that Vitrine's families learn from."""
    matrix = dataset_histories(dataset).matrix
    return csr_array(
        (matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)), matrix.shape
    )


def _fit(name: str, dataset: Dataset, **recipe: Any) -> Recommender:
    family = FAMILIES[name]
    return family.fit(family.config.model_validate(recipe), dataset, np.random.default_rng(SEED))


def _race(
    ours: str, mine: Callable[[], object], peer: str, theirs: Callable[[], object], rounds: int
) -> None:
    """Both once to warm up, then in turn; the ratio is that of the fastest, in processor time."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for side, work in enumerate((mine, theirs)):
            started = time.process_time()
            work()
            if number:
                seconds[side].append(time.process_time() - started)
    show(
        f"{ours} / {peer}: {min(seconds[0]) / min(seconds[1]):.2f} of its time",
        ("", "processor seconds, median (range)"),
        [(f"Vitrine {ours}", spread(seconds[0], 3)), (peer, spread(seconds[1], 3))],
    )
