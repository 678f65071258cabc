"""The search for each family's hyperparameters, within a budget of time."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from app.learning.dataset import Dataset
from app.learning.recommenders.base import Config, Family, NotEnoughData, Recommender
from app.training.progress import Progress

WORTH_REFINING = 0.3
"""Share of the best family's quality below which a family keeps its defaults."""
NO_TIME = "no time was left in the budget of the search"
LEAST_SECONDS = 30.0
"""For the first fit of all families, however small the budget."""
QUICK_SECONDS = 0.2
"""Up to which a trial of a family is quick."""
LEAST_GAIN = 1e-4
"""Of quality, for other hyperparameters to be taken."""

Judge = Callable[[Recommender], float]


@dataclass(frozen=True)
class Found:
    """The best of one family so far."""

    config: Config
    model: Recommender
    quality: float
    seconds: float
    """Time of one fit and its judgement."""


@dataclass(frozen=True)
class SearchResult:
    """What the search found."""

    found: dict[str, Found]
    left_out: dict[str, str]
    """Why a family could not be fitted."""
    trials: int
    complete: bool
    """False where the budget ended the search: another machine may then find something else."""


def search(
    families: Mapping[str, Family],
    dataset: Dataset,
    judge: Judge,
    seed: int,
    budget_seconds: float,
    warm: Mapping[str, Mapping[str, Any]],
    required: Collection[str],
    progress: Progress,
) -> SearchResult:
    """Fit every family with what won the last time (or its defaults), then refine the best ones.

    A family that is not required is left out where the budget (or half a minute, if that is more) is used up
    before its turn; the cheap ones come first.

    Refining is a coordinate search over each family's `space`, quick and strong families first. Every fit
    draws from a stream of its own, so the order of the trials changes no result.
    """
    started = time.monotonic()
    found: dict[str, Found] = {}
    left_out: dict[str, str] = {}
    trials = 0

    def attempt(family: Family, config: Config) -> Found:
        nonlocal trials
        trials += 1
        began = time.monotonic()
        model = family.fit(config, dataset, np.random.default_rng(seed))
        return Found(config, model, judge(model), time.monotonic() - began)

    for number, (name, family) in enumerate(families.items()):
        used = time.monotonic() - started
        if name not in required and used > max(budget_seconds, LEAST_SECONDS):
            left_out[name] = NO_TIME
            continue
        try:
            found[name] = attempt(family, _start(family, warm.get(name)))
        except NotEnoughData as reason:
            left_out[name] = str(reason)
        progress.done(0.4 * (number + 1) / len(families))
    if not found:
        return SearchResult(found, left_out, trials, True)
    complete = NO_TIME not in left_out.values()
    best = max(entry.quality for entry in found.values())
    # The quick ones cost next to nothing; of the others the strongest first.
    order = sorted(found, key=lambda name: (found[name].seconds > QUICK_SECONDS, -found[name].quality))
    for name in order:
        if found[name].quality < WORTH_REFINING * best:
            continue
        for variation in _variations(families[name]):
            used = time.monotonic() - started
            if used + found[name].seconds > budget_seconds:
                complete = False
                break
            config = found[name].config.model_copy(update=variation)
            if config == found[name].config:
                continue
            tried = attempt(families[name], config)
            if tried.quality > found[name].quality + LEAST_GAIN:
                found[name] = tried
            progress.done(0.4 + 0.6 * min(1.0, used / budget_seconds))
    progress.done(1.0)
    return SearchResult(found, left_out, trials, complete)


def _start(family: Family, warm: Mapping[str, Any] | None) -> Config:
    """The recipe that won before, if it still is one; else the defaults."""
    if warm is not None:
        try:
            return family.config.model_validate(dict(warm))
        except ValidationError:
            pass
    return family.config()


def _variations(family: Family) -> Iterator[dict[str, Any]]:
    for name, values in family.space.items():
        for value in values:
            yield {name: value}
