"""Lifetime value: expected purchases times their expected value, discounted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from app.learning.customers.lifetime.buying import Buying, fit_buying
from app.learning.customers.lifetime.purchases import PurchaseHistories
from app.learning.customers.lifetime.spending import Spending, fit_spending
from app.learning.recommenders.base import Config, NotEnoughData

Floats = NDArray[np.float64]

_YEAR_DAYS = 365.25
_PERIODS = 12
"""Parts of the horizon that are discounted each to their middle."""


class LifetimeConfig(Config):
    """Recipe of lifetime value."""

    horizon_days: int = Field(default=365, ge=1, le=3653)
    """How far ahead value is counted."""
    discount_rate: float = Field(default=0.1, ge=0, le=1)
    """Of a year; 0 counts later money like today's."""
    unit_days: float = Field(default=7.0, gt=0, le=366)
    """The unit of time, in days, in which the parameters are given; it changes no prediction."""


@dataclass(frozen=True)
class LifetimePredictions:
    """Of each customer, `(n,)`."""

    alive: Floats
    """Probability that they still are a customer."""
    purchases: Floats
    """Expected days with a purchase within the horizon."""
    purchase_value: Floats
    """Expected value of such a day; NaN if the shop's data does not tell (no model of spending)."""
    value: Floats
    """Expected money within the horizon, discounted; NaN likewise."""


@dataclass(frozen=True)
class Lifetime:
    """The two models together."""

    config: LifetimeConfig
    buying: Buying
    spending: Spending | None
    """None where too few customers have repeat purchases of a known positive value."""

    def predict(self, histories: PurchaseHistories, horizon_days: float | None = None) -> LifetimePredictions:
        """Predictions from the histories' cut on, over the config's horizon or another one."""
        days = self.config.horizon_days if horizon_days is None else horizon_days
        unit = self.config.unit_days
        frequency, age = histories.frequency, histories.age / unit
        alive = self.buying.alive(frequency, histories.recency / unit, age)
        edges = np.linspace(0, days, _PERIODS + 1)[1:]
        discounts = (1 + self.config.discount_rate) ** (-(edges - days / _PERIODS / 2) / _YEAR_DAYS)
        until = self.buying.expected_if_alive(frequency, age, edges / unit)
        discounted = discounts @ np.diff(until, axis=0, prepend=0)
        if self.spending is None:
            worth = np.full(len(histories), np.nan)
        else:
            worth = self.spending.expected_value(histories.valued, histories.value)
        return LifetimePredictions(alive, alive * until[-1], worth, alive * discounted * worth)

    def describe(self) -> dict[str, Any]:
        """Parameters and fit as plain values for JSON."""
        buying, spending = self.buying, self.spending
        said: dict[str, Any] = {
            "unit_days": self.config.unit_days,
            "buying": {
                **{name: getattr(buying, name) for name in ("r", "alpha", "a", "b")},
                "log_likelihood": buying.log_likelihood,
                "n_customers": buying.n_customers,
                "at_bound": list(buying.at_bound),
            },
            "spending": None,
        }
        if spending is not None:
            said["spending"] = {
                **{name: getattr(spending, name) for name in ("p", "q", "scale", "mean_value")},
                "log_likelihood": spending.log_likelihood,
                "n_customers": spending.n_customers,
                "frequency_value_correlation": spending.correlation,
                "at_bound": list(spending.at_bound),
            }
        return said

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {**self.buying.arrays(), **({} if self.spending is None else self.spending.arrays())}

    @classmethod
    def from_arrays(cls, config: LifetimeConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        spending = Spending.from_arrays(arrays) if "spending" in arrays else None
        return cls(config, Buying.from_arrays(arrays), spending)


def fit_lifetime(config: LifetimeConfig, histories: PurchaseHistories) -> Lifetime:
    """Raises `NotEnoughData` where buying cannot be learned; without known values spending is left out."""
    unit = config.unit_days
    buying = fit_buying(histories.frequency, histories.recency / unit, histories.age / unit)
    try:
        spending = fit_spending(histories.valued, histories.value)
    except NotEnoughData:
        spending = None
    return Lifetime(config, buying, spending)
