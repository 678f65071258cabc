"""The peers: the library implicit, tuned as by an expert, and what needs no library."""

import importlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_array, csr_matrix
from threadpoolctl import threadpool_limits

from app.learning.dataset import DAY_MS, Dataset
from benchmarks.tasks import SEED, Protocol, Score, Task, judge, liked, pairs

Settings = dict[str, Any]
_K = (20, 50, 100, 200, 500, 1000)
_WEIGHTINGS = {
    "rate": ("liked", "binary", "amounts"),
    "view_item": ("binary", "amounts", "log amounts"),
    "purchase": ("binary", "events", "log events", "log amounts"),
}
"""By event: an amount is a rating or a quantity."""


@dataclass(frozen=True)
class Peer:
    """One algorithm of implicit and the values that its random search draws from."""

    name: str
    module: str
    type: str
    space: Mapping[str, tuple[Any, ...]]
    by_factors: bool
    """Whether it scores by factors of users and items; else by similarities of items."""

    def fit(self, matrix: csr_matrix, settings: Settings) -> Score:
        """Fit to preferences `(n_users, n_items)`, and score the same users."""
        recipe = {name: value for name, value in settings.items() if name != "weighting"}
        if self.by_factors:
            recipe["random_state"] = SEED
        model = getattr(library(self.module), self.type)(**recipe)
        with as_implicit_likes():
            model.fit(matrix, show_progress=False)
        if not self.by_factors:
            similarity = csr_array(model.similarity)
            known = csr_array(matrix)
            return lambda rows: np.asarray((known[rows] @ similarity).toarray(), dtype=np.float32)
        users, items = np.asarray(model.user_factors), np.asarray(model.item_factors)
        return lambda rows: np.asarray(users[rows] @ items.T, dtype=np.float32)


IMPLICIT = (
    Peer(
        "implicit ALS",
        "implicit.cpu.als",
        "AlternatingLeastSquares",
        {
            "factors": (16, 32, 64, 128, 256),
            "regularization": (0.01, 0.1, 1.0, 10.0, 30.0),
            "alpha": (1.0, 3.0, 10.0, 40.0),
            "iterations": (10, 15, 30),
        },
        True,
    ),
    Peer(
        "implicit BPR",
        "implicit.cpu.bpr",
        "BayesianPersonalizedRanking",
        {
            "factors": (31, 63, 127),
            "learning_rate": (0.005, 0.01, 0.03, 0.1),
            "regularization": (0.001, 0.01, 0.03, 0.1),
            "iterations": (20, 50, 100),
        },
        True,
    ),
    Peer(
        "implicit BM25",
        "implicit.nearest_neighbours",
        "BM25Recommender",
        {"K": _K, "K1": (0.1, 0.5, 1.2, 5.0, 100.0), "B": (0.0, 0.2, 0.5, 0.8, 1.0)},
        False,
    ),
    Peer("implicit cosine", "implicit.nearest_neighbours", "CosineRecommender", {"K": _K}, False),
    Peer("implicit TF-IDF", "implicit.nearest_neighbours", "TFIDFRecommender", {"K": _K}, False),
)


def library(module: str) -> Any:
    """A module that only benchmarks need; ends the program with what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise SystemExit(f"This measurement needs {package}: pip install {package} ({error})") from None


@contextmanager
def as_implicit_likes() -> Iterator[None]:
    """One thread for BLAS, as it asks, since it has its own; no warning of formats that it chose itself."""
    with threadpool_limits(1, "blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def tuned(peer: Peer, task: Task, protocol: Protocol, trials: int) -> dict[str, tuple[Settings, Score]]:
    """By question: the settings that do best on a split of the training data alone, fitted to all of it.

    The split is made by the same protocol, so that tuning asks what the task will ask. Settings are drawn
    at random without repetition.
    """
    inner = protocol(task.train)
    space = {"weighting": _WEIGHTINGS[task.train.event_names[0]], **peer.space}
    grid = [dict(zip(space, values, strict=True)) for values in product(*space.values())]
    order = np.random.default_rng(SEED).permutation(len(grid))[:trials]
    best: dict[str, tuple[float, Settings]] = {}
    for settings in (grid[place] for place in order):
        score = peer.fit(weighted(inner.train, settings["weighting"]), settings)
        for asked in inner.questions:
            quality = float(judge(score, inner, asked)["ndcg"].mean())
            if asked.name not in best or quality > best[asked.name][0]:
                best[asked.name] = (quality, settings)
    return {
        name: (settings, peer.fit(weighted(task.train, settings["weighting"]), settings))
        for name, (_, settings) in best.items()
    }


def weighted(dataset: Dataset, how: str) -> csr_matrix:
    """What users did as one number for each item, `(n_users, n_items)` float32."""
    log = dataset.log
    if how == "liked":
        log = log.where(liked(log))
    amount = np.ones(len(log), dtype=np.float32)
    if how.endswith("amounts"):
        amount = np.where(np.isfinite(log.value), log.value, log.quantity)
    shape = (dataset.n_users, dataset.n_items)
    matrix = csr_matrix(coo_matrix((amount, (log.subject, log.item)), shape=shape), dtype=np.float32)
    if how in ("liked", "binary"):
        matrix.data[:] = 1.0
    if how.startswith("log"):
        matrix.data = np.log1p(matrix.data)
    return matrix


def popularity(train: Dataset, days: float | None = None) -> NDArray[np.float32]:
    """How many users each item has, of the last `days` or of all times, `(n_items,)`."""
    log = train.log
    if days is not None:
        log = log.where(log.occurred_at >= train.as_of - days * DAY_MS)
    return np.asarray(pairs(train, log).sum(axis=0), dtype=np.float32)


def simple(task: Task) -> dict[str, Callable[[], Score]]:
    """What needs no library, by name."""
    train = task.train
    baselines: dict[str, Callable[[], Score]] = {"popularity": lambda: _same(popularity(train))}
    times = train.log.occurred_at
    if times[0] < times[-1]:
        baselines["popularity, 30 days"] = lambda: _same(popularity(train, 30.0))
    if not all(asked.exclude_seen for asked in task.questions):
        baselines["buy again by count"] = lambda: _buy_again(train)
    return baselines


def _same(scores: NDArray[np.float32]) -> Score:
    return lambda rows: np.tile(scores, (len(rows), 1))


def _buy_again(train: Dataset) -> Score:
    """By the days on which the customer bought an item; equal ones, and all others, by what sells now."""
    log = train.log
    pair = log.subject.astype(np.int64) * train.n_items + log.item
    _, first = np.unique(np.stack([pair, log.occurred_at // DAY_MS]), axis=1, return_index=True)
    counts = csr_array(weighted(train.with_log(log.where(first.astype(np.int64)), train.as_of), "events"))
    popular = popularity(train, 30.0)
    last = popular / (popular.max() + 1)
    return lambda rows: np.asarray(counts[rows].toarray() + last, dtype=np.float32)
