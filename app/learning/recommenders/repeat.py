"""What the person chose before, to be chosen again when it is due."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from app.learning.dataset import Dataset, Histories, Occasions
from app.learning.matrices import reweighted
from app.learning.preferences import purchases
from app.learning.recommenders.base import Arrays, Config, Family, NotEnoughData, Scores
from app.learning.recommenders.evidence import Evidence, Selective, by_row
from app.learning.recommenders.rhythm import Hazards, Waits, classes, expected_gaps, typical_gaps
from app.learning.recommenders.sparse import entry_rows


class RepeatConfig(Config):
    horizon: float = Field(default=14.0, gt=0.0)
    """Days ahead within which an item is to be chosen again."""
    prior: float = Field(default=5.0, gt=0.0)
    """Gaps and returns of average habit that are added to those of each item, so that few tell little."""


@dataclass(frozen=True)
class Repeat(Selective):
    """The rhythm of each item and the curve by which people come back."""

    horizon: float
    typical: NDArray[np.float32]
    """Logarithm of the typical gap in days, `(n_items,)`."""
    habit: NDArray[np.float32]
    """Returns to each item for one that is expected of an average item, `(n_items,)`."""
    rates: NDArray[np.float32]
    """See `Hazards`."""
    own_prior: float
    """Gaps of the person's own at which they tell as much as the item's typical one."""
    of_purchases: bool
    """Whether the shop knows purchases: then only what was bought is bought again."""

    def score(self, histories: Histories) -> Scores:
        """The chance that each item is chosen again within the horizon."""
        matrix = histories.matrix
        chances = np.zeros(matrix.shape, dtype=np.float32)
        occasions = _once(histories) if histories.occasions is None else histories.occasions
        chances[entry_rows(occasions.days), occasions.days.indices] = self._chances(occasions)
        # There may be occasions of more items than the history is asked about.
        scores = np.zeros(matrix.shape, dtype=np.float32)
        known = (entry_rows(matrix), matrix.indices)
        scores[known] = chances[known]
        return scores

    def evidence(self, histories: Histories) -> Evidence:
        return self.evidences(histories)[0]

    def evidences(self, histories: Histories) -> list[Evidence]:
        occasions = _once(histories) if histories.occasions is None else histories.occasions
        chances = by_row(reweighted(occasions.days, self._chances(occasions)))
        return [
            Evidence(known.items, chance.at(known.items), known.n_items)
            for known, chance in zip(by_row(histories.matrix), chances, strict=True)
        ]

    def contributions(self, histories: Histories, items: NDArray[np.int32]) -> Scores:
        known = histories.matrix.indices
        scores = self.score(histories)[0, known]
        return np.asarray(np.where(items[:, None] == known, scores, 0.0), dtype=np.float32)

    def _chances(self, occasions: Occasions) -> NDArray[np.float32]:
        """One for each entry of the days."""
        item = occasions.days.indices
        count = occasions.days.data.astype(np.float64)
        first, last = occasions.first.astype(np.float64), occasions.last.astype(np.float64)
        own_gap = (first - last) / np.maximum(count - 1.0, 1.0)
        gap = expected_gaps(count, own_gap, self.typical[item].astype(np.float64), self.own_prior)
        hazards, kind = Hazards(self.rates.astype(np.float64)), classes(count)
        returns = hazards.until(kind, (last + self.horizon) / gap) - hazards.until(kind, last / gap)
        chances = -np.expm1(-self.habit[item] * returns)
        if self.of_purchases and occasions.bought is not None:
            chances[~occasions.bought] = 0.0
        return np.asarray(chances, dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "typical": self.typical,
            "habit": self.habit,
            "rates": self.rates,
            "own_prior": np.array(self.own_prior, dtype=np.float64),
            "of_purchases": np.array(self.of_purchases),
        }

    @classmethod
    def from_arrays(cls, config: RepeatConfig, arrays: Arrays) -> Self:
        return cls(
            config.horizon,
            arrays["typical"],
            arrays["habit"],
            arrays["rates"],
            float(arrays["own_prior"]),
            bool(arrays["of_purchases"]),
        )


def fit(config: RepeatConfig, dataset: Dataset, rng: np.random.Generator) -> Repeat:
    """Learn each item's typical gap and how the chance to come back rises and falls with the wait.

    The chance is a hazard in typical gaps, by how often the item was chosen so far, times the habit of the
    item: returns to it divided by those expected of an average one, both after a prior (a shared frailty;
    Therneau & Grambsch 2000, chapter 9). Raises `NotEnoughData` where nobody ever came back to an item on
    another day.
    """
    waits = Waits.of(dataset)
    if not len(waits.item):
        raise NotEnoughData("needs at least one event with a positive weight")
    if not waits.ended.any():
        raise NotEnoughData("needs somebody who came back to an item on another day")
    typical, own_prior = typical_gaps(waits, _categories(dataset), config.prior)
    waited = waits.days / expected_gaps(
        waits.count.astype(np.float64), waits.own_gap, typical[waits.item], own_prior
    )
    hazards = Hazards.of(waits.count, waited, waits.ended, waits.weight)
    expected = np.bincount(
        waits.item,
        weights=waits.weight * hazards.until(classes(waits.count), waited),
        minlength=dataset.n_items,
    )
    returns = np.bincount(waits.item, weights=waits.weight * waits.ended, minlength=dataset.n_items)
    habit = (returns + config.prior) / (expected + config.prior)
    return Repeat(
        config.horizon,
        typical.astype(np.float32),
        habit.astype(np.float32),
        hazards.rates.astype(np.float32),
        own_prior,
        bool(purchases(dataset).any()),
    )


def _categories(dataset: Dataset) -> NDArray[np.int64]:
    """The number of each item's first category, `(n_items,)`; items without one are of one kind."""
    codes: dict[str, int] = {}
    first = [paths[0] if paths else "" for paths in dataset.items.categories]
    return np.array([codes.setdefault(path, len(codes)) for path in first], dtype=np.int64)


def _once(histories: Histories) -> Occasions:
    """Each item of the histories as chosen once, at its last interaction."""
    matrix = histories.matrix
    ones = np.ones(matrix.nnz, dtype=np.float32)
    days = reweighted(matrix, ones)
    return Occasions(days, histories.ages, histories.ages)


# Not far ahead: within half a year everything is due, and nothing tells what is due now.
SPACE = {"horizon": (7.0, 30.0), "prior": (20.0,)}

FAMILY = Family("repeat", "buy_again", RepeatConfig, fit, Repeat, SPACE)
