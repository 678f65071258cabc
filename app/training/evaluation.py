"""An evaluation from outside: train on a part of a data set as the trainer would, ask for the rest."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.core.clock import rfc3339
from app.learning.dataset import Dataset, Histories
from app.learning.evaluation.background import Background, background
from app.learning.evaluation.beyond import beyond_accuracy
from app.learning.evaluation.harness import RatingEvaluation, evaluate_ratings, evaluate_top_n
from app.learning.evaluation.sampled import evaluate_sampled
from app.learning.evaluation.splits import (
    Split,
    choose_split,
    k_folds,
    leave_last,
    relevant,
    session_split,
    strong_split,
    time_split,
)
from app.learning.preferences import dataset_histories
from app.learning.ratings.base import dataset_ratings, log_ratings
from app.learning.recommenders.base import NotEnoughData, Recommender, Scores
from app.training.fitting import fit_recommenders
from app.training.pipeline import Learned, Recipe, learn
from app.training.progress import Progress
from app.training.summary import FoldResult, ModelResult, summarise

ProtocolName = Literal["time", "leave-last", "random", "strong", "sessions"]
PROTOCOLS: Final[tuple[str, ...]] = get_args(ProtocolName)
LEAST_USERS: Final = 10
"""Users without whom a figure says nothing."""

AUTOMATIC: Final = "automatic"
POPULARITY: Final = "popularity"


@dataclass(frozen=True)
class Plan:
    """How to evaluate."""

    protocol: ProtocolName | None = None
    """None: what the trainer would choose."""
    n: int = 10
    """Length of the lists."""
    share: float = 0.2
    """Held out: of the interactions by time, of a user's items by strong; of the sessions, those asked."""
    folds: int = 5
    fold_limit: int | None = None
    """Folds that are run; None: all."""
    users: int = 5_000
    """Users who are asked about in each part, at most; a random sample if there are more."""
    families: bool = False
    """Whether each family is measured alone as well."""
    sampled_negatives: int = 0
    """Random items among which each held-out item is ranked besides; 0: not done."""
    repeats: bool | None = None
    """Whether lists may hold what a user knows; None: as the trainer decides."""
    seed: int = 0


