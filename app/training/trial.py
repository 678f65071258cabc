"""The trial that precedes a version: fitted on the past, judged on what came after.

The families learn from one part of the interactions, their hyperparameters found by a search. Of the users
who went on, one half chooses hyperparameters and blends, the other half judges them, beside popularity and
beside the blend that is served now.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import Dataset, InteractionLog
from app.learning.evaluation.harness import evaluate_ratings, evaluate_top_n, take_histories
from app.learning.evaluation.splits import Split, choose_split, relevant
from app.learning.preferences import dataset_histories
from app.learning.ranking.blend import Blend, Blends
from app.learning.ratings.base import dataset_ratings, log_ratings
from app.learning.ratings.biased_factorization import BiasedFactorizationConfig
from app.learning.recommenders.base import NotEnoughData, Recommender
from app.learning.recommenders.registry import FAMILIES
from app.training.blends import choose_blends, default_blend
from app.training.fitting import fit_ratings
from app.training.judging import LIST_LENGTH, Audience, judge
from app.training.progress import Progress
from app.training.sampling import sample_subjects
from app.training.search import SearchResult, search

ALWAYS = ("popularity", "item_neighbours", "user_neighbours", "content")
"""Families that calls other than recommendations ask, whatever the blends use."""
VALIDATION_USERS = 600
SEARCH_USERS = 400
"""Of the validation users, those on whom the search judges."""
TEST_USERS = 5_000
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
    evaluation: dict[str, Any]
    rejected: str | None


def run_trial(
    dataset: Dataset,
    rating_config: BiasedFactorizationConfig,
    active: Mapping[str, Any] | None,
    search_seconds: float,
    rng: np.random.Generator,
    progress: Progress,
) -> Trial:
    """Choose hyperparameters and blends, and judge them.

    `active` is the content of the version that is served: its hyperparameters are where the search begins,
    its blend is a rival. Raises NotEnoughData where no family can be fitted.
    """
    sampled = sample_subjects(dataset, MOST_INTERACTIONS, rng)
    split = choose_split(sampled, rng)
    progress.done(0.05)
    repeats = _repeat_share(split)
    may_repeat = repeats >= REPEATS_MATTER
    users, wanted = relevant(split, exclude_seen=not may_repeat)
    histories = dataset_histories(split.train)
    order = rng.permutation(len(users))
    half = len(users) // 2
    validation = np.sort(order[:half][:VALIDATION_USERS])
    test = np.sort(order[half:][:TEST_USERS])
    enough = min(len(validation), len(test)) >= LEAST_USERS
    searchers = np.sort(rng.permutation(validation)[:SEARCH_USERS])

    def quality(model: Recommender) -> float:
        chosen = csr_array(wanted[searchers])
        judged = evaluate_top_n(
            model.score, histories, users[searchers], chosen, LIST_LENGTH, exclude_seen=not may_repeat
        )
        return judged.means["ndcg"]

    found = search(
        FAMILIES,
        split.train,
        quality if enough else lambda _model: 0.0,
        seed=int(rng.integers(2**31)),
        budget_seconds=search_seconds if enough else 0.0,
        warm=(active or {}).get("families", {}),
        required=ALWAYS,
        progress=progress.part("search", 0.05, 0.6),
    )
    models = {name: entry.model for name, entry in found.found.items()}
    if not models:
        raise NotEnoughData("; ".join(f"{name}: {why}" for name, why in found.left_out.items()))
    if enough:
        audience = Audience(take_histories(histories, users[validation]), csr_array(wanted[validation]))
        blends = choose_blends(models, audience, may_repeat, progress.part("evaluate", 0.6, 0.8))
    else:
        blend = default_blend(models)
        blends = Blends(usual=blend, new=blend, cold=blend, may_repeat=may_repeat)
    evaluation = _protocol(split, len(validation), len(test), may_repeat, repeats, found)
    rejected = None
    if enough:
        audience = Audience(take_histories(histories, users[test]), csr_array(wanted[test]))
        verdict = judge(models, audience, blends, _served(active), rng, progress.part("evaluate", 0.8, 0.95))
        evaluation["top_n"], blends, rejected = verdict.figures, verdict.blends, verdict.rejected
    evaluation["ratings"] = _judge_ratings(split, rating_config, rng)
    progress.part("gate", 0.95, 1.0).done(1.0)
    configs = {name: entry.config.model_dump() for name, entry in found.found.items()}
    return Trial(blends, configs, evaluation, rejected)


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


def _served(active: Mapping[str, Any] | None) -> Blend | None:
    if active is None or "blends" not in active:
        return None
    return Blend(dict(active["blends"]["usual"]))


def _protocol(
    split: Split, validation: int, test: int, may_repeat: bool, repeats: float, found: SearchResult
) -> dict[str, Any]:
    return {
        "protocol": {
            "split": split.protocol,
            "reason": split.reason,
            "train_interactions": len(split.train.log),
            "held_out_interactions": len(split.held_out),
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
    judged = evaluate_ratings(model, dataset_ratings(split.train), held_out)
    return {
        "rmse": judged.rmse,
        "mae": judged.mae,
        "within_std": judged.within_std,
        "ratings": judged.n_ratings,
        "split": split.protocol,
    }
