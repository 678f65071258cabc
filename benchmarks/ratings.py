"""Rating prediction on MovieLens beside Surprise's SVD: RMSE, MAE and time of the fit, in the same folds.

The folds are random, and u1–u5 where they are given. Surprise (`pip install scikit-surprise`) is wanted for
this comparison alone; without it, Vitrine is measured by itself.
"""

import importlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.learning.dataset import Dataset, InteractionLog, ItemTable
from app.learning.evaluation.harness import evaluate_ratings
from app.learning.evaluation.metrics import mae, rmse
from app.learning.ratings.base import Ratings, dataset_ratings, log_ratings
from app.learning.ratings.biased_factorization import (
    FAST,
    BiasedFactorizationConfig,
    fit_biased_factorization,
)
from app.readers.base import Record
from app.readers.movielens import MovieLensReader
from benchmarks.machine import goal, say, show
from benchmarks.options import Options

GOAL = 0.89
TIME_GOAL = 0.5
FOLDS = 5
_DEFAULT, _FAST, _SVD = "Vitrine", "Vitrine, fast recipe", "Surprise SVD"

_Fold = tuple[str, NDArray[np.bool_]]
"""A name and which ratings are held out."""
_Judged = tuple[float, float, float, float | None]
"""RMSE, MAE, seconds of the fit, share of errors within one predicted standard deviation."""
_Contender = Callable[[Dataset, Ratings, int], _Judged]
"""Fits to a data set and predicts held-out ratings, given a seed."""


@dataclass
class _Figures:
    """What one contender reached, fold by fold."""

    judged: list[_Judged] = field(default_factory=list)

    @property
    def rmse(self) -> float:
        return mean(fold[0] for fold in self.judged)

    @property
    def seconds(self) -> float:
        return mean(fold[2] for fold in self.judged)

    def line(self, beside: float | None) -> tuple[str, ...]:
        errors = [fold[0] for fold in self.judged]
        within = [fold[3] for fold in self.judged if fold[3] is not None]
        return (
            f"{self.rmse:.4f}",
            f"{min(errors):.4f}–{max(errors):.4f}",
            f"{mean(fold[1] for fold in self.judged):.4f}",
            f"{mean(within):.3f}" if within else "",
            f"{self.seconds:.2f}",
            f"{self.seconds / beside:.2f}" if beside else "",
        )


def run(options: Options) -> None:
    """Fit on four folds, predict the fifth; no model knows a rating, or that there is one, of the fifth."""
    if options.movielens is None:
        say("Skipped: give --movielens DIR.")
        return
    dataset, places = _load(options.movielens)
    contenders = {_DEFAULT: _vitrine(BiasedFactorizationConfig()), _FAST: _vitrine(FAST)}
    if (surprise := _surprise()) is not None:
        contenders[_SVD] = _svd(surprise)
    say(
        f"{len(dataset.log):,} ratings, {dataset.n_users:,} users, {dataset.n_items:,} items. "
        f"Recipe: {BiasedFactorizationConfig().model_dump()}; fast: {FAST.model_dump()}"
    )
    overall = {name: _Figures() for name in contenders}
    worst = 0.0
    lines = []
    for seed in options.seeds:
        found = _judge(dataset, list(_random_folds(len(dataset.log), seed)), seed, contenders)
        lines += _lines(f"{FOLDS} random folds, seed {seed}", found)
        worst = max(worst, found[_DEFAULT].rmse)
        for name, figures in found.items():
            overall[name].judged += figures.judged
    if given := list(_given_folds(options.movielens, places)):
        found = _judge(dataset, given, options.seeds[0], contenders)
        lines += _lines(", ".join(name for name, _ in given), found)
    show(
        "Means over the folds; ratio: time of the fit beside Surprise's SVD",
        ("split", "RMSE", "range", "MAE", "within std", "s a fit", "ratio"),
        lines,
    )
    goal(f"RMSE ≤ {GOAL} over {FOLDS} random folds", worst <= GOAL)
    if _SVD in overall:
        fast, svd = overall[_FAST], overall[_SVD]
        say(f"fast recipe beside Surprise's SVD: {fast.seconds / svd.seconds:.2f} × the time of the fit")
        goal(
            f"the fast recipe errs no more than Surprise's SVD in ≤ {TIME_GOAL} × its time",
            fast.rmse <= svd.rmse and fast.seconds <= TIME_GOAL * svd.seconds,
        )


def _judge(
    dataset: Dataset, folds: list[_Fold], seed: int, contenders: dict[str, _Contender]
) -> dict[str, _Figures]:
    found = {name: _Figures() for name in contenders}
    shape = (dataset.n_subjects, dataset.n_items)
    for _, held in folds:
        train = dataset.with_log(dataset.log.where(~held), dataset.as_of)
        asked = log_ratings(dataset.log.where(held), dataset.event_names, shape)
        for name, contender in contenders.items():
            found[name].judged.append(contender(train, asked, seed))
    return found