def evaluate(dataset: Dataset, recipe: Recipe, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Figures by model, as JSON: see docs/evaluation.md.

    Raises NotEnoughData where there is too little to learn from or there are too few users to ask about.
    """
    dataset = dataset.of_taste()
    rng = np.random.default_rng(plan.seed)
    parts = plan.fold_limit or plan.folds if plan.protocol == "random" else 1
    results: list[FoldResult] = []
    for number, split in enumerate(islice(_splits(dataset, plan, rng), parts)):
        part = progress.part("split", number / parts, (number + 1) / parts)
        results.append(_evaluate_split(split, recipe, plan, rng.spawn(1)[0], part))
    log = dataset.log
    return {
        "data": {
            "users": dataset.n_users,
            "sessions": dataset.n_subjects - dataset.n_users,
            "items": dataset.n_items,
            "interactions": len(log),
            "from": rfc3339(int(log.occurred_at[0])),
            "to": rfc3339(int(log.occurred_at[-1])),
        },
        **summarise(results, plan.n, plan.folds if plan.protocol == "random" else None, rng),
    }


def _splits(dataset: Dataset, plan: Plan, rng: np.random.Generator) -> Iterator[Split]:
    if not len(dataset.log):
        raise NotEnoughData("there are no interactions with items to evaluate on")
    match plan.protocol:
        case None:
            yield choose_split(dataset, rng, plan.share)
        case "time":
            yield time_split(dataset, plan.share)
        case "leave-last":
            yield leave_last(dataset)
        case "random":
            yield from k_folds(dataset, plan.folds, rng)
        case "strong":
            yield strong_split(dataset, plan.share, plan.share, rng)
        case "sessions":
            yield session_split(dataset, rng, plan.share)


def _evaluate_split(
    split: Split, recipe: Recipe, plan: Plan, rng: np.random.Generator, progress: Progress
) -> FoldResult:
    # Before the training, which takes its time: whoever has something to be asked for at all.
    _need_users(len(relevant(split, exclude_seen=False)[0]), split)
    started = time.monotonic()
    learned = learn(split.train, recipe, None, progress.part("train", 0.0, 0.8))
    seconds = time.monotonic() - started
    model = learned.model
    # What is held out by chance is never what is known of the user: there, nothing can come again.
    may_repeat = model.blends.may_repeat and split.protocol in ("time", "leave_last")
    exclude_seen = not (may_repeat if plan.repeats is None else plan.repeats)
    users, wanted = relevant(split, exclude_seen)
    _need_users(len(users), split)
    eligible = len(users)
    if eligible > plan.users:
        chosen = np.sort(rng.permutation(eligible)[: plan.users])
        users, wanted = users[chosen], csr_array(wanted[chosen])
    histories = dataset_histories(split.histories_from)
    models: dict[str, Recommender] = dict(model.recommenders)
    if plan.families:
        missing = {name: config for name, config in learned.trial.configs.items() if name not in models}
        models |= fit_recommenders(split.train, missing, rng, progress.part("fit", 0.8, 0.9))
    asked = _Asked(histories, users, wanted, exclude_seen, plan)
    scorers: dict[str, Callable[[Histories], Scores]] = {
        AUTOMATIC: lambda some: model.score(some, exclude_seen, split.protocol == "sessions")
    }
    alone = [name for name in learned.trial.configs if name in models] if plan.families else [POPULARITY]
    # Popularity first: it is what the others are to be better than.
    for name in dict.fromkeys([POPULARITY, *alone]):
        if name in models:
            scorers[name] = models[name].score
    of_items = background(dataset_histories(split.train), split.train.items, models, rng)
    found: dict[str, ModelResult] = {}
    part = progress.part("measure", 0.9, 1.0)
    for number, (name, score) in enumerate(scorers.items()):
        # Every model is asked about the same sampled items, so that their draws are no difference.
        found[name] = asked.measure(score, of_items, np.random.default_rng(plan.seed))
        part.done((number + 1) / len(scorers))
    return FoldResult(
        split=replace(split, reason=split.reason or "as asked for"),
        users=users,
        eligible=eligible,
        known=np.diff(histories.matrix.indptr)[users].astype(np.int64),
        models=found,
        ratings=_ratings(split, learned),
        exclude_seen=exclude_seen,
        diversity_from=of_items.vectors_from,
        choice=_choice(learned, seconds),
    )


@dataclass(frozen=True)
class _Asked:
    """Who is asked about, for what, and how."""

    histories: Histories
    users: NDArray[np.int64]
    wanted: csr_array
    exclude_seen: bool
    plan: Plan

    def measure(
        self, score: Callable[[Histories], Scores], of_items: Background, rng: np.random.Generator
    ) -> ModelResult:
        found = evaluate_top_n(score, self.histories, self.users, self.wanted, self.plan.n, self.exclude_seen)
        known = csr_array(self.histories.matrix[self.users])
        beyond = beyond_accuracy(found.ranked, known, of_items)
        sampled: Mapping[str, NDArray[np.float64]] = {}
        if self.plan.sampled_negatives:
            sampled = evaluate_sampled(
                score, self.histories, self.users, self.wanted, self.plan.n, self.plan.sampled_negatives, rng
            )
        return ModelResult({**found.per_user, **beyond.per_user, **sampled}, found.coverage, beyond.gini)


def _need_users(found: int, split: Split) -> None:
    if found < LEAST_USERS:
        why = f" ({split.reason})" if split.reason else ""
        raise NotEnoughData(
            f"evaluation needs at least {LEAST_USERS} users with a history and held-out items, "
            f"the {split.protocol.replace('_', '-')} protocol leaves {found}{why}"
        )


def _ratings(split: Split, learned: Learned) -> RatingEvaluation | None:
    train = split.train
    held_out = log_ratings(split.held_out, train.event_names, (train.n_subjects, train.n_items))
    if learned.model.rating_model is None or not len(held_out):
        return None
    return evaluate_ratings(learned.model.rating_model, dataset_ratings(split.histories_from), held_out)


def _choice(learned: Learned, seconds: float) -> dict[str, Any]:
    """What the automatic choice was."""
    model = learned.model
    return {
        "blends": {name: blend.weights for name, blend in model.blends.named.items()},
        "may_repeat": model.blends.may_repeat,
        "families": learned.trial.configs,
        "families_left_out": learned.trial.evaluation.get("families_left_out", {}),
        "search_complete": learned.trial.evaluation.get("search", {}).get("complete"),
        "rejected": learned.trial.rejected,
        "training_seconds": round(seconds, 2),
    }
