"""Items that the same people liked."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array

from app.learning.dataset import Dataset, Histories
from app.learning.recommenders.base import Arrays, Config, Family, NotEnoughData, Scores
from app.learning.recommenders.similarity import Floats, Measure, Moments, nearest, similarity
from app.learning.recommenders.sparse import (
    csr_from_arrays,
    csr_to_arrays,
    entry_rows,
    most_recent,
    narrow,
    shared_histories,
    spread,
)


class ItemNeighboursConfig(Config):
    similarity: Measure = "cosine"
    """How two items are compared by the preferences of all subjects."""
    neighbours: int = Field(default=100, ge=1, le=10_000)
    """Most similar items kept for each item."""
    shrinkage: float = Field(default=10.0, ge=0.0)
    """Common subjects at which a similarity counts half."""
    max_history: int = Field(default=500, ge=2)
    """Most recent items of a subject that are learnt from, so that a robot's visit costs little."""


@dataclass(frozen=True)
class ItemNeighbours:
    """Similarities `(n_items, n_items)`: in each row the neighbours of an item."""

    similarities: csr_array

    def score(self, histories: Histories) -> Scores:
        return spread(histories.matrix, self.similarities)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return csr_to_arrays("similarities", self.similarities)

    @classmethod
    def from_arrays(cls, config: ItemNeighboursConfig, arrays: Arrays) -> Self:
        return cls(csr_from_arrays("similarities", arrays))


def fit(config: ItemNeighboursConfig, dataset: Dataset, rng: np.random.Generator) -> ItemNeighbours:
    """Find each item's neighbours.

    Item-based top-N recommendation (Deshpande & Karypis 2004) with support shrinkage (Bell & Koren 2007):
    a similarity is multiplied by `n / (n + shrinkage)`, `n` the subjects that have both items.
    Raises `NotEnoughData` where no subject has two items, or nothing is similar.
    """
    by_subject = most_recent(shared_histories(dataset), config.max_history)
    moments = Moments.of_columns(by_subject)
    # Float64: a Euclidean distance is a difference of large sums.
    by_item = narrow(csr_array(by_subject.T.astype(np.float64)))
    present = csr_array(by_item, copy=True)
    present.data = np.ones(present.nnz, dtype=np.float32)
    present_by_subject = narrow(csr_array(present.T))

    def weigh(chunk: slice, product: csr_array) -> Floats:
        rows = entry_rows(product) + chunk.start
        weighed = similarity(
            config.similarity, product.data, moments.take(rows), moments.take(product.indices)
        )
        if config.shrinkage > 0:
            # The same structure, so the product's entries come in the same order.
            together = (present[chunk] @ present_by_subject).data
            weighed *= together / (together + config.shrinkage)
        return weighed

    similarities = nearest(by_item, config.neighbours, weigh)
    if similarities.nnz == 0:
        raise NotEnoughData(f"needs items with positive {config.similarity} similarity; there are none")
    return ItemNeighbours(similarities)


SPACE = {"shrinkage": (100.0, 0.0), "neighbours": (300,)}

FAMILY = Family("item_neighbours", "collaborative", ItemNeighboursConfig, fit, ItemNeighbours, SPACE)