def _lines(split: str, found: dict[str, _Figures]) -> list[tuple[str, ...]]:
    beside = found[_SVD].seconds if _SVD in found else None
    return [(f"{split}: {name}", *figures.line(beside)) for name, figures in found.items()]


def _vitrine(config: BiasedFactorizationConfig) -> _Contender:
    def contend(train: Dataset, asked: Ratings, seed: int) -> _Judged:
        started = time.perf_counter()
        model = fit_biased_factorization(config, train, np.random.default_rng(seed))
        seconds = time.perf_counter() - started
        judged = evaluate_ratings(model, dataset_ratings(train), asked)
        return judged.rmse, judged.mae, seconds, judged.within_std

    return contend


def _surprise() -> ModuleType | None:
    try:
        return importlib.import_module("surprise")
    except ImportError:
        say("Without the comparison: Surprise is not installed (pip install scikit-surprise).")
        return None


def _svd(surprise: Any) -> _Contender:
    """Surprise's SVD with its own defaults; its reading of the ratings does not count as fit."""

    def contend(train: Dataset, asked: Ratings, seed: int) -> _Judged:
        known = dataset_ratings(train)
        reader = surprise.Reader(rating_scale=(float(known.value.min()), float(known.value.max())))
        rows = zip(known.row.tolist(), known.item.tolist(), known.value.tolist(), strict=True)
        raw = [(user, item, rating, None) for user, item, rating in rows]
        trainset = surprise.Dataset(reader).construct_trainset(raw)
        model = surprise.SVD(random_state=seed)
        started = time.perf_counter()
        model.fit(trainset)
        seconds = time.perf_counter() - started
        pairs = zip(asked.row.tolist(), asked.item.tolist(), strict=True)
        predicted = np.array([model.predict(user, item).est for user, item in pairs], dtype=np.float32)
        return rmse(predicted, asked.value), mae(predicted, asked.value), seconds, None

    return contend


def _random_folds(n: int, seed: int) -> Iterator[_Fold]:
    order = np.random.default_rng(seed).permutation(n)
    for number in range(FOLDS):
        held = np.zeros(n, dtype=np.bool_)
        held[order[number::FOLDS]] = True
        yield f"{number + 1}", held


def _load(directory: Path) -> tuple[Dataset, dict[tuple[str, str], int]]:
    """The ratings in order of time and the films' genres, and the place of each rating by user and item."""
    records = [row for chunk in MovieLensReader(directory).read() for row in chunk if isinstance(row, Record)]
    films = {row.fields["item_id"]: row.fields for row in records if row.kind == "item"}
    fields = [row.fields for row in records if row.kind == "interaction"]
    fields.sort(key=lambda row: str(row["occurred_at"]))
    users, user = np.unique([row["user_id"] for row in fields], return_inverse=True)
    items, item = np.unique([row["item_id"] for row in fields], return_inverse=True)
    n, count = len(fields), len(items)
    moments = np.array([str(row["occurred_at"]).rstrip("Z") for row in fields], dtype="datetime64[ms]")
    dataset = Dataset(
        user_keys=np.arange(1, len(users) + 1, dtype=np.int64),
        n_subjects=len(users),
        item_keys=np.arange(1, count + 1, dtype=np.int64),
        items=ItemTable(
            [""] * count,
            [""] * count,
            [list(films.get(str(name), {}).get("categories", [])) for name in items],
            [""] * count,
            [[]] * count,
            np.ones(count, dtype=np.float32),
        ),
        event_names=("rate",),
        log=InteractionLog(
            subject=user.astype(np.int32),
            item=item.astype(np.int32),
            event=np.zeros(n, dtype=np.int16),
            value=np.array([row["value"] for row in fields], dtype=np.float32),
            quantity=np.ones(n, dtype=np.float32),
            price=np.full(n, np.nan, dtype=np.float32),
            occurred_at=moments.astype(np.int64),
        ),
        as_of=int(moments[-1].astype(np.int64)),
    )
    return dataset, {(row["user_id"], row["item_id"]): place for place, row in enumerate(fields)}


def _given_folds(directory: Path, places: dict[tuple[str, str], int]) -> Iterator[_Fold]:
    """The folds that ML-100K comes with: each uN.test is a fifth of the ratings."""
    for number in range(1, FOLDS + 1):
        file = directory / f"u{number}.test"
        if file.is_file():
            held = np.zeros(len(places), dtype=np.bool_)
            for line in file.read_text().splitlines():
                user, item, *_ = line.split("\t")
                held[places[user, item]] = True
            yield f"u{number}", held
