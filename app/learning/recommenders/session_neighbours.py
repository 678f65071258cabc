"""What was chosen in visits like this one."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import coo_array, csr_array

from app.learning.dataset import DAY_MS, Dataset, Histories
from app.learning.recommenders.base import Arrays, Config, Family, NotEnoughData, Scores
from app.learning.recommenders.contributions import entry_weights, through_neighbours
from app.learning.recommenders.evidence import Evidence, Selective, best, by_row, gather
from app.learning.recommenders.sequences import choices, latest
from app.learning.recommenders.similarity import strongest
from app.learning.recommenders.sparse import csr_from_arrays, csr_to_arrays, entry_rows, narrow, spread


class SessionNeighboursConfig(Config):
    neighbours: int = Field(default=100, ge=1, le=10_000)
    """Visits that a history is compared with."""
    max_sessions: int = Field(default=50_000, ge=10)
    """Latest visits that are kept."""
    pause_minutes: float = Field(default=60.0, gt=0.0)
    """Minutes without an event after which a new visit begins."""
    last: int = Field(default=10, ge=1, le=200)
    """Latest items of the history that are compared."""
    half_life: float | None = Field(default=30.0, gt=0.0)
    """Days after which a visit counts half; None: all count alike."""


@dataclass(frozen=True)
class SessionNeighbours(Selective):
    """Kept visits, their items and their age."""

    config: SessionNeighboursConfig
    visits: csr_array
    """`(n_visits, n_items)`: ones."""
    visits_by_item: csr_array
    """`visits` transposed, each visit scaled by its length and age."""
    rarity: NDArray[np.float32]
    """Weight of each item as a recommendation, `(n_items,)`."""

    def score(self, histories: Histories) -> Scores:
        return spread(self._nearest(self._latest(histories)), self.visits) * self.rarity

    def evidence(self, histories: Histories) -> Evidence:
        nearest = best(gather(self._latest(histories), self.visits_by_item), self.config.neighbours)
        return gather(nearest, self.visits).times(self.rarity)

    def evidences(self, histories: Histories) -> list[Evidence]:
        found = csr_array(self._nearest(self._latest(histories)) @ self.visits)
        found.data *= self.rarity[found.indices]
        return by_row(found)

    def contributions(self, histories: Histories, items: NDArray[np.int32]) -> Scores:
        known = self._latest(histories)
        weights = entry_weights(histories, known)
        nearest = self._nearest(known)
        parts = through_neighbours(
            histories.matrix.indices, weights, self.visits_by_item, nearest, self.visits, items
        )
        return parts * self.rarity[items][:, None]

    def _latest(self, histories: Histories) -> csr_array:
        last = self.config.last
        return latest(histories, last, lambda place: 1.0 - place / last)

    def _nearest(self, known: csr_array) -> csr_array:
        """Similarity to the nearest visits, `(n_batch, n_visits)`."""
        return strongest(csr_array(known @ self.visits_by_item), self.config.neighbours)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "rarity": self.rarity,
            **csr_to_arrays("visits", self.visits),
            **csr_to_arrays("visits_by_item", self.visits_by_item),
        }

    @classmethod
    def from_arrays(cls, config: SessionNeighboursConfig, arrays: Arrays) -> Self:
        visits = csr_from_arrays("visits", arrays)
        return cls(config, visits, csr_from_arrays("visits_by_item", arrays), arrays["rarity"])


def fit(config: SessionNeighboursConfig, dataset: Dataset, rng: np.random.Generator) -> SessionNeighbours:
    """Keep the latest visits with two items or more.

    Vector session neighbours with the time decays of VSTAN (Ludewig, Mauro, Latifi & Jannach 2021): the
    latest items of the asker weigh most, old visits count less, and frequent items are damped by their
    inverse document frequency. Raises `NotEnoughData` where no visit has two items.
    """
    chosen = choices(dataset)
    subject, item, moment = chosen.subject, chosen.item, chosen.occurred_at
    begins = np.ones(len(item), dtype=np.bool_)
    pause = config.pause_minutes * 60_000
    begins[1:] = (subject[1:] != subject[:-1]) | (np.diff(moment) > pause)
    visit = np.cumsum(begins) - 1
    n_visits = int(visit[-1]) + 1 if len(visit) else 0
    matrix = coo_array(
        (np.ones(len(item), dtype=np.float32), (visit, item)), shape=(n_visits, dataset.n_items)
    ).tocsr()
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    lengths = np.diff(matrix.indptr)
    ended = np.zeros(n_visits, dtype=np.int64)
    np.maximum.at(ended, visit, moment)
    useful = np.flatnonzero(lengths >= 2)
    if not len(useful):
        raise NotEnoughData("needs at least one visit with positive events on two different items")
    kept = np.sort(useful[np.argsort(-ended[useful], kind="stable")[: config.max_sessions]])
    visits = narrow(csr_array(matrix[kept]))
    of_visit = np.ones(n_visits)
    of_visit[visit] = chosen.weight
    weight = of_visit[kept] / np.sqrt(lengths[kept])
    if config.half_life is not None:
        weight = weight * np.exp2(-(dataset.as_of - ended[kept]) / DAY_MS / config.half_life)
    scaled = csr_array(visits, copy=True)
    scaled.data = weight.astype(np.float32)[entry_rows(visits)]
    of_entry = of_visit[kept][entry_rows(visits)]
    frequency = np.bincount(visits.indices, weights=of_entry, minlength=dataset.n_items)
    rarity = np.log1p(of_visit[kept].sum() / np.maximum(frequency, 1)).astype(np.float32)
    return SessionNeighbours(config, visits, narrow(csr_array(scaled.T)), rarity)


SPACE = {"last": (50, 200), "half_life": (15.0, 7.0, 90.0, None), "neighbours": (500,)}

FAMILY = Family("session_neighbours", "session", SessionNeighboursConfig, fit, SessionNeighbours, SPACE)
