"""What most people liked lately; the same for everyone."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from app.learning.dataset import Dataset, Histories
from app.learning.preferences import dataset_histories
from app.learning.recommenders.base import Arrays, Config, Family, NotEnoughData, Scores


class PopularityConfig(Config):
    half_life: float = Field(default=60.0, gt=0.0)
    """Days after which an event counts half."""


@dataclass(frozen=True)
class ItemScores:
    """One score for each item, `(n_items,)` float32, whatever the history."""

    item_scores: NDArray[np.float32]

    def score(self, histories: Histories) -> Scores:
        return np.tile(self.item_scores, (len(histories), 1))

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"item_scores": self.item_scores}

    @classmethod
    def from_arrays(cls, config: Config, arrays: Arrays) -> Self:
        return cls(arrays["item_scores"])


def item_interest(dataset: Dataset, half_life: float | None) -> NDArray[np.float64]:
    """Preference for each item summed over subjects, `(n_items,)`.

    Each subject's events are damped before the sum, so that ten people weigh more than one person ten
    times. Raises `NotEnoughData` without positive events.
    """
    if len(dataset.log):
        matrix = dataset_histories(dataset, half_life).matrix
        interest = np.bincount(matrix.indices, weights=matrix.data, minlength=dataset.n_items)
        if interest.any():
            return interest.astype(np.float64)
    raise NotEnoughData("needs at least one event with a positive weight")


def fit(config: PopularityConfig, dataset: Dataset, rng: np.random.Generator) -> ItemScores:
    """Sum what subjects like, older events counting less."""
    return ItemScores(item_interest(dataset, config.half_life).astype(np.float32))


SPACE = {"half_life": (7.0, 21.0, 365.0)}

FAMILY = Family("popularity", "popular", PopularityConfig, fit, ItemScores, SPACE)
