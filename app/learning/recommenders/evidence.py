"""What a model says of one history, where it says something of few items only.

A catalogue of a million items takes milliseconds to write a score for each, and most of these are 0.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import Histories
from app.learning.recommenders.base import Scores

_FEW: Final = 1 / 100
"""Entries for an item of the catalogue, up to which to sort them is quicker than to write to all items."""


@dataclass(frozen=True)
class Evidence:
    """Scores of a batch of one."""

    items: NDArray[np.integer]
    """Of all others the score is 0. Ascending, unless `places` says where each is."""
    scores: NDArray[np.float32]
    n_items: int
    places: NDArray[np.integer] | None = None
    """Where each item of the catalogue stands among `items`, `(n_items,)`; beyond their end: nowhere."""

    def dense(self) -> Scores:
        """The scores of all items, `(1, n_items)`."""
        scores = np.zeros((1, self.n_items), dtype=np.float32)
        scores[0, self.items] = self.scores
        return scores

    def at(self, items: NDArray[np.integer]) -> NDArray[np.float32]:
        """The scores of some items, `(len(items),)`."""
        if not len(self.items):
            return np.zeros(len(items), dtype=np.float32)
        places = np.searchsorted(self.items, items) if self.places is None else self.places[items]
        places = np.minimum(places, len(self.items) - 1)
        return np.where(self.items[places] == items, self.scores[places], np.float32(0))

    def times(self, factors: NDArray[np.float32]) -> "Evidence":
        """With the score of each item multiplied by a factor of its own, `(n_items,)`."""
        return replace(self, scores=self.scores * factors[self.items])


class Selective(ABC):
    """A model that has evidence for few items of a large catalogue."""

    @abstractmethod
    def evidence(self, histories: Histories) -> Evidence:
        """The same as `score`, for a batch of one whose items are in ascending order."""


def gather(row: csr_array | Evidence, weights: csr_array) -> Evidence:
    """The product of one sparse row `(1, m)` and a sparse matrix `(m, n_items)`."""
    known, values = (row.items, row.scores) if isinstance(row, Evidence) else (row.indices, row.data)
    starts = weights.indptr[known].astype(np.int64)
    lengths = weights.indptr[known + 1] - starts
    ends = np.cumsum(lengths)
    count = int(ends[-1]) if len(ends) else 0
    places = np.repeat(starts - ends + lengths, lengths) + np.arange(count)
    parts = (weights.data[places] * np.repeat(values, lengths)).astype(np.float32, copy=False)
    items, n_items = weights.indices[places], weights.shape[1]
    if count < _FEW * n_items:
        items, which = np.unique(items, return_inverse=True)
        total = np.zeros(len(items), dtype=np.float32)
        np.add.at(total, which, parts)
        return Evidence(items, total, n_items)
    whole = np.zeros(n_items, dtype=np.float32)
    np.add.at(whole, items, parts)
    found = np.flatnonzero(whole != 0)  # of numbers, not of truth values, it takes ten times as long
    return Evidence(found, whole[found], n_items)
