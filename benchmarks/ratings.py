"""Rating prediction on MovieLens: RMSE and MAE over random folds, and on u1–u5 where they are given."""

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import numpy as np
from numpy.typing import NDArray

from app.learning.dataset import Dataset, InteractionLog, ItemTable
from app.learning.evaluation.harness import evaluate_ratings
from app.learning.ratings.base import dataset_ratings, log_ratings
from app.learning.ratings.biased_factorization import BiasedFactorizationConfig, fit_biased_factorization
from app.readers.base import Record
from app.readers.movielens import MovieLensReader
from benchmarks.machine import goal, say, show
from benchmarks.options import Options

GOAL = 0.93
FOLDS = 5

_Fold = tuple[str, NDArray[np.bool_]]
"""A name and which ratings are held out."""


def run(options: Options) -> None:
    """Fit on four folds, predict the fifth; the model knows nothing but the ratings of the four."""
    if options.movielens is None:
        say("Skipped: give --movielens DIR.")
        return
    dataset, pairs = _load(options.movielens)
    say(
        f"{len(dataset.log):,} ratings, {dataset.n_users:,} users, {dataset.n_items:,} items. "
        f"Recipe: {BiasedFactorizationConfig().model_dump()}"
    )
    lines, overall = [], []
    for seed in options.seeds:
        order = np.random.default_rng(seed).permutation(len(dataset.log))
        folds = []
        for number in range(FOLDS):
            held = np.zeros(len(order), dtype=np.bool_)
            held[order[number::FOLDS]] = True
            folds.append((f"{number + 1}", held))
        rmse, mae, seconds = _judge(dataset, folds, seed)
        overall.append(mean(rmse))
        lines.append((f"{FOLDS} random folds, seed {seed}", *_figures(rmse, mae, seconds)))
    if given := list(_given_folds(options.movielens, pairs)):
        rmse, mae, seconds = _judge(dataset, given, options.seeds[0])
        lines.append((", ".join(name for name, _ in given), *_figures(rmse, mae, seconds)))
    show("Means over the folds", ("split", "RMSE", "range", "MAE", "s a fold"), lines)
    goal(f"RMSE ≤ {GOAL} over {FOLDS} random folds", max(overall) <= GOAL)


def _judge(dataset: Dataset, folds: list[_Fold], seed: int) -> tuple[list[float], list[float], list[float]]:
    rmse, mae, seconds = [], [], []
    shape = (dataset.n_subjects, dataset.n_items)
    for _, held in folds:
        train = dataset.with_log(dataset.log.where(~held), dataset.as_of)
        started = time.perf_counter()
        model = fit_biased_factorization(BiasedFactorizationConfig(), train, np.random.default_rng(seed))
        judged = evaluate_ratings(
            model, dataset_ratings(train), log_ratings(dataset.log.where(held), dataset.event_names, shape)
        )
        seconds.append(time.perf_counter() - started)
        rmse.append(judged.rmse)
        mae.append(judged.mae)
    return rmse, mae, seconds


def _figures(rmse: list[float], mae: list[float], seconds: list[float]) -> tuple[str, str, str, str]:
    return (
        f"{mean(rmse):.4f}",
        f"{min(rmse):.4f}–{max(rmse):.4f}",
        f"{mean(mae):.4f}",
        f"{mean(seconds):.2f}",
    )


def _load(directory: Path) -> tuple[Dataset, dict[tuple[str, str], int]]:
    """The ratings in order of time, and the place of each by user and item."""
    fields = [
        row.fields
        for chunk in MovieLensReader(directory).read()
        for row in chunk
        if isinstance(row, Record) and row.kind == "interaction"
    ]
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
            [[]] * count,
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
