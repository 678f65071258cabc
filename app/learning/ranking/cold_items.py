"""Scores for items that nobody has chosen yet: what the items score that are described alike."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.recommenders.base import Arrays, Scores
from app.learning.recommenders.evidence import Evidence, gather
from app.learning.recommenders.similarity import strongest
from app.learning.recommenders.sparse import csr_from_arrays, csr_to_arrays, empty, entry_rows, narrow

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
    stored_heirs: csr_array | None = None
    """`heirs`, where it was stored with the version; releases before did not."""

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

    @property
    def inherit(self) -> bool:
        """Whether anything is lent to them."""
        return len(self.items) > 0 and self.factor > 0

    @cached_property
    def heirs(self) -> csr_array:
        """`parents` by parent, `(n_items, n_cold)`."""
        return narrow(csr_array(self.parents.T)) if self.stored_heirs is None else self.stored_heirs

    @cached_property
    def rows(self) -> NDArray[np.int32]:
        """The row of each item among the cold ones, `(n_items,)`; -1 for others."""
        rows = np.full(self.parents.shape[1], -1, dtype=np.int32)
        rows[self.items] = np.arange(len(self.items), dtype=np.int32)
        return rows

    @cached_property
    def _are_parents(self) -> NDArray[np.bool_]:
        return np.asarray(np.diff(self.heirs.indptr) > 0)

    def lend(self, scores: Scores) -> Scores:
        """`scores`, `(n_batch, n_items)`, in which cold items have at least what they inherit; in place."""
        if self.inherit:
            scores[:, self.items] = np.maximum(scores[:, self.items], self.inherited(scores))
        return scores

    def inherited(self, scores: Scores) -> Scores:
        """What the cold items inherit, `(n_batch, n_cold)`."""
        return np.asarray(self.factor * inherit(scores, self.parents), dtype=np.float32)

    def inherited_of(self, changes: Evidence) -> Evidence:
        """What they inherit more, by their row, where some items score more than nothing by so much more."""
        lending = np.flatnonzero(self._are_parents[changes.items] & (changes.scores != 0))
        changes = Evidence(changes.items[lending], changes.scores[lending], changes.n_items)
        found = gather(changes, self.heirs)
        return replace(found, scores=np.float32(self.factor) * found.scores)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "items": self.items,
            "factor": np.array(self.factor),
            **csr_to_arrays("parents", self.parents),
            **csr_to_arrays("heirs", self.heirs),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        heirs = csr_from_arrays("heirs", arrays) if "heirs_data" in arrays else None
        return cls(arrays["items"], csr_from_arrays("parents", arrays), float(arrays["factor"]), heirs)


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
    if len(scores) == 1:
        return np.asarray(shares @ np.maximum(scores[0], 0), dtype=np.float32)[None, :]
    return np.asarray((shares @ np.maximum(scores, 0).T).T, dtype=np.float32)
