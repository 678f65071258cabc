"""Exponential smoothing with damped trend and additive season, of many series at once.

Holt (1957), Winters (1960), Gardner and McKenzie (1985) for the damping; the error-correction form is that of
Hyndman and others, "Forecasting with exponential smoothing" (2008).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SEARCH = (32, 8, 8, 8, 8, 8)
"""Parameter sets tried for each series, round by round, besides steps along each axis from the best."""
_NEAR = 0.6
"""By which factor the neighbourhood shrinks from round to round."""
_GENERATOR = np.array([0.8566748839, 0.7338918566, 0.6287067210, 0.5385972572])
"""Steps of a sequence that fills the unit cube evenly (Roberts 2018)."""
_LOW = np.array([0.01, 0.0, 0.01, 0.8])
_HIGH = np.array([0.8, 0.4, 0.6, 0.98])
"""Ranges of: level, trend as a share of level, season as a share of what level leaves, damping."""
_EVEN = np.array([0.5, 0.5, 0.5, 1.0])


@dataclass(frozen=True)
class Smoothing:
    """Which components there are."""

    season: int
    """Length of the season in periods; 1: none."""
    trend: bool
    warm_up: int
    """Periods from which a series' state starts; its errors count after them."""

    def fit(self, values: Floats, first: Ints) -> Floats:
        """Parameters of each series by least squares one step ahead, `(n_series, 4)`.

        `values` is `(n_series, n)`; `first` is where each series starts. The search is a fixed pattern over
        all series at once: one loop over periods serves thousands, an optimiser would need one for each.
        """
        # Gains are tried evenly by their square root: the small ones differ most.
        low, high = _LOW**_EVEN, _HIGH**_EVEN
        best = np.tile((low + high) / 2, (len(values), 1))
        error = np.full(len(values), np.inf)
        width = 1.0
        for tries in _SEARCH:
            points = (np.arange(1, tries + 1)[:, None] * _GENERATOR) % 1 - 0.5
            points = np.concatenate([points, np.eye(4) / 2, -np.eye(4) / 2])
            tried = np.clip(best[:, None] + width * (high - low) * points, low, high)
            errors = self._run(values, first, tried ** (1 / _EVEN), None, 0)[1]
            found = errors.argmin(axis=1)
            rows = np.arange(len(values))
            better = errors[rows, found] < error
            best[better] = tried[rows, found][better]
            error = np.minimum(error, errors[rows, found])
            width *= _NEAR
        return best ** (1 / _EVEN)

    def roll(self, values: Floats, first: Ints, parameters: Floats, start: int, horizon: int) -> Floats:
        """Forecasts from each origin `start … n`, made from the periods before it alone.

        `(n_series, n - start + 1, horizon)`.
        """
        return self._run(values, first, parameters[:, None], start, horizon)[0]

    def _run(
        self, values: Floats, first: Ints, parameters: Floats, start: int | None, horizon: int
    ) -> tuple[Floats, Floats]:
        """Forecasts by the first parameter set, and the mean squared error of each, `(n_series, n_sets)`."""
        n_series, n = values.shape
        gain = parameters[..., 0]
        trend_gain = gain * parameters[..., 1] if self.trend else np.zeros_like(gain)
        season_gain = (1 - gain) * parameters[..., 2]
        damping = parameters[..., 3]
        level, season = self._initial(values, first, gain.shape[1])
        trend = np.zeros_like(level)
        ahead = np.cumsum(damping[:, :1] ** np.arange(1, horizon + 1), axis=1)
        origins = 0 if start is None else n - start + 1
        forecasts = np.empty((n_series, origins, horizon))
        squares, count = np.zeros_like(level), np.zeros((n_series, 1))
        for t in range(n + 1):
            if start is not None and t >= start:
                phases = (t + np.arange(horizon)) % self.season
                forecasts[:, t - start] = level[:, :1] + ahead * trend[:, :1] + season[phases, :, 0].T
            if t == n:
                break
            phase = t % self.season
            moved = damping * trend
            error = values[:, t, None] - level - moved - season[phase]
            error *= (t >= first)[:, None]
            level += moved + gain * error
            trend = moved + trend_gain * error
            if self.season > 1:
                season[phase] += season_gain * error
            judged = (t >= first + self.warm_up)[:, None]
            squares += judged * error**2
            count += judged
        return forecasts, squares / np.maximum(count, 1)

    def _initial(self, values: Floats, first: Ints, n_sets: int) -> tuple[Floats, Floats]:
        """Level `(n_series, n_sets)` and season `(season, n_series, n_sets)` from each series' warm-up."""
        n_series, n = values.shape
        place = np.minimum(first[:, None] + np.arange(self.warm_up), n - 1)
        window = np.take_along_axis(values, place, axis=1)
        level = window.mean(axis=1)
        season = np.zeros((self.season, n_series))
        if self.season > 1:
            phase = (first[:, None] + np.arange(self.warm_up)) % self.season
            flat = (phase * n_series + np.arange(n_series)[:, None]).ravel()
            total = np.bincount(flat, (window - level[:, None]).ravel(), minlength=season.size)
            seen = np.bincount(flat, minlength=season.size)
            season = (total / np.maximum(seen, 1)).reshape(season.shape)
        return np.repeat(level[:, None], n_sets, axis=1), np.repeat(season[..., None], n_sets, axis=2)
