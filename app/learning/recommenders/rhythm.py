"""How long people wait before they come back to an item: counted from the log, no more assumed.

A survival analysis with piecewise constant hazards. Time runs in multiples of the gap that is typical of the
item and the person, so that what is bought weekly and what is bought yearly tell of one curve.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from app.learning.dataset import DAY_MS, Dataset
from app.learning.preferences import positive, purchases, subject_weights

Floats = NDArray[np.float64]

COUNTS = np.array([1, 2, 3, 4, 6, 9, 14])
"""Least number of occasions of each class: who came back often comes back again."""
EDGES = np.concatenate([[0.0], np.exp2(np.arange(-4.0, 4.5, 0.5))])
"""Where the pieces of the hazard begin, in typical gaps; the last has no end."""
_CURVE_PRIOR = 1.0
"""Returns of the usual that are added to those of each piece of the curve of all."""
_CELL_PRIOR = 10.0
"""Returns by that curve that are added to those of each class in each piece, so that few tell little."""
_MOST_OWN = 1_000.0
_MIN_GAP = 0.5
"""Days; a gap of the same person is at least one day, but the ages of a request are not whole days."""


@dataclass(frozen=True)
class Waits:
    """For each occasion on which somebody chose an item, how long it took until the next; `(n,)` each."""

    item: NDArray[np.int64]
    pair: NDArray[np.int64]
    """Number of the subject and item."""
    count: NDArray[np.int64]
    """Occasions up to this one."""
    own_gap: Floats
    """Mean gap between these in days, where there are two or more."""
    days: Floats
    """Days until the next one, or until the present."""
    ended: NDArray[np.bool_]
    """Whether there was a next one."""
    weight: Floats
    """Of the subject: little for robots."""

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """Between days with a purchase; in a shop that knows none, with any positive event."""
        bought = purchases(dataset)
        log = dataset.log.where(bought if bought.any() else positive(dataset))
        if not len(log):
            nothing = np.empty(0, dtype=np.int64)
            return cls(nothing, nothing, nothing, np.empty(0), np.empty(0), nothing > 0, np.empty(0))
        age = np.floor((dataset.as_of - log.occurred_at) / DAY_MS).astype(np.int64)
        latest, span = int(age.min()), int(age.max() - age.min()) + 1
        pair = log.subject.astype(np.int64) * dataset.n_items + log.item
        # By pair, and within it from the oldest day to the latest.
        code = np.unique(pair * span + (span - 1 - (age - latest)))
        pair, age = code // span, span - 1 - code % span + latest
        place = np.arange(len(pair))
        begins = np.ones(len(pair), dtype=np.bool_)
        begins[1:] = pair[1:] != pair[:-1]
        ended = ~np.append(begins[1:], True)
        start = np.maximum.accumulate(np.where(begins, place, 0))
        count = place - start + 1
        own_gap = (age[start] - age) / np.maximum(count - 1, 1)
        following = np.where(ended, np.append(age[1:], 0), 0)
        weight = subject_weights(dataset)[pair // dataset.n_items]
        days = np.maximum(age - following, 0).astype(np.float64)
        return cls(pair % dataset.n_items, pair, count, own_gap, days, ended, weight)


def typical_gaps(waits: Waits, category: NDArray[np.int64], prior: float) -> tuple[Floats, float]:
    """Logarithm of each item's typical gap in days, and at how many gaps a person's own tell as much.

    `(n_items,)`: the mean of the logarithms, with `prior` gaps of the category's mean added, which has as
    many of the shop's mean added. `category` is a number for each item. A person's own gaps tell the more,
    the less they vary beside those of different people (a variance ratio, as in empirical Bayes).
    """
    item, weight = waits.item[waits.ended], waits.weight[waits.ended]
    log_gap = np.log(waits.days[waits.ended])
    shop = np.average(log_gap, weights=weight)
    total = np.bincount(item, weights=weight * log_gap, minlength=len(category))
    count = np.bincount(item, weights=weight, minlength=len(category))
    of_category = np.bincount(category, weights=total) + prior * shop
    of_category /= np.bincount(category, weights=count) + prior
    typical = (total + prior * of_category[category]) / (count + prior)
    return typical, _own_prior(waits.pair[waits.ended], log_gap - typical[item])


def _own_prior(pair: NDArray[np.int64], deviation: Floats) -> float:
    """Variance of a pair's gaps divided by the variance between pairs."""
    _, which, count = np.unique(pair, return_inverse=True, return_counts=True)
    several = count >= 2
    if not several.any():
        return _MOST_OWN
    mean = np.bincount(which, weights=deviation) / count
    within = float(((deviation - mean[which]) ** 2).sum() / (count - 1).sum())
    between = float(mean[several].var() - within * (1.0 / count[several]).mean())
    return within / between if between > within / _MOST_OWN else _MOST_OWN


def expected_gaps(count: Floats, own_gap: Floats, typical: Floats, own_prior: float) -> Floats:
    """The gap to expect in days, between that of the person's own and the item's typical one."""
    own = np.log(np.maximum(own_gap, _MIN_GAP))
    known = count - 1.0
    # A weight of 0 has to be one even where the ratio of variances is 0, too.
    share = np.divide(known, known + own_prior, out=np.zeros_like(known), where=known > 0)
    return np.asarray(np.exp(share * own + (1.0 - share) * typical))


@dataclass(frozen=True)
class Hazards:
    """Returns per typical gap, `(len(COUNTS), len(EDGES))`."""

    rates: Floats

    @classmethod
    def of(cls, count: NDArray[np.int64], waited: Floats, ended: NDArray[np.bool_], weight: Floats) -> Self:
        """Divide returns by the time at risk; `waited` in typical gaps, `(n,)` each.

        Cells of which little is known come from the curve of all and the level of their class.
        """
        kind = classes(count)
        shape = (len(COUNTS), len(EDGES))
        place = np.searchsorted(EDGES, waited, side="right") - 1
        cell = (kind * len(EDGES) + place)[ended]
        returns = np.bincount(cell, weights=weight[ended], minlength=shape[0] * shape[1]).reshape(shape)
        at_risk = np.empty(shape)
        for column, (low, high) in enumerate(zip(EDGES, np.append(EDGES[1:], np.inf), strict=True)):
            spent = np.clip(waited, low, high) - low
            at_risk[:, column] = np.bincount(kind, weights=weight * spent, minlength=shape[0])
        overall = returns.sum() / max(at_risk.sum(), 1e-9)
        curve = (returns.sum(axis=0) + _CURVE_PRIOR) / (at_risk.sum(axis=0) + _CURVE_PRIOR / overall)
        level = (returns.sum(axis=1) + _CELL_PRIOR) / (at_risk @ curve + _CELL_PRIOR)
        expected = curve * level[:, None]
        return cls(expected * (returns + _CELL_PRIOR) / (expected * at_risk + _CELL_PRIOR))

    def until(self, kind: NDArray[np.int64], waited: Floats) -> Floats:
        """Returns to expect from 0 until `waited`, `(n,)`: the cumulative hazard."""
        sums = np.zeros_like(self.rates)
        sums[:, 1:] = np.cumsum(self.rates[:, :-1] * np.diff(EDGES), axis=1)
        place = np.searchsorted(EDGES, waited, side="right") - 1
        return np.asarray(sums[kind, place] + self.rates[kind, place] * (waited - EDGES[place]))


def classes(count: NDArray[np.int64] | Floats) -> NDArray[np.int64]:
    """The class of each number of occasions, an index into `COUNTS`."""
    return np.asarray(np.searchsorted(COUNTS, count, side="right") - 1, dtype=np.int64)
