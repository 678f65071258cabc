"""A walk from an item to those who chose it, to what else they chose, popular items damped."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array

from app.learning.dataset import Dataset, Histories
from app.learning.recommenders.base import Arrays, Config, Family, Scores
from app.learning.recommenders.contributions import through_links
from app.learning.recommenders.similarity import Floats, nearest
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


class RP3betaConfig(Config):
    alpha: float = Field(default=0.8, gt=0.0, le=2.0)
    """Exponent of the probabilities of a step."""
    beta: float = Field(default=0.4, ge=0.0, le=2.0)
    """Exponent by which an item's popularity divides its score."""
    neighbours: int = Field(default=200, ge=1, le=10_000)
    """Items kept that are reached from each item."""
    half_life: float | None = Field(default=None, gt=0.0)
    """Days after which an event counts half in what is learned; None: all count alike."""
    recency: float | None = Field(default=None, gt=0.0)
    """Days after which an item counts half in the history that is scored; None: all count alike."""
    max_history: int = Field(default=500, ge=2)
    """Most recent items of a subject that are learned from."""


@dataclass(frozen=True)
class RP3beta(Spreading):
    """How readily each item is reached from each other, `(n_items, n_items)`."""

    recency: float | None
    reached: csr_array

    def _product(self, histories: Histories) -> tuple[csr_array, csr_array]:
        return aged(histories, self.recency), self.reached

    def contributions(self, histories: Histories, items: NDArray[np.int32]) -> Scores:
        known = histories.matrix.indices
        weights = aged(histories, self.recency).data
        return through_links(known, weights, self.reached, items)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return csr_to_arrays("reached", self.reached)

    @classmethod
    def from_arrays(cls, config: RP3betaConfig, arrays: Arrays) -> Self:
        return cls(config.recency, csr_from_arrays("reached", arrays))


def fit(config: RP3betaConfig, dataset: Dataset, rng: np.random.Generator) -> RP3beta:
    """Multiply the probabilities of the two steps after the first (Paudel et al. 2017).

    Raises `NotEnoughData` where no subject has two items.
    """
    matrix = most_recent(shared_histories(dataset, config.half_life), config.max_history)
    popularity = np.bincount(matrix.indices, weights=matrix.data, minlength=dataset.n_items)
    damping = np.zeros(dataset.n_items)
    np.power(popularity, -config.beta, out=damping, where=popularity > 0)
    to_people = _steps(csr_array(matrix.T), config.alpha)
    to_items = _steps(matrix, config.alpha)

    def damped(_chunk: slice, product: csr_array) -> Floats:
        return np.asarray(product.data * damping[product.indices])

    return RP3beta(config.recency, nearest(to_people, config.neighbours, damped, to_items))


def _steps(matrix: csr_array, alpha: float) -> csr_array:
    """Probabilities of going from a row to each of its columns, to the power `alpha`."""
    matrix = narrow(csr_array(matrix.astype(np.float64)))
    total = np.asarray(matrix.sum(axis=1)).ravel()
    matrix.data = (matrix.data / total[entry_rows(matrix)]) ** alpha
    return matrix


SPACE = {"half_life": (30.0, 90.0, 10.0), "recency": (90.0, 30.0, 10.0), "beta": (0.6, 0.2)}

FAMILY = Family("rp3beta", "collaborative", RP3betaConfig, fit, RP3beta, SPACE)
