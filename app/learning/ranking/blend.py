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
