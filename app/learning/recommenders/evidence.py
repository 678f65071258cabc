"""What a model says of one history, where it says something of few items only.

A catalogue of a million items takes milliseconds to write a score for each, and most of these are 0.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import Histories
from app.learning.matrices import places_of_rows, room_of_thread
from app.learning.recommenders.base import Scores

Part = tuple[NDArray[np.integer], NDArray[np.float32]]
"""Items and what is said of each."""
_MANY: Final = 1 / 4
"""Entries for an item of the catalogue, from which to write to all items is quicker than to sort them."""


@dataclass(frozen=True)
class Evidence:
    """Scores of a batch of one."""

    items: NDArray[np.integer]
    """Of all others the score is 0. Ascending, unless `places` says where each is."""
    scores: NDArray[Any]
    """float32, or float64 on the way to it."""
    n_items: int
    places: NDArray[np.integer] | None = None
    """Where each item of the catalogue stands among `items`, `(n_items,)`; beyond their end: nowhere."""

    @classmethod
    def of(cls, scores: Scores) -> Self:
        """From the scores of one row, `(1, n_items)`."""
        found = np.flatnonzero(scores[0] != 0)  # of numbers, not of truth values, it takes ten times as long
        return cls(found, scores[0, found], scores.shape[1])

    @property
    def told(self) -> "Evidence":
        """The same without scores of 0, ascending."""
        told = np.flatnonzero(self.scores != 0)
        told = told[np.argsort(self.items[told], kind="stable")]
        return Evidence(self.items[told], self.scores[told], self.n_items)

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

    def evidences(self, histories: Histories) -> list[Evidence]:
        """The evidence of each of several histories."""
        rows = np.arange(len(histories))
        return [self.evidence(histories.take(rows[row : row + 1])) for row in rows.tolist()]


def gather(row: csr_array | Evidence, weights: csr_array, kind: type[np.floating] = np.float32) -> Evidence:
    """The product of one sparse row `(1, m)` and a sparse matrix `(m, n_items)`, in numbers of a kind."""
    known, values = (row.items, row.scores) if isinstance(row, Evidence) else (row.indices, row.data)
    places, lengths = places_of_rows(weights, known)
    parts = (weights.data[places] * np.repeat(values, lengths)).astype(kind, copy=False)
    return summed([(weights.indices[places], parts)], weights.shape[1])


def summed(parts: Sequence[Part], n_items: int) -> Evidence:
    """The sum of what each part says of its items, of which one may be there many times."""
    if not parts:
        return Evidence(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32), n_items)
    if sum(len(items) for items, _ in parts) >= _MANY * n_items:
        whole = np.zeros((1, n_items), dtype=parts[0][1].dtype)
        for items, scores in parts:
            np.add.at(whole[0], items, scores)
        return Evidence.of(whole)
    total = room_of_thread(n_items, parts[0][1].dtype)
    found = np.concatenate([items for items, _ in parts]) if len(parts) > 1 else parts[0][0]
    total[found] = 0
    for items, scores in parts:
        np.add.at(total, items, scores)
    found = distinct(found)
    return Evidence(found, total[found], n_items)


def distinct(numbers: NDArray[Any]) -> NDArray[Any]:
    """Each number once, ascending."""
    numbers = np.sort(numbers)
    first = np.ones(len(numbers), dtype=np.bool_)
    np.not_equal(numbers[1:], numbers[:-1], out=first[1:])
    return numbers[first]


def by_row(matrix: csr_array) -> list[Evidence]:
    """The rows of a matrix `(n_batch, n_items)`, whose entries are put in order where they are not."""
    matrix.sort_indices()
    data = matrix.data.astype(np.float32, copy=False)
    return [
        Evidence(matrix.indices[first:end], data[first:end], matrix.shape[1])
        for first, end in pairwise(matrix.indptr.tolist())
    ]


def best(found: Evidence, k: int) -> Evidence:
    """The `k` largest positive scores; among equals the lower item stays."""
    scores = found.scores.astype(np.float32, copy=False)
    chosen = np.flatnonzero(scores > 0)
    if len(chosen) > k:
        least = np.partition(scores[chosen], len(chosen) - k)[len(chosen) - k]
        above = np.flatnonzero(scores > least)
        chosen = np.concatenate([above, np.flatnonzero(scores == least)[: k - len(above)]])
        chosen.sort()
    return Evidence(found.items[chosen], scores[chosen], found.n_items)
