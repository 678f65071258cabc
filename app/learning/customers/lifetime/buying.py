"""BG/NBD: how often customers buy, and whether they still do.

Fader, Hardie and Lee, "'Counting your customers' the easy way: an alternative to the Pareto/NBD model"
(Marketing Science, 2005). While alive a customer buys at a rate of their own, gamma(r, alpha) over customers;
after each purchase they leave for good with a probability of their own, beta(a, b) over customers.

Everywhere: `frequency` is the number of repeat purchases, `recency` the time from the first purchase to the
last, `age` the time from the first purchase to now, all of shape `(n,)`, times in one unit of the caller's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.special import betainc, betaln, expit, gammaln, psi, xlogy

from app.learning.customers.lifetime.likelihood import maximise
from app.learning.recommenders.base import NotEnoughData

Floats = NDArray[np.float64]

_NAMES = ("r", "alpha", "a", "b")
_BOUNDS = np.log([(1e-4, 1e4), (1e-5, 1e5), (1e-4, 1e4), (1e-4, 1e5)])
"""Beyond these a distribution over customers is as good as a point."""
_STARTS = ((0.3, 0.5, 2.0), (1.0, 1.0, 5.0), (2.0, 0.1, 1.0))
"""Of r, a and b; alpha follows from the mean rate."""
_NODES = 64
_ROWS_AT_ONCE = 50_000


@dataclass(frozen=True)
class Buying:
    """A fitted BG/NBD."""

    r: float
    alpha: float
    """In the unit of time that it was fitted in."""
    a: float
    b: float
    log_likelihood: float
    n_customers: int
    at_bound: tuple[str, ...] = ()
    """Parameters that ran to their bound: customers do not differ in it, or nobody leaves."""

    def alive(self, frequency: Floats, recency: Floats, age: Floats) -> Floats:
        """Probability that the customer has not left, `(n,)`; 1 by the model's nature without a repeat."""
        log_odds = (
            np.log(self.a)
            - np.log(self.b + np.maximum(frequency, 1) - 1)
            + (self.r + frequency) * (np.log(self.alpha + age) - np.log(self.alpha + recency))
        )
        return np.where(frequency > 0, expit(-log_odds), 1.0)

    def expected_purchases(self, frequency: Floats, recency: Floats, age: Floats, horizon: float) -> Floats:
        """Expected purchases of each within `horizon` from now, `(n,)`."""
        ahead = self.expected_if_alive(frequency, age, np.array([horizon]))[0]
        return np.asarray(self.alive(frequency, recency, age) * ahead)

    def expected_if_alive(self, frequency: Floats, age: Floats, horizons: Floats) -> Floats:
        """The same of those who have not left, within each horizon, `(n_horizons, n)`.

        The paper's form is a difference of hypergeometric functions, which overflow for many purchases and
        cancel about a = 1. It equals the mean of `(1 - (1 + p u)^-(r + x)) / p` with `u = horizon / (alpha +
        age)` over `p ~ beta(a, b + x)`: positive terms only, taken by Gauss-Jacobi quadrature.
        """
        frequency, age = np.broadcast_arrays(frequency, age)
        order, start = _same(frequency, age)
        count, rate = frequency[order[start]], 1 / (self.alpha + age[order[start]])
        values = np.empty((len(horizons), len(start)))
        counts, which = np.unique(count, return_inverse=True)
        for number, x in enumerate(counts):  # of distinct frequencies: tens, not customers
            nodes, weights = _beta_nodes(self.a, self.b + x)
            rows = np.flatnonzero(which == number)
            for begin in range(0, len(rows), _ROWS_AT_ONCE):
                some = rows[begin : begin + _ROWS_AT_ONCE]
                growth = rate[some, None] * nodes
                for place, horizon in enumerate(horizons):
                    gone = -np.expm1(-(self.r + x) * np.log1p(horizon * growth))
                    values[place, some] = gone @ (weights / nodes)
        result = np.empty((len(horizons), len(order)))
        result[:, order] = np.repeat(values, np.diff(np.append(start, len(order))), axis=1)
        return result

    def expected_since_first(self, times: Floats) -> Floats:
        """Expected repeat purchases of a new customer by each time since the first one, `times.shape`."""
        nodes, weights = _beta_nodes(self.a, self.b)
        growth = np.asarray(times, dtype=np.float64)[..., None] / self.alpha
        return np.asarray((-np.expm1(-self.r * np.log1p(growth * nodes)) / nodes) @ weights)

    def probability_of_count(self, most: int, times: Floats) -> Floats:
        """Probability of 0, 1, …, `most` repeat purchases by each time, `(most + 1, n_times)`."""
        x = np.arange(most + 1, dtype=np.float64)[:, None]
        share = np.asarray(times, dtype=np.float64) / (self.alpha + times)
        alive = np.exp(
            betaln(self.a, self.b + x)
            - betaln(self.a, self.b)
            + gammaln(self.r + x)
            - gammaln(self.r)
            - gammaln(x + 1)
            + self.r * np.log1p(-share)
            + xlogy(x, share)  # at time 0 there is no purchase yet
        )
        positive = np.maximum(x, 1)
        # The paper's sum is the tail of a negative binomial, which is an incomplete beta function.
        left = np.exp(betaln(self.a + 1, self.b + positive - 1) - betaln(self.a, self.b)) * betainc(
            positive, self.r, share
        )
        return np.asarray(alive + np.where(x > 0, left, 0.0))

    def arrays(self) -> dict[str, NDArray[Any]]:
        numbers = [*(getattr(self, name) for name in _NAMES), self.log_likelihood, self.n_customers]
        return {
            "buying": np.array(numbers, dtype=np.float64),
            "buying_at_bound": np.array([name in self.at_bound for name in _NAMES]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        r, alpha, a, b, log_likelihood, n_customers = arrays["buying"].tolist()
        marks = zip(_NAMES, arrays["buying_at_bound"].tolist(), strict=True)
        bounds = tuple(name for name, bound in marks if bound)
        return cls(r, alpha, a, b, log_likelihood, int(n_customers), bounds)


def fit_buying(frequency: Floats, recency: Floats, age: Floats) -> Buying:
    """Fit by maximum likelihood.

    Raises `ValueError` for times that contradict each other, `NotEnoughData` where there is nothing to learn
    from: no repeat purchase, no customer who differs from the others, or no maximum that was found.
    """
    frequency, recency, age = (np.asarray(column, dtype=np.float64) for column in (frequency, recency, age))
    _check(frequency, recency, age)
    order, start = _same(frequency, recency, age)
    weight = np.diff(np.append(start, len(order))).astype(np.float64)
    chosen = order[start]
    scale = float(age.mean())
    data = _Grouped.of(frequency[chosen], recency[chosen] / scale, age[chosen] / scale, weight)
    rate = max(float(frequency.sum() / (age.sum() / scale)), 1e-3)
    starts = [np.log([r, r / rate, a, b]) for r, a, b in _STARTS]
    best, bound = maximise(data.mean_log_likelihood, starts, _BOUNDS, "buying")
    r, alpha, a, b = np.exp(best).tolist()
    # Time was scaled by `scale`: the density of each purchase's time carries that factor.
    mean, _ = data.mean_log_likelihood(best)
    total = float(mean * len(order) - frequency.sum() * np.log(scale))
    return Buying(r, alpha * scale, a, b, total, len(order), tuple(np.array(_NAMES)[bound].tolist()))


def log_likelihood(model: Buying, frequency: Floats, recency: Floats, age: Floats) -> float:
    """Log-likelihood of customers (also others than those fitted) under a model."""
    data = _Grouped.of(frequency, recency, age, np.ones(len(frequency)))
    mean, _ = data.mean_log_likelihood(np.log([model.r, model.alpha, model.a, model.b]))
    return mean * len(frequency)


@dataclass(frozen=True)
class _Grouped:
    """Customers who are alike, counted; what depends on the frequency alone is computed once for each."""

    frequency: Floats
    recency: Floats
    age: Floats
    weight: Floats
    counts: Floats
    """Distinct frequencies."""
    which: NDArray[np.intp]
    """Of each row, its place in `counts`."""
    of_count: Floats
    """Customers of each distinct frequency."""

    @classmethod
    def of(cls, frequency: Floats, recency: Floats, age: Floats, weight: Floats) -> Self:
        counts, which = np.unique(frequency, return_inverse=True)
        of_count = np.bincount(which, weights=weight).astype(np.float64)
        return cls(frequency, recency, age, weight, counts, which, of_count)

    def mean_log_likelihood(self, logs: Floats) -> tuple[float, Floats]:
        """Mean over customers and its gradient, by the logarithms of r, alpha, a, b, `(4,)`."""
        r, alpha, a, b = np.exp(logs)
        x, n = self.counts, float(self.of_count.sum())
        left_at_last = np.log(b + np.maximum(x, 1) - 1)
        by_count = (
            gammaln(r + x)
            - gammaln(r)
            + r * np.log(alpha)
            + gammaln(a + b)
            + gammaln(b + x)
            - gammaln(b)
            - gammaln(a + b + x)
        )
        log_age, log_recency = np.log(alpha + self.age), np.log(alpha + self.recency)
        power = r + self.frequency
        stayed = -power * log_age
        repeat = self.frequency > 0
        left = np.where(repeat, np.log(a) - left_at_last[self.which] - power * log_recency, -np.inf)
        total = float(self.of_count @ by_count + self.weight @ np.logaddexp(stayed, left))
        gone = np.where(repeat, expit(left - stayed), 0.0) * self.weight
        kept = self.weight - gone
        gone_of_count = np.bincount(self.which, weights=gone, minlength=len(x))
        common = psi(a + b) - psi(a + b + x)
        gradient = np.array(
            [
                self.of_count @ (psi(r + x) - psi(r) + np.log(alpha)) - kept @ log_age - gone @ log_recency,
                n * r / alpha - power @ (kept / (alpha + self.age) + gone / (alpha + self.recency)),
                self.of_count @ common + gone.sum() / a,
                self.of_count @ (common + psi(b + x) - psi(b)) - gone_of_count @ np.exp(-left_at_last),
            ]
        )
        return total / n, gradient * np.exp(logs) / n


def _check(frequency: Floats, recency: Floats, age: Floats) -> None:
    if not (np.isfinite(frequency).all() and np.isfinite(recency).all() and np.isfinite(age).all()):
        raise ValueError("frequency, recency and age must be finite")
    if np.any(frequency < 0) or np.any(recency < 0) or np.any(recency > age):
        raise ValueError("frequency must not be negative, and recency between 0 and the age")
    if np.any((frequency == 0) & (recency > 0)):
        raise ValueError("the recency of a customer without a repeat purchase is 0")
    if len(frequency) < 2:
        raise NotEnoughData(f"lifetime value needs several customers, there are {len(frequency)}")
    if not np.any(frequency > 0):
        raise NotEnoughData("lifetime value needs repeat purchases: no customer bought on two days")
    if not np.any(age > 0):
        raise NotEnoughData("lifetime value needs customers who are known for a while: all are new")
    if np.ptp(frequency) == 0 and np.ptp(recency) == 0 and np.ptp(age) == 0:
        raise NotEnoughData("lifetime value needs customers who differ: all have the same purchase history")


def _same(*columns: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """An order that brings equal rows together, `(n,)`, and where each kind starts in it."""
    order = np.lexsort(columns)
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = np.logical_or.reduce([np.diff(column[order]) != 0 for column in columns])
    return order, np.flatnonzero(new)


def _beta_nodes(a: float, b: float) -> tuple[Floats, Floats]:
    """Nodes within (0, 1) and weights, summing to 1, for means over beta(a, b), `(_NODES,)` each.

    Golub and Welsch (1969) from the Jacobi recurrence moved to (0, 1); scipy's `roots_jacobi` overflows where
    a or b is large.
    """
    left, right = a - 1, b - 1
    n = np.arange(1, _NODES, dtype=np.float64)
    twice = 2 * n + left + right
    diagonal = np.append(a / (a + b), (1 + (left**2 - right**2) / (twice * (twice + 2))) / 2)
    rest = np.append(1.0, ((n + left + right) / (twice - 1))[1:])  # is 0 / 0 at n = 1 where a + b = 1
    beside = np.sqrt(n * (n + left) * (n + right) * rest / (twice**2 * (twice + 1)))
    nodes, vectors = eigh_tridiagonal(diagonal, beside)
    return np.maximum(nodes, np.finfo(np.float64).tiny), vectors[0] ** 2
