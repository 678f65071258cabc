"""Each family alone: quality and time to fit, with its defaults and with what the search found."""

import time
from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.learning.dataset import Histories
from app.learning.preferences import dataset_histories
from app.learning.recommenders.base import NotEnoughData, Recommender, Scores
from app.learning.recommenders.registry import FAMILIES, family_of
from app.learning.version import ModelVersion
from benchmarks import datasets
from benchmarks.machine import say, show
from benchmarks.options import Options
from benchmarks.tasks import SEED, Protocol, Task, choose, judge, last_fifth, next_days, random_fifth, served

_PROTOCOLS: dict[str, Protocol] = {
    "MovieLens": random_fifth,
    "Last.fm": random_fifth,
    "Online Retail": next_days,
}


def run(options: Options) -> None:
    """Each data set that is given; MovieLens by time besides."""
    if not any((options.movielens, options.lastfm, options.online_retail)):
        say("Skipped: give --movielens DIR, --lastfm DIR or --online-retail FILE.")
    for name, dataset in datasets.given(options):
        _families(name, _PROTOCOLS[name](dataset), options.search_seconds)
        if name == "MovieLens":
            _families(f"{name}, by time", last_fifth(dataset), options.search_seconds)


def _families(name: str, task: Task, search_seconds: float) -> None:
    started = time.perf_counter()
    learned = choose(task.train, search_seconds)
    lines = [
        ("all, blended", "automatic", f"{time.perf_counter() - started:.1f}", *_ndcg(task, learned.model))
    ]
    plain = {name: family.config().model_dump() for name, family in FAMILIES.items()}
    recipes = [(name, "defaults", config) for name, config in plain.items()]
    recipes += [(n, "found", config) for n, config in learned.trial.configs.items() if config != plain.get(n)]
    alone = []
    for model, how, config in recipes:
        family = family_of(model)
        began = time.perf_counter()
        try:
            fitted = family.fit(family.config.model_validate(config), task.train, np.random.default_rng(SEED))
        except NotEnoughData:
            continue
        seconds = time.perf_counter() - began
        alone.append((model, how, f"{seconds:.2f}", *_ndcg(task, fitted)))
    lines += sorted(alone, key=lambda line: line[3], reverse=True)
    asked = [f"nDCG@10 {question.name}".strip() for question in task.questions]
    show(f"{name}: {len(task.train.log):,} interactions", ("family", "recipe", "s", *asked), lines)


def _ndcg(task: Task, model: Recommender | ModelVersion) -> list[str]:
    """For each question, as it is served or by the family alone."""
    histories = dataset_histories(task.train)
    found = []
    for asked in task.questions:
        if isinstance(model, ModelVersion):
            score = served(model, task.train, asked.exclude_seen)
        else:
            score = partial(_alone, model, histories)
        found.append(f"{judge(score, task, asked)['ndcg'].mean():.4f}")
    return found


def _alone(model: Recommender, histories: Histories, rows: NDArray[np.int64]) -> Scores:
    return model.score(histories.take(rows))
