"""Demand that is zero in most periods: Croston's method and its two corrections, of many series at once.

Croston (1972); SBA: Syntetos and Boylan (2005); TSB: Teunter, Syntetos and Babai (2011).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_GAINS = np.array([0.03, 0.06, 0.1, 0.15, 0.2, 0.3])


@dataclass(frozen=True)
class Intermittent:
    """One of the methods: size and rate of demand smoothed apart, a flat forecast of their product."""

    method: Literal["croston", "sba", "tsb"]
    warm_up: int
    """Periods from which a series' state starts; its errors count after them."""

    def fit(self, values: Floats, first: Ints) -> Floats:
        """Gain of each series by least squares one step ahead, `(n_series, 1)`."""
        tried = np.broadcast_to(_GAINS, (len(values), len(_GAINS)))
        return np.asarray(_GAINS[self._run(values, first, tried, None)[1].argmin(axis=1)][:, None])

    def roll(self, values: Floats, first: Ints, parameters: Floats, start: int, horizon: int) -> Floats:
        """Forecasts from each origin `start … n`, `(n_series, n - start + 1, horizon)`."""
        flat = self._run(values, first, parameters, start)[0]
        return np.repeat(flat[:, :, None], horizon, axis=2)

    def _run(self, values: Floats, first: Ints, gain: Floats, start: int | None) -> tuple[Floats, Floats]:
        """Forecasts by the first gain, and the mean squared error of each gain, `(n_series, n_gains)`."""
        n_series, n = values.shape
        place = np.minimum(first[:, None] + np.arange(self.warm_up), n - 1)
        window = np.take_along_axis(values, place, axis=1)
        some = (window > 0).sum(axis=1)
        size = np.repeat((window.sum(axis=1) / np.maximum(some, 1))[:, None], gain.shape[1], axis=1)
        # Croston smooths the interval between demands, TSB the probability of one.
        rate = np.repeat((np.maximum(some, 0.5) / self.warm_up)[:, None], gain.shape[1], axis=1)
        interval = 1 / rate
        waited = np.ones((n_series, 1))
        factor = 1 - gain / 2 if self.method == "sba" else np.ones_like(gain)
        forecasts = np.empty((n_series, 0 if start is None else n - start + 1))
        squares, count = np.zeros(gain.shape), np.zeros((n_series, 1))
        for t in range(n + 1):
            flat = size * rate if self.method == "tsb" else factor * size / interval
            if start is not None and t >= start:
                forecasts[:, t - start] = flat[:, 0]
            if t == n:
                break
            value, active = values[:, t, None], (t >= first)[:, None]
            judged = (t >= first + self.warm_up)[:, None]
            squares += judged * (value - flat) ** 2
            count += judged
            sold = (value > 0) & active
            size = np.where(sold, size + gain * (value - size), size)
            interval = np.where(sold, interval + gain * (waited - interval), interval)
            rate = np.where(active, rate + gain * ((value > 0) - rate), rate)
            waited = np.where(sold | ~active, 1.0, waited + 1)
        return forecasts, squares / np.maximum(count, 1)
