"""Items that the same people liked."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array

from app.learning.dataset import Dataset, Histories
from app.learning.matrices import reweighted
from app.learning.recommenders.base import Arrays, Config, Family, NotEnoughData, Scores
from app.learning.recommenders.contributions import through_links
from app.learning.recommenders.neighbourhoods import nearest_by_people
from app.learning.recommenders.similarity import Measure
from app.learning.recommenders.sparse import (
    Spreading,
    aged,
    csr_from_arrays,
    csr_to_arrays,
    entry_rows,
    most_recent,
    narrow,
    shared_histories,
)
from app.learning.recommenders.weighting import Weighting, weighted


class ItemNeighboursConfig(Config):
    similarity: Measure | Literal["adjusted_cosine", "dot"] = "cosine"
    """How two items are compared by the preferences of all subjects; adjusted: less each subject's mean."""
    weighting: Weighting = "none"
    """How the preferences are weighed before: subjects who choose everything count less."""
    neighbours: int = Field(default=100, ge=1, le=10_000)
    """Most similar items kept for each item."""
    shrinkage: float = Field(default=10.0, ge=0.0)
    """Common subjects at which a similarity counts half."""
    max_history: int = Field(default=500, ge=2)
    """Most recent items of a subject that are learnt from, so that a robot's visit costs little."""
    half_life: float | None = Field(default=None, gt=0.0)
    """Days after which an event counts half in what is learned; None: all count alike."""
    recency: float | None = Field(default=None, gt=0.0)
    """Days after which an item counts half in the history that is scored; None: all count alike."""


@dataclass(frozen=True)
class ItemNeighbours(Spreading):
    """Similarities `(n_items, n_items)`: in each row the neighbours of an item."""

    recency: float | None
    similarities: csr_array

    def _product(self, histories: Histories) -> tuple[csr_array, csr_array]:
        return aged(histories, self.recency), self.similarities

    def contributions(self, histories: Histories, items: NDArray[np.int32]) -> Scores:
        known = histories.matrix.indices
        weights = aged(histories, self.recency).data
        return through_links(known, weights, self.similarities, items)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return csr_to_arrays("similarities", self.similarities)

    @classmethod
    def from_arrays(cls, config: ItemNeighboursConfig, arrays: Arrays) -> Self:
        return cls(config.recency, csr_from_arrays("similarities", arrays))


def fit(config: ItemNeighboursConfig, dataset: Dataset, rng: np.random.Generator) -> ItemNeighbours:
    """Find each item's neighbours.

    Item-based top-N recommendation (Deshpande & Karypis 2004) with support shrinkage (Bell & Koren 2007):
    a similarity is multiplied by `n / (n + shrinkage)`, `n` the subjects that have both items. Adjusted
    cosine: Sarwar, Karypis, Konstan & Riedl (2001).
    Raises `NotEnoughData` where no subject has two items, or nothing is similar.
    """
    by_subject = most_recent(shared_histories(dataset, config.half_life), config.max_history)
    measure = config.similarity
    if measure == "adjusted_cosine":
        by_subject, measure = _centred(by_subject), "cosine"
    by_item = weighted(narrow(csr_array(by_subject.T)), config.weighting)
    similarities = nearest_by_people(by_item, config.neighbours, measure, config.shrinkage)
    if similarities.nnz == 0:
        raise NotEnoughData(f"needs items with positive {config.similarity} similarity; there are none")
    return ItemNeighbours(config.recency, similarities)


def _centred(matrix: csr_array) -> csr_array:
    """Each value less the mean of its row's values."""
    rows = entry_rows(matrix)
    count = np.maximum(np.diff(matrix.indptr), 1)
    mean = np.bincount(rows, weights=matrix.data, minlength=matrix.shape[0]) / count
    return reweighted(matrix, matrix.data - mean[rows])


SPACE = {
    "weighting": ("tf_idf", "bm25"),
    "recency": (90.0, 30.0),
    "half_life": (90.0, 30.0),
    "shrinkage": (100.0, 0.0),
    "neighbours": (300,),
}

FAMILY = Family("item_neighbours", "collaborative", ItemNeighboursConfig, fit, ItemNeighbours, SPACE)
