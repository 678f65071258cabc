"""One set of figures from the parts of an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.learning.evaluation.beyond import mean_or_none, popularity_lift
from app.learning.evaluation.groups import ndcg_by_group
from app.learning.evaluation.harness import RatingEvaluation
from app.learning.evaluation.metrics import Floats, bootstrap_interval, paired_interval
from app.learning.evaluation.splits import Split

_INTERNAL: Final = ("popularity", "history_popularity")
"""Of each user; the lift is made of them."""


@dataclass(frozen=True)
class ModelResult:
    """What one model did in one part."""

    per_user: dict[str, Floats]
    """`(n_users,)` by measure, NaN where a user does not tell."""
    coverage: float
    gini: float


@dataclass(frozen=True)
class FoldResult:
    """One training and what came of it."""

    split: Split
    users: NDArray[np.int64]
    eligible: int
    """Users who could have been asked about."""
    known: NDArray[np.int64]
    """Items in the history of each user."""
    models: dict[str, ModelResult]
    ratings: RatingEvaluation | None
    exclude_seen: bool
    diversity_from: str
    choice: dict[str, Any]


def summarise(
    parts: Sequence[FoldResult], n: int, folds: int | None, rng: np.random.Generator
) -> dict[str, Any]:
    """Figures of each model over all parts, beside the first one's (the automatic choice).

    A user who is asked about in several parts counts once, with the mean: the intervals are over users.
    Measures of the catalogue (coverage, Gini) are means over the parts.
    """
    users = np.concatenate([part.users for part in parts])
    everybody, place = np.unique(users, return_inverse=True)
    # Only models that are in all parts can be compared.
    names = [name for name in parts[0].models if all(name in part.models for part in parts)]
    per_user = {name: _by_user(parts, name, place, len(everybody)) for name in names}
    known = _mean_by(np.concatenate([part.known for part in parts]).astype(np.float64), place, len(everybody))
    own, *others = names
    ndcg = {name: values["ndcg"] for name, values in per_user.items()}
    return {
        "protocol": _protocol(parts, len(everybody), n, folds),
        "models": {
            name: _figures(per_user[name], [part.models[name] for part in parts], rng) for name in names
        },
        "gain_over": {
            name: {
                "ndcg": float((ndcg[own] - ndcg[name]).mean()),
                "ndcg_interval": list(paired_interval(ndcg[own], ndcg[name], rng)),
            }
            for name in others
        },
        "groups": {
            name: ndcg_by_group(np.rint(known).astype(np.int64), {"": values}, rng)
            for name, values in ndcg.items()
        },
        "ratings": _ratings([part.ratings for part in parts if part.ratings is not None]),
        "choices": [part.choice for part in parts],
    }


def _by_user(parts: Sequence[FoldResult], name: str, place: NDArray[np.int64], n: int) -> dict[str, Floats]:
    measures = parts[0].models[name].per_user
    return {
        measure: _mean_by(np.concatenate([part.models[name].per_user[measure] for part in parts]), place, n)
        for measure in measures
    }


def _mean_by(values: Floats, place: NDArray[np.int64], n: int) -> Floats:
    """Mean of each user's values that are not NaN; NaN without any."""
    told = np.isfinite(values)
    count = np.bincount(place[told], minlength=n)
    total = np.bincount(place[told], weights=values[told], minlength=n)
    return np.asarray(np.divide(total, count, out=np.full(n, np.nan), where=count > 0))


def _figures(
    per_user: dict[str, Floats], results: Sequence[ModelResult], rng: np.random.Generator
) -> dict[str, Any]:
    shown = {name: mean_or_none(values) for name, values in per_user.items() if name not in _INTERNAL}
    return {
        **shown,
        "popularity_lift": popularity_lift(per_user["popularity"], per_user["history_popularity"]),
        "gini": float(np.mean([result.gini for result in results])),
        "coverage": float(np.mean([result.coverage for result in results])),
        "ndcg_interval": list(bootstrap_interval(per_user["ndcg"], rng)),
        "recall_interval": list(bootstrap_interval(per_user["recall"], rng)),
    }


def _protocol(parts: Sequence[FoldResult], n_users: int, n: int, folds: int | None) -> dict[str, Any]:
    first = parts[0]
    return {
        "split": first.split.protocol,
        "reason": first.split.reason,
        "folds": folds,
        "parts": len(parts),
        "train_interactions": [len(part.split.train.log) for part in parts],
        "held_out_interactions": [len(part.split.held_out) for part in parts],
        "users": n_users,
        "eligible_users": max(part.eligible for part in parts),
        "users_sampled": any(part.eligible > len(part.users) for part in parts),
        "list_length": n,
        "seen_items": "excluded" if first.exclude_seen else "may return",
        "diversity_from": first.diversity_from,
    }


def _ratings(found: Sequence[RatingEvaluation]) -> dict[str, Any] | None:
    """Errors over the ratings of all parts."""
    if not found:
        return None
    weights = np.array([part.n_ratings for part in found], dtype=np.float64)
    weights /= weights.sum()
    return {
        "rmse": float(np.sqrt(weights @ np.square([part.rmse for part in found]))),
        "mae": float(weights @ np.array([part.mae for part in found])),
        "within_std": float(weights @ np.array([part.within_std for part in found])),
        "ratings": sum(part.n_ratings for part in found),
    }
