"""The trial that precedes a version: fitted on the past, judged on what came after.

The families learn from one part of the interactions, their hyperparameters found by a search. Of the users
who went on, some choose hyperparameters and blends, the others judge them, beside popularity and
beside the blend that is served now.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from app.learning.dataset import Dataset, Histories, InteractionLog
from app.learning.evaluation.background import background
from app.learning.evaluation.harness import evaluate_ratings, evaluate_top_n
from app.learning.evaluation.splits import Split, choose_split
from app.learning.preferences import dataset_histories
from app.learning.ranking.blend import Blends
from app.learning.ratings.base import dataset_ratings, log_ratings
from app.learning.ratings.biased_factorization import BiasedFactorizationConfig
from app.learning.recommenders.base import NotEnoughData, Recommender
from app.learning.recommenders.registry import FAMILIES
from app.training.blends import (
    COLD_FACTORS,
    choose_blends,
    choose_cold_factor,
    default_blend,
    default_similar,
    with_circle,
)
from app.training.fitting import fit_ratings
from app.training.holdout import Asked, hold_out
from app.training.judging import LIST_LENGTH, Audience, judge
from app.training.newcomers import leave_out
from app.training.progress import Progress
from app.training.sampling import sample_subjects
from app.training.search import EVERYBODY, IDLE, SearchResult, search

log = structlog.get_logger(__name__)

ALWAYS = ("popularity", "item_neighbours", "user_neighbours", "content")
"""Families that calls other than recommendations ask, whatever the blends use."""
VALIDATION_USERS = 1_000
SEARCH_USERS = 400
"""Of the validation users, those on whom the search judges."""
CHOOSING_SHARE = 0.6
"""Of the users asked about: on these hyperparameters and blends are chosen, on the others they are judged."""
TEST_USERS = 5_000
MOST_SCORES = 50_000_000
"""Users times items: of a large catalogue fewer users are asked, for each has a score for every item."""
FEWEST_USERS = 300
LEAST_USERS = 10
"""Users needed on each side to choose and to judge."""
REPEATS_MATTER = 0.15
"""Share of what users go on to buy that they had bought before, from which lists may repeat it."""
MOST_INTERACTIONS = 1_500_000
"""On which a trial is made; of a larger shop, a sample of the users."""


@dataclass(frozen=True)
class Trial:
    """What the trial found."""

    blends: Blends
    configs: dict[str, dict[str, Any]]
    """The recipe of each family that could be fitted."""
    cold_factor: float
    """How far items without a history are trusted, see `ColdItems`."""
    evaluation: dict[str, Any]
    rejected: str | None


def run_trial(
    dataset: Dataset,
    rating_config: BiasedFactorizationConfig,
    active: Mapping[str, Any] | None,
    search_seconds: float,
    rng: np.random.Generator,
    progress: Progress,
    memory_mb: int | None = None,
) -> Trial:
    """Choose hyperparameters and blends, and judge them.

    `active` is the content of the version that is served: its hyperparameters are where the search begins,
    its blend is a rival. Raises NotEnoughData where no family can be fitted.
    """
    sampled = sample_subjects(dataset, MOST_INTERACTIONS, rng)
    whole = choose_split(sampled, rng)
    out = leave_out(whole, rng)
    split = out.split
    events, kept = (len(one.train.log) + len(one.held_out) for one in (whole, split))
    left_out = events - kept
    progress.done(0.05)
    repeats = _repeat_share(split)
    may_repeat = repeats >= REPEATS_MATTER
    most = max(FEWEST_USERS, MOST_SCORES // split.train.n_items)
    held = hold_out(split, not may_repeat, 2 * min(VALIDATION_USERS, most), rng)
    split = held.split
    histories = dataset_histories(split.histories_from)
    validation, test = _halves(held.back, most, rng)
    idle, idle_test = (None, None) if held.idle is None else _halves(held.idle, most, rng)
    enough = min(len(validation.users), len(test.users)) >= LEAST_USERS
    searchers, n_back = _searchers(validation, idle, rng)

    def quality(model: Recommender) -> tuple[NDArray[np.float64], ...]:
        judged = evaluate_top_n(
            model.score, histories, searchers.users, searchers.wanted, LIST_LENGTH, not may_repeat
        )
        each = judged.per_user["ndcg"]
        return (each,) if idle is None else (each, each[n_back:])

    found = search(
        FAMILIES,
        split.train,
        quality if enough else lambda _model: (np.zeros(1),),
        (EVERYBODY,) if idle is None or not enough else (EVERYBODY, IDLE),
        seed=int(rng.integers(2**31)),
        budget_seconds=search_seconds if enough else 0.0,
        warm=(active or {}).get("families", {}),
        required=ALWAYS,
        progress=progress.part("search", 0.05, 0.6),
        memory_mb=memory_mb,
    )
    models = {name: entry.model for name, entry in found.found.items()}
    if not models:
        raise NotEnoughData("; ".join(f"{name}: {why}" for name, why in found.left_out.items()))
    if enough:
        everybody = _audience(histories, validation.with_others(idle, equally=True))
        blends = choose_blends(
            models,
            _audience(histories, validation),
            everybody,
            _audience(histories, validation.with_others(idle)),
            out,
            None if idle is None else _audience(histories, idle),
            _crossed(histories, validation, idle, rng),
            held.idle_after,
            may_repeat,
            rng,
            progress.part("evaluate", 0.6, 0.8),
        )
        cold_factor = choose_cold_factor(models, blends, everybody, split.train)
    else:
        cold_factor = COLD_FACTORS[1]
        blends = Blends.single(default_blend(models), may_repeat)
        blends = blends.with_blends(
            {"social": with_circle(models, blends.cold), "similar": default_similar(models)}
        )
    evaluation = _protocol(
        split, left_out, len(validation.users), len(test.users), may_repeat, repeats, found
    )
    rejected = None
    if enough:
        verdict = judge(
            models,
            _audience(histories, test.with_others(idle_test)),
            blends,
            _served(active),
            rng,
            progress.part("evaluate", 0.8, 0.95),
            background(
                histories if split.told is None else dataset_histories(split.train),
                split.train.items,
                models,
                rng,
            ),
        )
        evaluation["top_n"], blends, rejected = verdict.figures, verdict.blends, verdict.rejected
    evaluation["ratings"] = _judge_ratings(split, rating_config, rng)
    progress.part("gate", 0.95, 1.0).done(1.0)
    configs = {name: entry.config.model_dump() for name, entry in found.found.items()}
    return Trial(blends, configs, cold_factor, evaluation, rejected)


def _halves(asked: Asked, most: int, rng: np.random.Generator) -> tuple[Asked, Asked]:
    """Users who choose and others who judge, at most so many of either."""
    order = rng.permutation(len(asked.users))
    half = int(CHOOSING_SHARE * len(order))
    choosing, judging = order[:half][: min(VALIDATION_USERS, most)], order[half:][: min(TEST_USERS, most)]
    return asked.take(np.sort(choosing)), asked.take(np.sort(judging))


def _searchers(back: Asked, idle: Asked | None, rng: np.random.Generator) -> tuple[Asked, int]:
    """Those on whom the search judges, and how many of them, the first, came back: half, if there are."""
    least = SEARCH_USERS // 2 if idle is not None else SEARCH_USERS
    some = back.take(np.sort(rng.permutation(len(back.users))[:least]))
    if idle is None:
        return some, len(some.users)
    others = np.sort(rng.permutation(len(idle.users))[: SEARCH_USERS - len(some.users)])
    return some.with_others(idle.take(others)), len(some.users)


def _crossed(
    histories: Histories, back: Asked, idle: Asked | None, rng: np.random.Generator
) -> list[tuple[Audience, Audience]]:
    """Twice half of those who came back with all idle users, and the other half."""
    if idle is None:
        return []
    order = rng.permutation(len(back.users))
    halves = [back.take(np.sort(half)) for half in np.array_split(order, 2)]
    return [
        (_audience(histories, learn.with_others(idle, equally=True)), _audience(histories, judge))
        for learn, judge in (halves, halves[::-1])
    ]


def _audience(histories: Histories, asked: Asked) -> Audience:
    return Audience(histories.take(asked.users), asked.wanted)


def _repeat_share(split: Split) -> float:
    """Of what users bought after the split: how much they had bought before. 0 without purchases."""
    names = split.train.event_names
    if "purchase" not in names:
        return 0.0

    def bought(log: InteractionLog) -> NDArray[np.int64]:
        chosen = (log.event == names.index("purchase")) & (log.subject < split.train.n_users)
        return np.unique(log.subject[chosen].astype(np.int64) * split.train.n_items + log.item[chosen])

    before, after = bought(split.train.log), bought(split.held_out)
    return float(np.isin(after, before, assume_unique=True).mean()) if len(after) else 0.0


def _served(active: Mapping[str, Any] | None) -> Blends | None:
    """The blends that are served; None without any, or where another release wrote what this cannot read."""
    if active is None or "blends" not in active:
        return None
    try:
        return Blends.from_content(active)
    except (KeyError, ValueError, TypeError) as error:
        log.warning("served_blends_unreadable", error=repr(error))
        return None


def _protocol(
    split: Split,
    left_out: int,
    validation: int,
    test: int,
    may_repeat: bool,
    repeats: float,
    found: SearchResult,
) -> dict[str, Any]:
    return {
        "protocol": {
            "split": split.protocol,
            "reason": split.reason,
            "train_interactions": len(split.train.log),
            "held_out_interactions": len(split.held_out),
            "left_out_interactions": left_out,
            "validation_users": validation,
            "test_users": test,
            "list_length": LIST_LENGTH,
            "repeat_share": round(repeats, 4),
            "seen_items": "may return" if may_repeat else "excluded",
        },
        "search": {
            "trials": found.trials,
            "complete": found.complete,
            "ndcg": {name: entry.quality for name, entry in found.found.items()},
        },
        "families_left_out": found.left_out,
    }


def _judge_ratings(
    split: Split, config: BiasedFactorizationConfig, rng: np.random.Generator
) -> dict[str, Any] | None:
    shape = (split.train.n_subjects, split.train.n_items)
    held_out = log_ratings(split.held_out, split.train.event_names, shape)
    model = fit_ratings(config, split.train, rng) if len(held_out) else None
    if model is None:
        return None
    judged = evaluate_ratings(model, dataset_ratings(split.histories_from), held_out)
    return {
        "rmse": judged.rmse,
        "mae": judged.mae,
        "within_std": judged.within_std,
        "ratings": judged.n_ratings,
        "split": split.protocol,
    }
