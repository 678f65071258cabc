"""What the people like with whom somebody is connected."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array

from app.learning.dataset import Dataset, Histories
from app.learning.matrices import reweighted
from app.learning.preferences import dataset_histories
from app.learning.recommenders.base import Arrays, Config, Family, NotEnoughData
from app.learning.recommenders.sparse import (
    Spreading,
    csr_from_arrays,
    csr_to_arrays,
    empty,
    entry_rows,
    most_recent,
    narrow,
)


class SocialConfig(Config):
    damping: float = Field(default=0.3, ge=0.0, le=1.0)
    """Exponent by which an item's popularity divides its score: what all like tells little of a circle."""
    half_life: float | None = Field(default=None, gt=0.0)
    """Days after which an event counts half in what is learned; None: all count alike."""
    max_history: int = Field(default=500, ge=1)
    """Most recent items of a user that are kept."""


@dataclass(frozen=True)
class Social(Spreading):
    """Preferences of the users to whom somebody is tied, `(n_users, n_items)`, popular items damped."""

    preferences: csr_array

    def _product(self, histories: Histories) -> tuple[csr_array, csr_array]:
        ties = histories.ties
        if ties is None or not ties.nnz:
            return empty(len(histories), self.preferences.shape[0]), self.preferences
        weight = np.asarray(ties.sum(axis=1)).ravel()
        shares = (ties.data / weight[entry_rows(ties)]).astype(np.float32)
        return reweighted(ties, shares), self.preferences

    def supporters(self, histories: Histories, items: NDArray[np.int32]) -> NDArray[np.int64]:
        """How many of the users to whom somebody is tied like each wanted item, `(n_wanted,)`.

        `histories` is a batch of one.
        """
        if histories.ties is None:
            return np.zeros(len(items), dtype=np.int64)
        tied = csr_array(csr_array(self.preferences[histories.ties.indices])[:, items])
        return np.bincount(tied.indices[tied.data > 0], minlength=len(items))

    def arrays(self) -> dict[str, NDArray[Any]]:
        return csr_to_arrays("preferences", self.preferences)

    @classmethod
    def from_arrays(cls, config: SocialConfig, arrays: Arrays) -> Self:
        return cls(csr_from_arrays("preferences", arrays))


def fit(config: SocialConfig, dataset: Dataset, rng: np.random.Generator) -> Social:
    """Keep what the users at the other end of a tie like, for a mean weighed by the ties.

    Raises `NotEnoughData` where there are no ties to users with a positive event.
    """
    needed = "needs relations between users, to users with positive events"
    if dataset.ties is None or not dataset.ties.nnz or not len(dataset.log):
        raise NotEnoughData(needed)
    matrix = most_recent(dataset_histories(dataset, config.half_life), config.max_history)[: dataset.n_users]
    tied = np.zeros(dataset.n_users, dtype=np.bool_)
    tied[dataset.ties.indices] = True
    popularity = np.bincount(matrix.indices, weights=matrix.data, minlength=dataset.n_items)
    damping = np.maximum(popularity, 1e-9) ** -config.damping
    keep = tied[entry_rows(matrix)]
    if not keep.any():
        raise NotEnoughData(needed)
    indptr = np.concatenate([[0], np.cumsum(keep)])[matrix.indptr]
    indices = matrix.indices[keep]
    data = (matrix.data[keep] * damping[indices]).astype(np.float32)
    return Social(narrow(csr_array((data, indices, indptr), shape=matrix.shape)))


SPACE = {"damping": (0.0, 0.6)}

FAMILY = Family("social", "social", SocialConfig, fit, Social, SPACE)
