"""One score from the scores of several families."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from app.learning.recommenders.base import Scores


def normalise(scores: Scores) -> Scores:
    """Scale each row so that its best score is 1; rows without a positive score become 0.

    By the maximum and not by range or deviation, because 0 means no evidence in every family and has to
    stay 0, and because a row's scale then depends on its best item alone, not on the size of the catalogue.
    What a family advises against is bounded at -1, so that it weighs no more than another's best advice.
    """
    best = scores.max(axis=1, keepdims=True, initial=0.0)
    usable = best > np.finfo(np.float32).tiny
    with np.errstate(over="ignore"):
        scaled = scores / np.where(usable, best, np.float32(1))
    return np.where(usable, np.maximum(scaled, -1), 0).astype(np.float32)


@dataclass(frozen=True)
class Blend:
    """How much each family counts."""

    weights: dict[str, float]
    """Weight by family, positive, summing to 1."""

    def combine(self, scores: Mapping[str, Scores]) -> Scores:
        """Weighted sum of normalised scores, `(n_batch, n_items)`. Raises `KeyError` for a missing family."""
        total = np.zeros_like(next(iter(scores.values())), dtype=np.float32)
        for family, weight in self.weights.items():
            total += np.float32(weight) * scores[family]
        return total


@dataclass(frozen=True)
class Blends:
    """The blends of a version, by whom and what they are for."""

    usual: Blend
    """For the list as it comes by default."""
    new: Blend
    """For lists without what the person has seen."""
    cold: Blend
    """For people of whom only an item or two is known."""
    may_repeat: bool
    """Whether the usual list may hold what the person has seen: where customers come back to items."""

    FEW = 2
    """Items up to which a history counts as a newcomer's."""

    def of(self, n_known: int, exclude_seen: bool) -> Blend:
        """The blend for somebody of whom `n_known` items are known."""
        if n_known <= self.FEW:
            return self.cold
        return self.new if exclude_seen else self.usual

    @property
    def families(self) -> list[str]:
        """All families that any of them uses, in order."""
        return list({**self.usual.weights, **self.new.weights, **self.cold.weights})
