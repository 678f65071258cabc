"""The trial that precedes a version: fitted on the past, judged on what came after.

The families learn from one part of the interactions. Of the users who went on, one half chooses the
blend's weights, the other half judges it, beside popularity and beside the weights that are served now.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import Dataset, Histories
from app.learning.evaluation.blending import ScoreBatch, collect_candidates, learn_blend
from app.learning.evaluation.harness import (
    TopNEvaluation,
    batches,
    evaluate_ratings,
    evaluate_top_n,
    take_histories,
)
from app.learning.evaluation.metrics import bootstrap_interval, paired_interval
from app.learning.evaluation.splits import Split, choose_split, relevant
from app.learning.preferences import dataset_histories
from app.learning.ranking.blend import Blend, normalise
from app.learning.ratings.base import dataset_ratings, log_ratings
from app.learning.ratings.biased_factorization import BiasedFactorizationConfig
from app.learning.recommenders.base import NotEnoughData, Recommender, Scores
from app.training.fitting import fit_ratings, fit_recommenders
from app.training.progress import Progress

LIST_LENGTH = 10
VALIDATION_USERS = 2_000
TEST_USERS = 5_000
LEAST_USERS = 10
"""Users needed on each side to choose weights and to judge them."""
_DEFAULT = {"item_neighbours": 0.4, "truncated_svd": 0.2, "content": 0.2, "popularity": 0.2}
"""Weights where too few users can choose them."""


@dataclass(frozen=True)
class Trial:
    """What the trial found."""

    blend: Blend
    evaluation: dict[str, Any]
    rejected: str | None


def run_trial(
    dataset: Dataset,
    rating_config: BiasedFactorizationConfig,
    active_blend: dict[str, float] | None,
    rng: np.random.Generator,
    progress: Progress,
) -> Trial:
    """Choose the blend's weights and judge them."""
    split = choose_split(dataset, rng)
    progress.done(0.1)
    models, _, skipped = fit_recommenders(split.train, rng, progress.part("fit", 0.1, 0.6))
    if not models:
        raise NotEnoughData("; ".join(f"{name}: {why}" for name, why in skipped.items()))
    users, wanted = relevant(split, exclude_seen=True)
    histories = dataset_histories(split.train)
    order = rng.permutation(len(users))
    half = len(users) // 2
    validation, test = np.sort(order[:half][:VALIDATION_USERS]), np.sort(order[half:][:TEST_USERS])
    enough = min(len(validation), len(test)) >= LEAST_USERS
    chosen = progress.part("evaluate", 0.6, 0.8)
    if enough:
        known = take_histories(histories, users[validation])
        blend = _choose_blend(models, known, csr_array(wanted[validation]), chosen)
    else:
        blend = refit_blend(Blend(_DEFAULT), models)
    evaluation: dict[str, Any] = {
        "protocol": {
            "split": split.protocol,
            "reason": split.reason,
            "train_interactions": len(split.train.log),
            "held_out_interactions": len(split.held_out),
            "validation_users": len(validation),
            "test_users": len(test),
            "list_length": LIST_LENGTH,
            "seen_items": "excluded",
        },
        "families_left_out": skipped,
    }
    rejected = None
    if enough:
        judged = _Judged(histories, users[test], csr_array(wanted[test]), models, rng)
        evaluation["top_n"], rejected = judged.report(
            blend, active_blend, progress.part("evaluate", 0.8, 0.95)
        )
    evaluation["ratings"] = _judge_ratings(split, rating_config, rng)
    progress.part("gate", 0.95, 1.0).done(1.0)
    return Trial(blend, evaluation, rejected)


def refit_blend(blend: Blend, models: dict[str, Recommender]) -> Blend:
    """The blend over the families that there are; the default where none of its own is among them.

    Raises NotEnoughData without any family.
    """
    if not models:
        raise NotEnoughData("no family has enough to learn from")
    weights = {name: weight for name, weight in blend.weights.items() if name in models}
    weights = weights or {name: weight for name, weight in _DEFAULT.items() if name in models}
    weights = weights or {next(iter(models)): 1.0}
    total = sum(weights.values())
    return Blend({name: weight / total for name, weight in weights.items()})


def _choose_blend(
    models: dict[str, Recommender], known: Histories, wanted: csr_array, progress: Progress
) -> Blend:
    def score_batches() -> Any:
        parts = batches(len(known), known.matrix.shape[1], 128)
        for number, part in enumerate(parts):
            rows = np.arange(part.start, part.stop, dtype=np.int64)
            some = take_histories(known, rows)
            scores = {name: normalise(model.score(some)) for name, model in models.items()}
            yield ScoreBatch(scores, csr_array(some.matrix))
            progress.done((number + 1) / len(parts))

    return learn_blend(collect_candidates(score_batches()), wanted, LIST_LENGTH)


def blended(models: dict[str, Recommender], blend: Blend) -> Callable[[Histories], Scores]:
    """The scoring function of a blend of fitted models."""

    def score(histories: Histories) -> Scores:
        return blend.combine({name: normalise(models[name].score(histories)) for name in blend.weights})

    return score


@dataclass(frozen=True)
class _Judged:
    """The users who judge, and what they are asked."""

    histories: Histories
    users: NDArray[np.int64]
    wanted: csr_array
    models: dict[str, Recommender]
    rng: np.random.Generator

    def _evaluate(self, blend: Blend) -> TopNEvaluation:
        score = blended(self.models, blend)
        return evaluate_top_n(score, self.histories, self.users, self.wanted, LIST_LENGTH, exclude_seen=True)

    def report(
        self, blend: Blend, active_blend: dict[str, float] | None, progress: Progress
    ) -> tuple[dict[str, Any], str | None]:
        """Figures of the new blend beside popularity and the active one, and why to reject it, if so."""
        new = self._evaluate(blend)
        rivals: dict[str, TopNEvaluation] = {}
        if "popularity" in self.models:
            rivals["popularity"] = self._evaluate(Blend({"popularity": 1.0}))
        progress.done(0.5)
        active = {name: weight for name, weight in (active_blend or {}).items() if name in self.models}
        if active:
            rivals["active"] = self._evaluate(Blend(active))
        figures: dict[str, Any] = {"new": self._figures(new)}
        rejected = None
        for name, rival in rivals.items():
            low, high = paired_interval(new.per_user["ndcg"], rival.per_user["ndcg"], self.rng)
            figures[name] = self._figures(rival)
            figures[f"gain_over_{name}"] = {"ndcg": [low, high]}
            # Only what is worse beyond chance is kept back; a tie lets fresher data through.
            if high < 0 and rejected is None:
                rejected = (
                    f"worse than {'the active version' if name == 'active' else name}: nDCG@{LIST_LENGTH} "
                    f"{new.means['ndcg']:.4f} against {rival.means['ndcg']:.4f}, "
                    f"95 % interval of the difference {low:.4f} to {high:.4f}"
                )
        return figures, rejected

    def _figures(self, evaluation: TopNEvaluation) -> dict[str, Any]:
        low, high = bootstrap_interval(evaluation.per_user["ndcg"], self.rng)
        return {**evaluation.means, "coverage": evaluation.coverage, "ndcg_interval": [low, high]}


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
