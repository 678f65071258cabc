"""The judgement of a trial: the new blends beside popularity and beside those that are served."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import Histories
from app.learning.evaluation.background import Background
from app.learning.evaluation.beyond import beyond_accuracy
from app.learning.evaluation.groups import ndcg_by_group
from app.learning.evaluation.harness import TopNEvaluation, evaluate_top_n
from app.learning.evaluation.metrics import bootstrap_interval, paired_interval
from app.learning.ranking.blend import Blend, Blends, known_and_idle
from app.learning.recommenders.base import Recommender
from app.training.progress import Progress

LIST_LENGTH = 10


@dataclass(frozen=True)
class Audience:
    """Users, what is known of them, and what they went on to choose."""

    histories: Histories
    wanted: csr_array
    """`(n_users, n_items)`, an entry for each item."""

    def without_seen(self) -> "Audience":
        """Those who chose something new, and only that."""
        new = csr_array(self.wanted.multiply(self.histories.unseen))
        new.eliminate_zeros()
        return Audience(self.histories, new).take(np.flatnonzero(np.diff(new.indptr)).astype(np.int64))

    def take(self, rows: NDArray[np.int64]) -> "Audience":
        """Some of them, in the order given."""
        return Audience(self.histories.take(rows), csr_array(self.wanted[rows]))


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
    served: Blends | Blend | None,
    rng: np.random.Generator,
    progress: Progress,
    background: Background | None = None,
) -> Verdict:
    """Compare on nDCG, pairwise by user, everybody by the blend that they would be served with.

    Where what is served is better beyond chance, the new version goes on with it: its data is fresher all
    the same. What is worse than popularity beyond chance is rejected. `background` gives the figures the
    measures beside accuracy.
    """
    rivals = _Rivals(models, audience, not blends.may_repeat, background)
    judged = {"new": rivals.evaluate(blends)}
    gains: dict[str, Any] = {}
    rejected = None
    kept = _kept(served, blends, models)
    progress.done(0.4)
    if kept is not None:
        judged["active"] = rivals.evaluate(kept)
        low, high = _gain(judged, "active", rng)
        gains["gain_over_active"] = {"ndcg": [low, high], "adopted": high < 0}
        if high < 0:
            judged["new"], blends = judged["active"], kept
    if "popularity" in models:
        judged["popularity"] = rivals.evaluate(Blends.single(Blend({"popularity": 1.0})))
        low, high = _gain(judged, "popularity", rng)
        gains["gain_over_popularity"] = {"ndcg": [low, high]}
        if high < 0:
            new, popular = (judged[name].means["ndcg"] for name in ("new", "popularity"))
            rejected = (
                f"worse than popularity: nDCG@{LIST_LENGTH} {new:.4f} against {popular:.4f}, "
                f"95 % interval of the difference {low:.4f} to {high:.4f}"
            )
    progress.done(0.8)
    figures: dict[str, Any] = {name: rivals.figures(found, rng) for name, found in judged.items()}
    figures |= gains
    known, _ = known_and_idle(audience.histories)
    figures["groups"] = ndcg_by_group(
        known,
        {"" if name == "new" else f"{name}_": found.per_user["ndcg"] for name, found in judged.items()},
        rng,
    )
    if background is not None:
        figures["diversity_from"] = background.vectors_from
    progress.done(1.0)
    return Verdict(figures, blends, rejected)


def _kept(served: Blends | Blend | None, blends: Blends, models: dict[str, Recommender]) -> Blends | None:
    """What would be served if the blends stayed what they are; None without any or without its families.

    A single blend is the one of the usual list; the others are the new ones then.
    """
    if served is None:
        return None
    named = {"usual": served} if isinstance(served, Blend) else served.named
    left: dict[str, Blend] = {}
    for name, blend in named.items():
        # None of those who are asked are sessions, and the new one has proved itself.
        if name == "session":
            continue
        weights = {family: weight for family, weight in blend.weights.items() if family in models}
        if sum(weights.values()) > 0:
            left[name] = Blend.of(weights)
    if "usual" not in left:
        return None
    if not blends.may_repeat:
        # The usual list is one without seen items then, so it is the blend for these that counts.
        left.setdefault("new", left["usual"])
    kept = blends.with_blends(left)
    return kept if isinstance(served, Blend) else replace(kept, idle_after=served.idle_after)


def _gain(judged: dict[str, TopNEvaluation], over: str, rng: np.random.Generator) -> tuple[float, float]:
    return paired_interval(judged["new"].per_user["ndcg"], judged[over].per_user["ndcg"], rng)


@dataclass(frozen=True)
class _Rivals:
    models: dict[str, Recommender]
    audience: Audience
    exclude_seen: bool
    background: Background | None

    def evaluate(self, blends: Blends) -> TopNEvaluation:
        return evaluate_top_n(
            lambda histories: blends.score(self.models, histories, self.exclude_seen),
            self.audience.histories,
            np.arange(len(self.audience.histories), dtype=np.int64),
            self.audience.wanted,
            LIST_LENGTH,
            self.exclude_seen,
        )

    def figures(self, evaluation: TopNEvaluation, rng: np.random.Generator) -> dict[str, Any]:
        beyond: dict[str, Any] = {}
        if self.background is not None:
            beyond = beyond_accuracy(
                evaluation.ranked, self.audience.histories.matrix, self.background
            ).figures
        return {
            **evaluation.means,
            "coverage": evaluation.coverage,
            **beyond,
            "ndcg_interval": list(bootstrap_interval(evaluation.per_user["ndcg"], rng)),
        }
