"""What the person looked at lately and did not buy, to be found again."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array

from app.learning.dataset import DAY_MS, Dataset, Histories
from app.learning.matrices import reweighted
from app.learning.preferences import positive, purchases
from app.learning.recommenders.base import Arrays, Config, Family, NotEnoughData, Scores
from app.learning.recommenders.evidence import Evidence, Selective, by_row
from app.learning.recommenders.sparse import entry_rows


class RecentlyViewedConfig(Config):
    half_life: float = Field(default=7.0, gt=0.0)
    """Days after which what was looked at counts half."""


@dataclass(frozen=True)
class RecentlyViewed(Selective):
    """Nothing of the items themselves: only what each did with them counts."""

    half_life: float
    purchase: float
    """Preference that a purchase makes; what is below stands for a look where purchases are not told."""

    def score(self, histories: Histories) -> Scores:
        matrix = histories.matrix
        scores = np.zeros(matrix.shape, dtype=np.float32)
        scores[entry_rows(matrix), matrix.indices] = self._fresh(histories)
        return scores

    def evidence(self, histories: Histories) -> Evidence:
        return self.evidences(histories)[0]

    def evidences(self, histories: Histories) -> list[Evidence]:
        return by_row(reweighted(histories.matrix, self._fresh(histories)))

    def _fresh(self, histories: Histories) -> Scores:
        """How fresh the look at each entry of the histories is, `(nnz,)`; 0 for what was bought."""
        matrix, occasions = histories.matrix, histories.occasions
        looked = matrix.data < self.purchase
        if occasions is not None and occasions.bought is not None:
            bought = _places(occasions.days)[occasions.bought]
            looked = ~np.isin(_places(matrix), bought)
        return np.where(looked, np.exp2(-histories.ages / np.float32(self.half_life)), np.float32(0))

    def contributions(self, histories: Histories, items: NDArray[np.int32]) -> Scores:
        known = histories.matrix.indices
        scores = self.score(histories)[0, known]
        return np.asarray(np.where(items[:, None] == known, scores, 0.0), dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"purchase": np.array(self.purchase, dtype=np.float64)}

    @classmethod
    def from_arrays(cls, config: RecentlyViewedConfig, arrays: Arrays) -> Self:
        return cls(config.half_life, float(arrays["purchase"]))


def fit(config: RecentlyViewedConfig, dataset: Dataset, rng: np.random.Generator) -> RecentlyViewed:
    """See whether people do come back to what they looked at; there is nothing else to learn.

    Raises `NotEnoughData` where nobody did on another day.
    """
    if not _some_came_back(dataset):
        raise NotEnoughData("needs somebody who looked at an item and came back to it on another day")
    weight = dataset.event_weights.get("purchase", 0.0)
    return RecentlyViewed(config.half_life, float(np.log1p(weight)) if weight > 0 else float("inf"))


def _places(matrix: csr_array) -> NDArray[np.int64]:
    """A number for row and column of each entry."""
    return entry_rows(matrix) * matrix.shape[1] + matrix.indices


def _some_came_back(dataset: Dataset) -> bool:
    log = dataset.log
    chosen = positive(dataset)
    looked = chosen & ~purchases(dataset)
    day = (dataset.as_of - log.occurred_at) // DAY_MS
    pair = log.subject.astype(np.int64) * dataset.n_items + log.item
    pairs, place = np.unique(pair[chosen], return_inverse=True)
    latest = np.full(len(pairs), np.iinfo(np.int64).max)
    np.minimum.at(latest, place, day[chosen])
    return bool((day[looked] > latest[np.searchsorted(pairs, pair[looked])]).any())


SPACE = {"half_life": (2.0, 30.0)}

FAMILY = Family("recently_viewed", "recent", RecentlyViewedConfig, fit, RecentlyViewed, SPACE)
