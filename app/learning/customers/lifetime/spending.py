"""Gamma-Gamma: what a customer's purchases are worth on average.

Fader and Hardie, "The Gamma-Gamma model of monetary value" (2013). A purchase's value is gamma(p, v) with v
the customer's own, gamma(q, scale) over customers; it is taken not to depend on how often they buy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, psi

from app.learning.customers.lifetime.likelihood import maximise
from app.learning.recommenders.base import NotEnoughData

Floats = NDArray[np.float64]

_NAMES = ("p", "q", "scale")
_BOUNDS = np.log([(1e-2, 1e4), (1.05, 1e4), (1e-4, 1e5)])
"""At q ≤ 1 the mean over customers would be infinite."""
_STARTS = ((2.0, 3.0, 1.0), (10.0, 2.0, 0.1))


@dataclass(frozen=True)
class Spending:
    """A fitted Gamma-Gamma."""

    p: float
    q: float
    scale: float
    """In currency; v or gamma in the papers."""
    log_likelihood: float
    n_customers: int
    correlation: float
    """Of frequency and mean value among the fitted; the model takes it to be 0, beyond ±.3 it misleads."""
    at_bound: tuple[str, ...] = ()

    @property
    def mean_value(self) -> float:
        """Expected value of a purchase of a customer of whom nothing is known."""
        return self.p * self.scale / (self.q - 1)

    def expected_value(self, count: Floats, mean: Floats) -> Floats:
        """Expected mean value of a purchase given `count` purchases with a mean of `mean`, `(n,)`.

        Where the count is 0 or the mean not positive (refunded, unknown) it is that of all customers.
        """
        known = (count > 0) & (mean > 0)
        seen = np.where(known, count, 0.0)
        total = np.where(known, count * mean, 0.0)
        return np.asarray(self.p * (self.scale + total) / (self.p * seen + self.q - 1))

    def arrays(self) -> dict[str, NDArray[Any]]:
        numbers = [
            *(getattr(self, name) for name in _NAMES),
            self.log_likelihood,
            self.n_customers,
            self.correlation,
        ]
        return {
            "spending": np.array(numbers, dtype=np.float64),
            "spending_at_bound": np.array([name in self.at_bound for name in _NAMES]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        p, q, scale, log_likelihood, n_customers, correlation = arrays["spending"].tolist()
        marks = zip(_NAMES, arrays["spending_at_bound"].tolist(), strict=True)
        bounds = tuple(name for name, bound in marks if bound)
        return cls(p, q, scale, log_likelihood, int(n_customers), correlation, bounds)


def fit_spending(count: Floats, mean: Floats) -> Spending:
    """Fit by maximum likelihood to the customers with a count and a positive mean; `(n,)` each.

    Raises `NotEnoughData` where fewer than two such customers are, all have the same mean, or no maximum is
    found.
    """
    chosen = (count > 0) & (mean > 0) & np.isfinite(mean)
    count, mean = np.asarray(count[chosen], dtype=np.float64), np.asarray(mean[chosen], dtype=np.float64)
    if len(mean) < 2:
        raise NotEnoughData(
            f"purchase value needs customers with repeat purchases of positive value, there are {len(mean)}"
        )
    unit = float(mean.mean())
    if np.ptp(mean) <= 1e-9 * unit:
        raise NotEnoughData("purchase value needs customers who differ: all spend the same on average")
    # Customers differ in their mean, but what depends on the count alone is computed once for each count.
    counts, which = np.unique(count, return_inverse=True)
    of_count = np.bincount(which).astype(np.float64)
    total = count * mean / unit
    log_total = np.bincount(which, weights=np.log(total))
    log_means = float(np.log(mean / unit).sum())
    n = len(mean)

    def objective(logs: Floats) -> tuple[float, Floats]:
        p, q, scale = np.exp(logs)
        sum_of = scale + total
        log_sum = np.bincount(which, weights=np.log(sum_of), minlength=len(counts))
        shape = p * counts
        value = (
            of_count @ (gammaln(shape + q) - gammaln(shape) - gammaln(q) + q * np.log(scale))
            + shape @ log_total
            - (shape + q) @ log_sum
            - log_means
        )
        gradient = np.array(
            [
                counts @ (of_count * (psi(shape + q) - psi(shape)) + log_total - log_sum),
                of_count @ (psi(shape + q) - psi(q) + np.log(scale)) - log_sum.sum(),
                n * q / scale - (p * count + q) @ (1 / sum_of),
            ]
        )
        return float(value) / n, gradient * np.exp(logs) / n

    best, bound = maximise(objective, [np.log(start) for start in _STARTS], _BOUNDS, "purchase value")
    p, q, scale = np.exp(best).tolist()
    # Values were in units of `unit`: a density in currency is smaller by that factor.
    likelihood = objective(best)[0] * n - n * float(np.log(unit))
    correlation = 0.0 if np.ptp(count) == 0 else float(np.corrcoef(count, mean)[0, 1])
    names = tuple(np.array(_NAMES)[bound].tolist())
    return Spending(p, q, scale * unit, likelihood, n, correlation, names)
