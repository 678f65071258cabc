"""What people turn to next after an item."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import coo_array, csr_array

from app.learning.dataset import DAY_MS, Dataset, Histories
from app.learning.recommenders.base import Arrays, Config, Family, NotEnoughData, Scores
from app.learning.recommenders.contributions import entry_weights, through_links
from app.learning.recommenders.sequences import choices, latest
from app.learning.recommenders.similarity import strongest
from app.learning.recommenders.sparse import Spreading, csr_from_arrays, csr_to_arrays, entry_rows


class TransitionsConfig(Config):
    window: int = Field(default=5, ge=1, le=50)
    """Items after an item that count as next, the nearer the more."""
    last: int = Field(default=5, ge=1, le=100)
    """Latest items of the history that lead on."""
    half_life: float | None = Field(default=None, gt=0.0)
    """Days after which a transition counts half; None: all count alike."""
    longest_gap: float = Field(default=7.0, gt=0.0)
    """Days between two items after which they are no transition."""
    neighbours: int = Field(default=200, ge=1, le=10_000)
    """Next items kept for each item."""
    prior: float = Field(default=3.0, ge=0.0)
    """Transitions to nowhere in particular that are added to those of each item."""


@dataclass(frozen=True)
class Transitions(Spreading):
    """How often each item leads to each other, `(n_items, n_items)`."""

    last: int
    following: csr_array

    def _product(self, histories: Histories) -> tuple[csr_array, csr_array]:
        return latest(histories, self.last, _harmonic), self.following

    def contributions(self, histories: Histories, items: NDArray[np.int32]) -> Scores:
        weights = entry_weights(histories, latest(histories, self.last, _harmonic))
        return through_links(histories.matrix.indices, weights, self.following, items)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return csr_to_arrays("following", self.following)

    @classmethod
    def from_arrays(cls, config: TransitionsConfig, arrays: Arrays) -> Self:
        return cls(config.last, csr_from_arrays("following", arrays))


def fit(config: TransitionsConfig, dataset: Dataset, rng: np.random.Generator) -> Transitions:
    """Count what follows within the window, `1 / distance` each (sequential rules, Ludewig & Jannach 2018).

    Raises `NotEnoughData` without transitions.
    """
    chosen = choices(dataset)
    subject, item, moment = chosen.subject, chosen.item, chosen.occurred_at
    fresh = np.ones(len(item), dtype=np.bool_)
    fresh[1:] = (subject[1:] != subject[:-1]) | (item[1:] != item[:-1])
    subject, item, moment, weight = subject[fresh], item[fresh], moment[fresh], chosen.weight[fresh]
    shape = (dataset.n_items, dataset.n_items)
    total: Any = csr_array(shape, dtype=np.float32)
    for distance in range(1, min(config.window, max(1, len(item) - 1)) + 1):
        first, then = slice(None, -distance), slice(distance, None)
        gap = moment[then] - moment[first]
        # Events of one instant have no order that means anything.
        valid = (subject[then] == subject[first]) & (item[then] != item[first]) & (gap > 0)
        valid &= gap <= config.longest_gap * DAY_MS
        counts = weight[then][valid] / np.float32(distance)
        if config.half_life is not None:
            ages = (dataset.as_of - moment[then][valid]) / DAY_MS
            counts *= np.exp2(-ages / config.half_life).astype(np.float32)
        total = total + coo_array((counts, (item[first][valid], item[then][valid])), shape=shape).tocsr()
    if not total.nnz:
        raise NotEnoughData("needs somebody who turned from one item to another at a later moment")
    counted = csr_array(total)
    leaving = np.asarray(counted.sum(axis=1)).ravel() + config.prior
    counted.data = counted.data / leaving[entry_rows(counted)]
    return Transitions(config.last, strongest(counted, config.neighbours))


def _harmonic(place: NDArray[np.int64]) -> NDArray[np.floating]:
    """1, 1/2, 1/3 …"""
    return 1.0 / (1.0 + place)


SPACE = {"last": (20,), "window": (10,), "half_life": (30.0,), "longest_gap": (30.0,)}

FAMILY = Family("transitions", "session", TransitionsConfig, fit, Transitions, SPACE)
