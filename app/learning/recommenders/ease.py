"""Each item predicted from all others by one closed-form regression (EASE)."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.linalg import lapack
from scipy.sparse import csr_array

from app.learning.dataset import Dataset, Histories
from app.learning.recommenders.base import Arrays, Config, Family, NotEnoughData, Scores
from app.learning.recommenders.sparse import aged, most_recent, narrow, shared_histories

_BYTES_PER_ENTRY = 10
"""Peak memory for each entry of the Gram matrix: itself and its weights in float32, and room for copies."""


class EASEConfig(Config):
    regularization: float = Field(default=1.0, gt=0.0)
    """Ridge, in multiples of the items' mean squared norm."""
    half_life: float | None = Field(default=None, gt=0.0)
    """Days after which an event counts half in what is learned; None: all count alike."""
    recency: float | None = Field(default=None, gt=0.0)
    """Days after which an item counts half in the history that is scored; None: all count alike."""
    memory_mb: int = Field(default=500, ge=1)
    """Memory that the fit may take: a larger catalogue is cut to its most frequent items."""
    max_history: int = Field(default=500, ge=2)
    """Most recent items of a subject that are learned from."""

    @property
    def max_items(self) -> int:
        """Items that fit into the memory; known before the start."""
        return int(np.sqrt(self.memory_mb * 2**20 / _BYTES_PER_ENTRY))


@dataclass(frozen=True)
class EASE:
    """Weights between the items that the regression covers."""

    recency: float | None
    items: NDArray[np.int32]
    """The covered items, ascending, `(n_covered,)`."""
    weights: NDArray[np.float32]
    """`(n_covered, n_covered)`, zero diagonal; row: item of the history, column: item scored."""
    n_items: int

    def score(self, histories: Histories) -> Scores:
        known = aged(histories, self.recency)
        place = np.full(self.n_items, -1, dtype=np.int32)
        place[self.items] = np.arange(len(self.items), dtype=np.int32)
        scores = np.zeros((len(histories), self.n_items), dtype=np.float32)
        for row in range(len(histories)):
            part = slice(known.indptr[row], known.indptr[row + 1])
            places = place[known.indices[part]]
            covered = places >= 0
            # Only the rows of the history are read from the (mapped) weights.
            scores[row, self.items] = known.data[part][covered] @ self.weights[places[covered]]
        return scores

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "items": self.items,
            "weights": self.weights,
            "n_items": np.array(self.n_items, dtype=np.int64),
        }

    @classmethod
    def from_arrays(cls, config: EASEConfig, arrays: Arrays) -> Self:
        return cls(config.recency, arrays["items"], arrays["weights"], int(arrays["n_items"]))


def fit(config: EASEConfig, dataset: Dataset, rng: np.random.Generator) -> EASE:
    """Solve for all items at once: `B = I - P / diag(P)` with `P = (X'X + λI)^-1` (Steck 2019).

    A catalogue too large for the memory keeps its most frequent items; the others score 0. Raises
    `NotEnoughData` where no subject has two items.
    """
    matrix = most_recent(shared_histories(dataset, config.half_life), config.max_history)
    frequency = np.bincount(matrix.indices, minlength=dataset.n_items)
    items = np.sort(np.argsort(-frequency, kind="stable")[: config.max_items])
    covered = items[frequency[items] > 0].astype(np.int32)
    kept = narrow(csr_array(matrix[:, covered]))
    gram = np.asarray((kept.T @ kept).toarray(order="F"), dtype=np.float32)
    diagonal = np.diag_indices_from(gram)
    gram[diagonal] += config.regularization * float(gram[diagonal].mean())
    factor, failed = lapack.spotrf(gram, lower=1, overwrite_a=1, clean=0)
    if failed:
        raise NotEnoughData("needs histories that differ: their Gram matrix cannot be factored")
    inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    weights = np.tril(inverse)
    del factor, inverse
    weights += np.tril(weights, -1).T
    weights /= -np.diag(weights)[None, :].copy()
    weights[diagonal] = 0.0
    return EASE(config.recency, covered, np.ascontiguousarray(weights), dataset.n_items)


SPACE = {"half_life": (30.0, 90.0, 10.0), "recency": (90.0, 30.0, 10.0), "regularization": (3.0, 10.0, 0.3)}

FAMILY = Family("ease", "collaborative", EASEConfig, fit, EASE, SPACE)
