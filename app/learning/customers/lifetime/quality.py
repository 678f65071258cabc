"""How well a lifetime model fits, and how well it foretells what was held back."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.learning.customers.lifetime.buying import log_likelihood
from app.learning.customers.lifetime.lifetime import Lifetime
from app.learning.customers.lifetime.purchases import PurchaseHistories

Floats = NDArray[np.float64]

_MOST = 7
"""Counts from here on are one line of the table."""


@dataclass(frozen=True)
class Foretold:
    """A prediction beside what came and beside the naive one: each goes on at the rate so far."""

    predicted: float
    """Sum over customers."""
    actual: float
    correlation: float
    naive_correlation: float
    mean_absolute_error: float
    naive_mean_absolute_error: float


@dataclass(frozen=True)
class LifetimeQuality:
    """Figures of one model on one set of histories."""

    log_likelihood: float
    n_customers: int
    n_repeat: int
    without_value: int
    """Customers who came back, but are left out of spending: no known positive value."""
    expected_counts: Floats
    """Customers expected to have made 0, 1, …, 6, at least 7 repeat purchases, `(8,)`."""
    actual_counts: Floats
    later_days: int
    purchases: Foretold | None
    """Purchase days after the cut; None if nothing was held back."""
    money: Foretold | None
    """Money spent after the cut; None too without a model of spending."""

    def describe(self) -> dict[str, Any]:
        """All as plain values for JSON."""
        said = asdict(self)
        return said | {name: said[name].tolist() for name in ("expected_counts", "actual_counts")}


def lifetime_quality(model: Lifetime, histories: PurchaseHistories) -> LifetimeQuality:
    """Fit until the cut, and, if there are days after it, what was foretold for them."""
    unit, n = model.config.unit_days, len(histories)
    age, place = np.unique(histories.age, return_inverse=True)
    probabilities = model.buying.probability_of_count(_MOST - 1, age / unit) @ np.bincount(place)
    expected = np.append(probabilities, n - probabilities.sum())
    counts = np.minimum(histories.frequency, _MOST).astype(np.int64)
    purchases = money = None
    if histories.later_days:
        ahead = model.predict(histories, histories.later_days)
        rate = histories.frequency / np.maximum(histories.age, 1) * histories.later_days
        purchases = _foretold(ahead.purchases, rate, histories.later_frequency)
        if model.spending is not None:
            # Money is judged as it came, not discounted. Of whom no value is known, the mean is naive.
            mean = np.where(histories.valued > 0, histories.value, model.spending.mean_value)
            money = _foretold(ahead.purchases * ahead.purchase_value, rate * mean, histories.later_value)
    likelihood = log_likelihood(
        model.buying, histories.frequency, histories.recency / unit, histories.age / unit
    )
    return LifetimeQuality(
        log_likelihood=likelihood,
        n_customers=n,
        n_repeat=int(np.count_nonzero(histories.frequency)),
        without_value=histories.without_value,
        expected_counts=expected,
        actual_counts=np.bincount(counts, minlength=_MOST + 1).astype(np.float64),
        later_days=histories.later_days,
        purchases=purchases,
        money=money,
    )


def _foretold(predicted: Floats, naive: Floats, actual: Floats) -> Foretold:
    return Foretold(
        float(predicted.sum()),
        float(actual.sum()),
        _correlation(predicted, actual),
        _correlation(naive, actual),
        float(np.abs(predicted - actual).mean()),
        float(np.abs(naive - actual).mean()),
    )


def _correlation(left: Floats, right: Floats) -> float:
    """0 where one of them does not vary."""
    return 0.0 if np.ptp(left) == 0 or np.ptp(right) == 0 else float(np.corrcoef(left, right)[0, 1])
