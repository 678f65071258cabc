"""Each item predicted from all others by one closed-form regression (EASE)."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import coo_array, csr_array

from app.learning.dataset import Dataset, Histories
from app.learning.recommenders.base import Arrays, Config, Family, Scores
from app.learning.recommenders.contributions import through_links
from app.learning.recommenders.evidence import Evidence, Selective, by_row, gather
from app.learning.recommenders.ridge import (
    BYTES_PER_ENTRY,
    block_weights,
    gram_matrix,
    kept_weights,
    ridge_weights,
)
from app.learning.recommenders.sparse import (
    aged,
    csr_from_arrays,
    csr_to_arrays,
    entry_rows,
    most_recent,
    narrow,
    shared_histories,
    spread,
)

_LEAST_SUBJECTS = 3


class EASEConfig(Config):
    regularization: float = Field(default=1.0, gt=0.0)
    """Ridge, in multiples of the items' mean squared norm."""
    dropout: float = Field(default=0.5, ge=0.0, lt=1.0)
    """Share of a history that the regression is made to do without: frequent items are relied on less."""
    half_life: float | None = Field(default=None, gt=0.0)
    """Days after which an event counts half in what is learned; None: all count alike."""
    recency: float | None = Field(default=None, gt=0.0)
    """Days after which an item counts half in the history that is scored; None: all count alike."""
    memory_mb: int = Field(default=500, ge=1)
    """Memory that the fit may take: a larger catalogue is solved in blocks of related items."""
    block: int = Field(default=2_000, ge=2)
    """Items that are solved together where not all can be."""
    neighbours: int = Field(default=200, ge=1)
    """Weights kept of each item there, fewer where the memory is small."""
    max_history: int = Field(default=500, ge=2)
    """Most recent items of a subject that are learned from."""

    @property
    def max_items(self) -> int:
        """Items that are solved all at once; known before the start."""
        return int(np.sqrt(self.memory_mb * 2**20 / BYTES_PER_ENTRY))


@dataclass(frozen=True)
class EASE(Selective):
    """Weights between the items that the regression covers, or sparse ones between all."""

    recency: float | None
    items: NDArray[np.int32]
    """The covered items, ascending, `(n_covered,)`."""
    weights: NDArray[np.float32] | csr_array
    """`(n_covered, n_covered)`, or sparse `(n_items, n_items)`; zero diagonal.

    Row: item of the history, column: item scored.
    """
    n_items: int

    def score(self, histories: Histories) -> Scores:
        known = aged(histories, self.recency)
        if isinstance(self.weights, csr_array):
            return spread(known, self.weights)
        scores = np.zeros((len(histories), self.n_items), dtype=np.float32)
        for row in range(len(histories)):
            part = slice(known.indptr[row], known.indptr[row + 1])
            scores[row, self.items] = self._covered(known.indices[part], known.data[part], self.weights)
        return scores

    def evidence(self, histories: Histories) -> Evidence:
        known = aged(histories, self.recency)
        if isinstance(self.weights, csr_array):
            return gather(known, self.weights)
        return Evidence(self.items, self._covered(known.indices, known.data, self.weights), self.n_items)

    def evidences(self, histories: Histories) -> list[Evidence]:
        if isinstance(self.weights, csr_array):
            return by_row(csr_array(aged(histories, self.recency) @ self.weights))
        return super().evidences(histories)

    def _covered(
        self, items: NDArray[np.integer], values: NDArray[np.float32], weights: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Scores of the covered items by the `values` of some items, `(n_covered,)`."""
        place = np.searchsorted(self.items, items)
        inside = place < len(self.items)
        inside[inside] = self.items[place[inside]] == items[inside]
        # Only the rows of the history are read from the (mapped) weights.
        return np.asarray(values[inside] @ weights[place[inside]], dtype=np.float32)

    def contributions(self, histories: Histories, items: NDArray[np.int32]) -> Scores:
        known = histories.matrix.indices
        weights = aged(histories, self.recency).data
        if isinstance(self.weights, csr_array):
            return through_links(known, weights, self.weights, items)
        place = np.full(self.n_items, -1, dtype=np.int32)
        place[self.items] = np.arange(len(self.items), dtype=np.int32)
        row, column = np.flatnonzero(place[known] >= 0), np.flatnonzero(place[items] >= 0)
        parts = np.zeros((len(items), len(known)), dtype=np.float32)
        between = self.weights[np.ix_(place[known[row]], place[items[column]])]
        parts[np.ix_(column, row)] = (weights[row, None] * between).T
        return parts

    def arrays(self) -> dict[str, NDArray[Any]]:
        shape: dict[str, NDArray[Any]] = {
            "items": self.items,
            "n_items": np.array(self.n_items, dtype=np.int64),
        }
        if isinstance(self.weights, csr_array):
            return {**shape, **csr_to_arrays("sparse", self.weights)}
        return {**shape, "weights": self.weights}

    @classmethod
    def from_arrays(cls, config: EASEConfig, arrays: Arrays) -> Self:
        weights = arrays["weights"] if "weights" in arrays else csr_from_arrays("sparse", arrays)
        return cls(config.recency, arrays["items"], weights, int(arrays["n_items"]))


def fit(config: EASEConfig, dataset: Dataset, rng: np.random.Generator) -> EASE:
    """Solve for all items at once: `B = I - P / diag(P)` with `P = (X'X + Λ)^-1` (Steck 2019).

    The ridge `Λ` grows with how frequent an item is, as if a share of each history were dropped (EDLAE,
    Steck 2020). A catalogue too large for the memory is solved in blocks (`block_weights`). Raises
    `NotEnoughData` where no subject has two items.
    """
    matrix = most_recent(shared_histories(dataset, config.half_life), config.max_history)
    noise = config.dropout / (1.0 - config.dropout)
    frequency = np.bincount(matrix.indices, minlength=dataset.n_items)
    covered = np.flatnonzero(frequency).astype(np.int32)
    if len(covered) > config.max_items:
        # Of an item that one or two chose, a part of all others says nothing but who they were.
        covered = np.flatnonzero(frequency >= _LEAST_SUBJECTS).astype(np.int32)
    kept = narrow(csr_array(matrix[:, covered]))
    if len(covered) > config.max_items:
        keep = kept_weights(len(covered), config.memory_mb * 2**20, config.neighbours)
        block = min(config.block, config.max_items)
        solved = block_weights(kept, config.regularization, noise, block, keep, rng)
        everywhere = coo_array(
            (solved.data, (covered[entry_rows(solved)], covered[solved.indices])),
            shape=(dataset.n_items, dataset.n_items),
        )
        return EASE(config.recency, covered, narrow(csr_array(everywhere)), dataset.n_items)
    gram = gram_matrix(kept)
    squares = np.diag(gram).copy()
    ridge = config.regularization * squares.mean() + noise * squares
    return EASE(config.recency, covered, ridge_weights(gram, ridge), dataset.n_items)


SPACE = {
    "half_life": (30.0, 90.0, 10.0),
    "recency": (90.0, 30.0, 10.0),
    "regularization": (3.0, 0.3, 10.0),
    "dropout": (0.75, 0.25),
}

FAMILY = Family("ease", "collaborative", EASEConfig, fit, EASE, SPACE)
