"""The judgement of a trial: the new blend beside popularity and beside the one that is served."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import Histories
from app.learning.evaluation.harness import TopNEvaluation, evaluate_top_n, take_histories
from app.learning.evaluation.metrics import bootstrap_interval, paired_interval
from app.learning.ranking.blend import Blend, Blends, normalise
from app.learning.recommenders.base import Recommender, Scores
from app.training.progress import Progress

LIST_LENGTH = 10
_GROUPS = (("light", 1, 5), ("medium", 6, 20), ("heavy", 21, 2**31))
"""Users by the number of items in their histories."""


@dataclass(frozen=True)
class Audience:
    """Users, what is known of them, and what they went on to choose."""

    histories: Histories
    wanted: csr_array
    """`(n_users, n_items)`, an entry for each item."""

    def without_seen(self) -> "Audience":
        """Those who chose something new, and only that."""
        seen = csr_array(self.histories.matrix, copy=True)
        seen.data = np.ones_like(seen.data)
        new = csr_array(self.wanted - self.wanted.multiply(seen))
        new.eliminate_zeros()
        rows = np.flatnonzero(np.diff(new.indptr)).astype(np.int64)
        return Audience(take_histories(self.histories, rows), csr_array(new[rows]))


@dataclass(frozen=True)
class Verdict:
    """Figures, the blends to go on with, and why they are rejected, if they are."""

    figures: dict[str, Any]
    blends: Blends
    rejected: str | None


def judge(
    models: dict[str, Recommender],
    audience: Audience,
    blends: Blends,
    served: Blend | None,
    rng: np.random.Generator,
    progress: Progress,
) -> Verdict:
    """Compare on nDCG, pairwise by user.

    Where the blend that is served is better beyond chance, the new version goes on with it: its data is
    fresher all the same. What is worse than popularity beyond chance is rejected.
    """
    rivals = _Rivals(models, audience, exclude_seen=not blends.may_repeat)
    new = rivals.evaluate(blends.usual)
    figures: dict[str, Any] = {}
    known = {name: weight for name, weight in served.weights.items() if name in models} if served else {}
    progress.done(0.4)
    if known:
        active = rivals.evaluate(Blend(known))
        figures["active"] = _figures(active, rng)
        low, high = paired_interval(new.per_user["ndcg"], active.per_user["ndcg"], rng)
        figures["gain_over_active"] = {"ndcg": [low, high], "adopted": high < 0}
        if high < 0:
            total = sum(known.values())
            kept = Blend({name: weight / total for name, weight in known.items()})
            new, blends = active, replace(blends, usual=kept)
    figures["new"] = _figures(new, rng)
    rejected = None
    if "popularity" in models:
        popular = rivals.evaluate(Blend({"popularity": 1.0}))
        figures["popularity"] = _figures(popular, rng)
        low, high = paired_interval(new.per_user["ndcg"], popular.per_user["ndcg"], rng)
        figures["gain_over_popularity"] = {"ndcg": [low, high]}
        figures["groups"] = _by_group(audience, new, popular)
        if high < 0:
            rejected = (
                f"worse than popularity: nDCG@{LIST_LENGTH} {new.means['ndcg']:.4f} against "
                f"{popular.means['ndcg']:.4f}, 95 % interval of the difference {low:.4f} to {high:.4f}"
            )
    progress.done(1.0)
    return Verdict(figures, blends, rejected)


def blended(models: dict[str, Recommender], blend: Blend) -> Callable[[Histories], Scores]:
    """The scoring function of a blend of fitted models."""

    def score(histories: Histories) -> Scores:
        return blend.combine({name: normalise(models[name].score(histories)) for name in blend.weights})

    return score


@dataclass(frozen=True)
class _Rivals:
    models: dict[str, Recommender]
    audience: Audience
    exclude_seen: bool

    def evaluate(self, blend: Blend) -> TopNEvaluation:
        everybody = np.arange(len(self.audience.histories), dtype=np.int64)
        return evaluate_top_n(
            blended(self.models, blend),
            self.audience.histories,
            everybody,
            self.audience.wanted,
            LIST_LENGTH,
            self.exclude_seen,
        )


def _figures(evaluation: TopNEvaluation, rng: np.random.Generator) -> dict[str, Any]:
    low, high = bootstrap_interval(evaluation.per_user["ndcg"], rng)
    return {**evaluation.means, "coverage": evaluation.coverage, "ndcg_interval": [low, high]}


def _by_group(
    audience: Audience, new: TopNEvaluation, popular: TopNEvaluation
) -> dict[str, dict[str, float]]:
    """nDCG by how much is known of the users."""
    known: NDArray[np.int64] = np.diff(audience.histories.matrix.indptr)
    groups = {}
    for name, least, most in _GROUPS:
        members = (known >= least) & (known <= most)
        if members.any():
            groups[name] = {
                "users": int(members.sum()),
                "ndcg": float(new.per_user["ndcg"][members].mean()),
                "popularity_ndcg": float(popular.per_user["ndcg"][members].mean()),
            }
    return groups
