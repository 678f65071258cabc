"""Scores for items that nobody has chosen yet: what the items score that are described alike."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.recommenders.base import Arrays, Scores
from app.learning.recommenders.similarity import strongest
from app.learning.recommenders.sparse import csr_from_arrays, csr_to_arrays, empty, entry_rows

PARENTS = 20
"""Items from which one takes its score."""
HALF_ALIKE = 0.1
"""Similarity to the nearest at which an item inherits half of what they score."""


@dataclass(frozen=True)
class ColdItems:
    """Items without a history of their own, and those that they are described like.

    Item to item: with no behaviour, the mean of the nearest by content is the best guess, as with attribute
    to feature mappings (Gantner et al. 2010), without a model to fit.
    """

    items: NDArray[np.int32]
    """Columns of the items, `(n_cold,)`."""
    parents: csr_array
    """Shares of the items they are like, `(n_cold, n_items)`; rows sum to how alike they are: below 1."""
    factor: float
    """By which the mean is multiplied: how far a new item is trusted."""

    @classmethod
    def of(cls, similarities: csr_array, chosen: NDArray[np.bool_], factor: float) -> Self:
        """The items that nobody chose, from content similarities `(n_items, n_items)`."""
        items = np.flatnonzero(~chosen & (np.diff(similarities.indptr) > 0)).astype(np.int32)
        return cls(items, parents(csr_array(similarities[items]), chosen), factor)

    @classmethod
    def none(cls, n_items: int) -> Self:
        """Where nothing is described."""
        return cls(np.empty(0, dtype=np.int32), empty(0, n_items), 0.0)

    def warm(self, n_items: int) -> NDArray[np.bool_]:
        """Which items have a score of their own, `(n_items,)`."""
        warm = np.ones(n_items, dtype=np.bool_)
        warm[self.items] = False
        return warm

    def with_factor(self, factor: float) -> Self:
        return replace(self, factor=factor)

    def lend(self, scores: Scores) -> Scores:
        """`scores`, `(n_batch, n_items)`, in which cold items have at least what they inherit; in place."""
        if len(self.items) and self.factor > 0:
            inherited = self.factor * inherit(scores, self.parents)
            scores[:, self.items] = np.maximum(scores[:, self.items], inherited)
        return scores

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "items": self.items,
            "factor": np.array(self.factor),
            **csr_to_arrays("parents", self.parents),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        return cls(arrays["items"], csr_from_arrays("parents", arrays), float(arrays["factor"]))


def parents(similarities: csr_array, chosen: NDArray[np.bool_]) -> csr_array:
    """The nearest chosen items of each row, with shares of the row's best similarity."""
    warm = csr_array(similarities, copy=True)
    warm.data = np.where(chosen[warm.indices], warm.data, 0).astype(np.float32)
    nearest = strongest(warm, PARENTS)
    rows = entry_rows(nearest)
    total = np.bincount(rows, weights=nearest.data, minlength=nearest.shape[0])
    best = np.zeros(nearest.shape[0], dtype=np.float32)
    np.maximum.at(best, rows, nearest.data)
    # The mean over the nearest, damped where even the nearest is hardly alike. A cosine of .3 is much for
    # texts: each rare word of a title makes its vector longer, and says nothing against the others.
    alike = best[rows] / (best[rows] + HALF_ALIKE)
    nearest.data = (nearest.data / total[rows] * alike).astype(np.float32)
    return nearest


def inherit(scores: Scores, shares: csr_array) -> Scores:
    """What items with these parents score, `(n_batch, n_cold)`."""
    return np.asarray((shares @ np.maximum(scores, 0).T).T, dtype=np.float32)
