"""The search for each family's hyperparameters, within a budget of time."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from app.learning.dataset import Dataset
from app.learning.recommenders.base import Config, Family, NotEnoughData, Recommender
from app.learning.recommenders.registry import APART
from app.training.progress import Progress

WORTH_REFINING = 0.3
"""Share of the best family's quality below which a family keeps its defaults."""
NO_TIME = "no time was left in the budget of the search"
LEAST_SECONDS = 30.0
"""For the first fit of all families, however small the budget."""
QUICK_SECONDS = 0.2
"""Up to which a trial of a family is quick."""
LEAST_GAIN = 0.02
"""Share of the quality that other hyperparameters must gain; for less, those that were there first stay."""

LEAST_ERRORS, FEW_USERS = 0.5, 15.0
"""Standard errors that the gain must have over n users, `LEAST_ERRORS + FEW_USERS / n`: of many trials
the luckiest is not the best, and of few users even less."""

EVERYBODY, IDLE = "everybody", "idle"
"""The audiences of a trial; models for the first bear the name of their family alone."""

Judge = Callable[[Recommender], tuple[NDArray[np.float64], ...]]
"""Quality for each user of each audience, in their order."""


@dataclass(frozen=True)
class Found:
    """The best of one family so far."""

    config: Config
    model: Recommender
    each: NDArray[np.float64]
    """Quality for each user of the audience."""
    seconds: float
    """Time of one fit and its judgement."""

    @property
    def quality(self) -> float:
        """Mean over the users."""
        return float(self.each.mean())

    def is_better(self, other: NDArray[np.float64]) -> bool:
        """Whether another quality, by user, is better by what matters and is not likely to be luck."""
        gain = other - self.each
        error = gain.std() / np.sqrt(len(gain))
        likely = (LEAST_ERRORS + FEW_USERS / len(gain)) * error
        return bool(gain.mean() > max(LEAST_GAIN * self.quality, likely))


@dataclass(frozen=True)
class SearchResult:
    """What the search found."""

    found: dict[str, Found]
    """By family, for the first audience; by `family@audience` where another came to other hyperparameters.

    Those may be the ones that were there first: what little the first audience's would gain is no reason."""
    left_out: dict[str, str]
    """Why a family could not be fitted."""
    trials: int
    complete: bool
    """False where the budget ended the search: another machine may then find something else."""


def search(
    families: Mapping[str, Family],
    dataset: Dataset,
    judge: Judge,
    audiences: Sequence[str],
    seed: int,
    budget_seconds: float,
    warm: Mapping[str, Mapping[str, Any]],
    required: Collection[str],
    progress: Progress,
    memory_mb: int | None = None,
) -> SearchResult:
    """Fit every family with what won the last time (or its defaults), then refine the best ones.

    A family that is not required is left out where the budget (or half a minute, if that is more) is used up
    before its turn; the cheap ones come first.

    Refining is a coordinate search over each family's `space`, quick and strong families first, for each of
    the `audiences` in turn within an equal part of the time; what was tried for one counts for all. Every
    fit draws from a stream of its own, so the order of the trials changes no result. `memory_mb` bounds the
    families that can be bounded.
    """
    started = time.monotonic()
    best: list[dict[str, Found]] = [{} for _ in audiences]
    tried: set[tuple[str, Config]] = set()
    left_out: dict[str, str] = {}
    complete = True

    def attempt(name: str, config: Config) -> None:
        tried.add((name, config))
        began = time.monotonic()
        model = families[name].fit(config, dataset, np.random.default_rng(seed))
        qualities = judge(model)
        seconds = time.monotonic() - began
        for of_audience, each in zip(best, qualities, strict=True):
            if name not in of_audience or of_audience[name].is_better(each):
                of_audience[name] = Found(config, model, each, seconds)

    for number, (name, family) in enumerate(families.items()):
        used = time.monotonic() - started
        if name not in required and used > max(budget_seconds, LEAST_SECONDS):
            left_out[name] = NO_TIME
            continue
        # What won before may ask for more data than there are now.
        for config in dict.fromkeys(
            (_start(family, warm.get(name), memory_mb), _start(family, None, memory_mb))
        ):
            try:
                attempt(name, config)
                left_out.pop(name, None)
                break
            except NotEnoughData as reason:
                left_out[name] = str(reason)
        progress.done(0.4 * (number + 1) / len(families))
    if not best[0]:
        return SearchResult({}, left_out, len(tried), True)
    for place, (audience, found) in enumerate(zip(audiences, best, strict=True)):
        until = budget_seconds * (place + 1) / len(audiences)
        for name, config in _planned(families, audience, found, warm, memory_mb):
            used = time.monotonic() - started
            if used + found[name].seconds > until:
                complete = False
            elif (name, config) not in tried:
                # Too little data for these hyperparameters is no reason to do without the family.
                with suppress(NotEnoughData):
                    attempt(name, config)
            progress.done(0.4 + 0.6 * min(1.0, used / max(budget_seconds, 1e-9)))
    progress.done(1.0)
    result = dict(best[0])
    for audience, found in zip(audiences[1:], best[1:], strict=True):
        for name, entry in found.items():
            if entry.config != best[0][name].config:
                result[f"{name}{APART}{audience}"] = entry
    return SearchResult(result, left_out, len(tried), complete and NO_TIME not in left_out.values())


def suited(models: Mapping[str, Recommender], audience: str) -> dict[str, str]:
    """By family the name of the model that has an audience's own hyperparameters, where it has some."""
    own = {name: f"{name}{APART}{audience}" for name in models if APART not in name}
    return {name: apart if apart in models else name for name, apart in own.items()}


def _planned(
    families: Mapping[str, Family],
    audience: str,
    found: Mapping[str, Found],
    warm: Mapping[str, Mapping[str, Any]],
    memory_mb: int | None,
) -> Iterator[tuple[str, Config]]:
    """What to try for an audience, each from the best of its family so far."""
    strongest = max(entry.quality for entry in found.values())
    # The quick ones cost next to nothing; of the others the strongest first.
    order = sorted(found, key=lambda name: (found[name].seconds > QUICK_SECONDS, -found[name].quality))
    for name in order:
        if found[name].quality < WORTH_REFINING * strongest:
            continue
        before = warm.get(f"{name}{APART}{audience}")
        if before is not None:
            yield name, _start(families[name], before, memory_mb)
        for variation in _variations(families[name]):
            yield name, found[name].config.model_copy(update=variation)


def _start(family: Family, warm: Mapping[str, Any] | None, memory_mb: int | None) -> Config:
    """The recipe that won before, if it still is one; else the defaults; within the memory in any case."""
    bound = {"memory_mb": memory_mb} if memory_mb and "memory_mb" in family.config.model_fields else {}
    if warm is not None:
        try:
            return family.config.model_validate({**warm, **bound})
        except ValidationError:
            pass
    return family.config.model_validate(bound)


def _variations(family: Family) -> Iterator[dict[str, Any]]:
    for name, values in family.space.items():
        for value in values:
            yield {name: value}
