"""What people with a similar history liked."""

from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array

from app.learning.dataset import Dataset, Histories
from app.learning.matrices import reweighted
from app.learning.recommenders.base import Arrays, Config, Family, Scores
from app.learning.recommenders.contributions import through_neighbours
from app.learning.recommenders.evidence import Evidence, best, gather
from app.learning.recommenders.similarity import Measure, Moments, similarity, strongest
from app.learning.recommenders.sparse import (
    Spreading,
    aged,
    csr_from_arrays,
    csr_to_arrays,
    entry_rows,
    narrow,
    shared_histories,
)
from app.learning.recommenders.weighting import rarity


class UserNeighboursConfig(Config):
    similarity: Measure = "cosine"
    """How two histories are compared over all items."""
    weighting: Literal["none", "tf_idf"] = "none"
    """How preferences are weighed where histories are compared: what everybody chooses tells less."""
    neighbours: int = Field(default=100, ge=1, le=10_000)
    """Most similar subjects that are asked."""
    max_users: int = Field(default=50_000, ge=1)
    """Most recently active subjects that are kept; only those with two items or more."""
    half_life: float | None = Field(default=None, gt=0.0)
    """Days after which an event counts half in what is learned; None: all count alike."""
    recency: float | None = Field(default=None, gt=0.0)
    """Days after which an item counts half in the history that is scored; None: all count alike."""


@dataclass(frozen=True)
class UserNeighbours(Spreading):
    """Kept histories, `(n_kept, n_items)`, in the order of their subjects.

    A model does not know who asks: a subject that is among the kept finds itself, most similar of all.
    That adds nothing to the order of items it has not seen; who lists neighbours drops the asker.
    """

    config: UserNeighboursConfig
    subjects: NDArray[np.int64]
    """Row in the data set of each kept history, ascending."""
    kept: csr_array
    kept_by_item: csr_array
    """`kept`, weighed and transposed, so that a request touches only the subjects that share an item.

    Float64, as Euclidean distances are small differences of large sums.
    """
    moments: Moments
    rarity: NDArray[np.float64]
    """Weight of each item where histories are compared, `(n_items,)`."""

    def _product(self, histories: Histories) -> tuple[csr_array, csr_array]:
        return self._nearest(histories, self.config.neighbours), self.kept

    def evidence(self, histories: Histories) -> Evidence:
        asked = self._asked(histories)
        met = gather(asked, self.kept_by_item, np.float64)
        asking, theirs = Moments.of_rows(asked), self.moments.take(met.items)
        similarities = similarity(self.config.similarity, met.scores, asking, theirs)
        return gather(best(replace(met, scores=similarities), self.config.neighbours), self.kept)

    def neighbours(self, histories: Histories, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Subjects with the most similar histories, best first, with their similarities, `(n_batch, k)`.

        Subjects are rows of the training data set, -1 (similarity 0) where there are fewer than `k`;
        equally similar ones come in the order of their rows. The asker itself may be among them.
        """
        found = self._nearest(histories, k)
        rows = entry_rows(found)
        order = np.lexsort((found.indices, -found.data, rows))
        place = np.arange(found.nnz) - found.indptr[rows]
        subjects = np.full((len(histories), k), -1, dtype=np.int64)
        similarities = np.zeros((len(histories), k), dtype=np.float32)
        subjects[rows, place] = self.subjects[found.indices[order]]
        similarities[rows, place] = found.data[order]
        return subjects, similarities

    def _nearest(self, histories: Histories, k: int) -> csr_array:
        """Similarity to the `k` nearest kept histories, `(n_batch, n_kept)`."""
        asked = self._asked(histories)
        product = csr_array(asked @ self.kept_by_item)
        asking = Moments.of_rows(asked).take(entry_rows(product))
        product.data = similarity(
            self.config.similarity, product.data, asking, self.moments.take(product.indices)
        )
        return strongest(product, k)

    def _asked(self, histories: Histories) -> csr_array:
        """The histories as they are compared, float64."""
        asked = narrow(aged(histories, self.config.recency))
        return reweighted(asked, asked.data * self.rarity[asked.indices])

    def contributions(self, histories: Histories, items: NDArray[np.int32]) -> Scores:
        known = histories.matrix.indices
        weights = (aged(histories, self.config.recency).data * self.rarity[known]).astype(np.float32)
        nearest = self._nearest(histories, self.config.neighbours)
        return through_neighbours(known, weights, self.kept_by_item, nearest, self.kept, items)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "subjects": self.subjects,
            "sums": self.moments.sums,
            "squares": self.moments.squares,
            "rarity": self.rarity,
            **csr_to_arrays("kept", self.kept),
            **csr_to_arrays("kept_by_item", self.kept_by_item),
        }

    @classmethod
    def from_arrays(cls, config: UserNeighboursConfig, arrays: Arrays) -> Self:
        kept = csr_from_arrays("kept", arrays)
        moments = Moments(arrays["sums"], arrays["squares"], int(kept.shape[1]))
        by_item = csr_from_arrays("kept_by_item", arrays)
        return cls(config, arrays["subjects"], kept, by_item, moments, arrays["rarity"])


def fit(config: UserNeighboursConfig, dataset: Dataset, rng: np.random.Generator) -> UserNeighbours:
    """Keep the histories of the most recently active subjects.

    User-based neighbourhood scoring after Herlocker et al. 1999, on implicit preferences.
    Raises `NotEnoughData` where no subject has two items.
    """
    histories = shared_histories(dataset, config.half_life)
    matrix = histories.matrix
    idle = np.full(matrix.shape[0], np.inf, dtype=np.float32)
    np.minimum.at(idle, entry_rows(matrix), histories.ages)
    eligible = np.flatnonzero(np.diff(matrix.indptr) >= 2)
    latest = eligible[np.argsort(idle[eligible], kind="stable")[: config.max_users]]
    subjects = np.sort(latest).astype(np.int64)
    kept = narrow(csr_array(matrix[subjects]))
    scale = rarity(kept) if config.weighting == "tf_idf" else np.ones(dataset.n_items)
    scaled = reweighted(kept, kept.data * scale[kept.indices])
    return UserNeighbours(config, subjects, kept, narrow(csr_array(scaled.T)), Moments.of_rows(scaled), scale)


SPACE = {
    "weighting": ("tf_idf",),
    "neighbours": (300, 30),
    "recency": (90.0, 30.0),
    "half_life": (90.0, 30.0),
}

FAMILY = Family("user_neighbours", "collaborative", UserNeighboursConfig, fit, UserNeighbours, SPACE)
