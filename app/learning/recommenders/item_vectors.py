"""Inner products with the vectors of items, of a large catalogue only those that may matter.

The longest vectors come first. By Cauchy and Schwarz no score is above the product of both lengths, so that
beyond some length none comes near the best: a million vectors need not be read for a list of twenty.
"""

from copy import copy
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.recommenders.base import Arrays, Scores
from app.learning.recommenders.evidence import Evidence

LEADERS: Final = 2_048
"""Vectors that are always asked, the longest; a smaller catalogue is asked whole."""
LEAST: Final = 0.05
"""Share of the leaders' best score; an item that cannot reach it is passed over, as if it had none."""


_AT_ONCE: Final = 256
"""Vectors that ask the leaders together."""


@dataclass(frozen=True)
class ItemVectors:
    """A vector for each item, the longest first; of equal length by item."""

    vectors: NDArray[np.float32]
    """`(n_items, factors)`."""
    minus_lengths: NDArray[np.float32]
    """Ascending, `(n_items,)`."""
    items: NDArray[np.int32]
    """Whose vector each is, `(n_items,)`."""
    rows: NDArray[np.int32]
    """Where each item has its vector, `(n_items,)`."""

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> Self:
        """From vectors in the order of the items."""
        minus_lengths = -np.linalg.norm(vectors, axis=1).astype(np.float32)
        order = np.argsort(minus_lengths, kind="stable").astype(np.int32)
        rows = np.empty_like(order)
        rows[order] = np.arange(len(order), dtype=np.int32)
        return cls(np.ascontiguousarray(vectors[order]), minus_lengths[order], order, rows)

    def of_items(self, items: NDArray[np.integer]) -> NDArray[np.float32]:
        """The vectors of some items, `(len(items), factors)`."""
        return np.asarray(self.vectors[self.rows[items]])

    def columns(self, matrix: csr_array) -> csr_array:
        """A matrix over the items, `(n, n_items)`, with its columns in the order of the vectors."""
        other = copy(matrix)
        other.indices = self.rows[matrix.indices]
        other.has_sorted_indices = False
        return other

    def scores(self, others: NDArray[np.float32]) -> Scores:
        """Inner products with other vectors, `(n_batch, n_items)`, of those items that may matter."""
        scores = np.zeros((len(others), len(self.items)), dtype=np.float32)
        for row, found in enumerate(self.evidences(others)):
            scores[row, found.items] = found.scores
        return scores

    def evidence(self, other: NDArray[np.float32]) -> Evidence:
        """Inner products with one other vector, `(factors,)`."""
        return self._evidence(other, self.vectors[:LEADERS] @ other)

    def evidences(self, others: NDArray[np.float32]) -> list[Evidence]:
        """Inner products with each of several vectors, `(n, factors)`."""
        found: list[Evidence] = []
        for first in range(0, len(others), _AT_ONCE):
            some = others[first : first + _AT_ONCE]
            leaders = some @ self.vectors[:LEADERS].T
            found += [self._evidence(other, of_other) for other, of_other in zip(some, leaders, strict=True)]
        return found

    def _evidence(self, other: NDArray[np.float32], leaders: NDArray[np.float32]) -> Evidence:
        asked = self._asked(other, leaders)
        scores = np.concatenate([leaders, self.vectors[len(leaders) : asked] @ other])
        return Evidence(self.items[:asked], scores, len(self.items), self.rows)

    def _asked(self, other: NDArray[np.float32], leaders: NDArray[np.float32]) -> int:
        """How many vectors are asked, given the scores of the leaders."""
        least = LEAST * float(leaders.max(initial=0.0))
        length = float(np.linalg.norm(other))
        if length <= 0:
            return len(leaders)
        if least <= 0:
            return len(self.items)
        reaching = int(np.searchsorted(self.minus_lengths, np.float32(-least / length), side="right"))
        return max(len(leaders), reaching)

    def arrays(self) -> dict[str, NDArray[Any]]:
        names = ("vectors", "minus_lengths", "items", "rows")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_arrays(cls, arrays: Arrays, before: str) -> Self:
        """The vectors from their arrays; releases before wrote `before`, in the order of the items."""
        if before in arrays:
            return cls.of(arrays[before])
        return cls(arrays["vectors"], arrays["minus_lengths"], arrays["items"], arrays["rows"])
