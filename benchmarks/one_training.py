"""`python -m benchmarks.one_training ORDER`: learn from one simulated shop, write `made.json` beside.

A process of its own, so that its peak memory is that of this training.
"""

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from app.learning.dataset import Dataset, Histories
from app.learning.evaluation.splits import time_split
from app.learning.preferences import dataset_histories
from app.learning.recommenders.base import Scores
from app.learning.recommenders.registry import FAMILIES
from benchmarks.peers import popularity
from benchmarks.simulated import simulate
from benchmarks.tasks import SEED, Score, Task, choose, describe, judge, pairs, question, serve

_USERS = 2_000
"""Left out of the training and asked; fewer in a small shop."""
_SHARE = 0.2
"""Of their interactions, the last, for the items that they are asked for."""


def main() -> None:
    order = orjson.loads(sys.argv[1])
    users, items, interactions = order["sizes"]
    train, known = _without_some(simulate(users, items, interactions, np.random.default_rng(SEED)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    score, what = _learn(train, order)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    made = {"seconds": seconds, "before": before, "peak": peak, "what": what, **_judge(score, train, known)}
    Path("made.json").write_bytes(orjson.dumps(made))


def _without_some(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """The data to learn from, and that of the users who are left out of it."""
    users = np.random.default_rng(SEED).permutation(dataset.n_users)[: min(_USERS, dataset.n_users // 10)]
    left_out = np.zeros(dataset.n_users, dtype=np.bool_)
    left_out[users] = True
    theirs = left_out[dataset.log.subject]
    known = dataset.with_log(dataset.log.where(theirs), dataset.as_of)
    return dataset.with_log(dataset.log.where(~theirs), dataset.as_of), known


def _learn(train: Dataset, order: dict[str, Any]) -> tuple[Callable[[Histories], Scores], str]:
    """The scores of what was learned, and what it is in words."""
    if order["family"]:
        family = FAMILIES[order["family"]]
        config = family.config.model_validate(order["recipe"])
        return family.fit(config, train, np.random.default_rng(SEED)).score, ""
    learned = choose(train, order["search_seconds"])
    search = "complete" if learned.trial.evaluation["search"]["complete"] else "cut off"
    version = learned.model
    return lambda known: serve(
        version, known, exclude_seen=True
    ), f"{describe(version.blends.new)} ({search})"


def _judge(score: Callable[[Histories], Scores], train: Dataset, known: Dataset) -> dict[str, float]:
    split = time_split(known, _SHARE)
    seen = pairs(known, split.train.log)
    wanted = pairs(known, split.held_out)
    asked = question("", wanted - wanted.multiply(seen), seen, exclude_seen=True)
    task = Task(split.train, (asked,), seen, np.bincount(train.log.item, minlength=train.n_items) > 0)
    histories, popular = dataset_histories(split.train), popularity(train)
    rivals: dict[str, Score] = {
        "ndcg": lambda rows: score(histories.take(rows)),
        "popularity": lambda rows: np.tile(popular, (len(rows), 1)),
    }
    return {name: float(judge(rival, task, asked)["ndcg"].mean()) for name, rival in rivals.items()}


if __name__ == "__main__":
    main()
