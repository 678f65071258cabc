"""What the person chose before, to be chosen again."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from app.learning.dataset import DAY_MS, Dataset, Histories
from app.learning.preferences import dataset_histories
from app.learning.recommenders.base import Arrays, Config, Family, NotEnoughData, Scores


class RepeatConfig(Config):
    recency: float | None = Field(default=365.0, gt=0.0)
    """Days after which an item of the history counts half; None: all count alike."""
    prior: float = Field(default=5.0, ge=0.0)
    """Subjects of average habit that are added to those of each item, so that few tell little."""


@dataclass(frozen=True)
class Repeat:
    """How often each item is chosen again by those who chose it, `(n_items,)`."""

    recency: float | None
    rate: NDArray[np.float32]

    def score(self, histories: Histories) -> Scores:
        matrix = histories.matrix
        scores = np.zeros(matrix.shape, dtype=np.float32)
        rows = np.repeat(np.arange(len(histories)), np.diff(matrix.indptr))
        faded = 1.0 if self.recency is None else np.exp2(-histories.ages / np.float32(self.recency))
        scores[rows, matrix.indices] = matrix.data * self.rate[matrix.indices] * faded
        return scores

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"rate": self.rate}

    @classmethod
    def from_arrays(cls, config: RepeatConfig, arrays: Arrays) -> Self:
        return cls(config.recency, arrays["rate"])


def fit(config: RepeatConfig, dataset: Dataset, rng: np.random.Generator) -> Repeat:
    """Count on how many days a subject comes back to an item, smoothed towards the habit of the shop.

    Raises `NotEnoughData` where nobody ever came back to an item on another day.
    """
    log = dataset.log
    matrix = dataset_histories(dataset).matrix if len(log) else None
    if matrix is None or not matrix.nnz:
        raise NotEnoughData("needs at least one event with a positive weight")
    pair = log.subject.astype(np.int64) * dataset.n_items + log.item
    day = log.occurred_at // DAY_MS
    order = np.lexsort((day, pair))
    pair, day = pair[order], day[order]
    new_pair = np.ones(len(pair), dtype=np.bool_)
    new_pair[1:] = pair[1:] != pair[:-1]
    again = np.zeros(len(pair), dtype=np.bool_)
    again[1:] = (pair[1:] == pair[:-1]) & (day[1:] != day[:-1])
    item = pair % dataset.n_items
    returns = np.bincount(item[again], minlength=dataset.n_items)
    chosen = np.bincount(item[new_pair], minlength=dataset.n_items)
    if not returns.any():
        raise NotEnoughData("needs somebody who came back to an item on another day")
    habit = returns.sum() / chosen.sum()
    rate = (returns + config.prior * habit) / (chosen + config.prior)
    return Repeat(config.recency, rate.astype(np.float32))


SPACE = {"recency": (120.0, 30.0, None)}

FAMILY = Family("repeat", "buy_again", RepeatConfig, fit, Repeat, SPACE)
