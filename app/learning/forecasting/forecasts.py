"""Forecasts of many series: for each the method that did best on its own recent past, or the naive one.

Rolling-origin validation as in Tashman (2000); scaled errors: Hyndman and Koehler (2006); squared ones where
demand is intermittent, as in the M5 competition (Makridakis and others, 2022), for there an absolute error
is least for a forecast of nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from app.learning.dataset import DAY_MS
from app.learning.forecasting.candidates import METHODS, candidates, seasonal_naive
from app.learning.forecasting.series import STEP_DAYS, SeriesTable, Step
from app.learning.recommenders.base import Config, NotEnoughData

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_LEAST_TRAINING = 4
"""Periods for the first state, without a season, and as many to judge parameters by."""
_FULL_ORIGINS = 8
"""Origins of the validation, at least, whose whole horizon is known."""
_MOST_ORIGINS = 56
_INTERMITTENT = 1.32
"""Mean periods between demands from which demand counts as intermittent (Syntetos and Boylan 2005)."""
_LEAST_RESIDUALS = 30
_NUMBERS_AT_ONCE = 500_000
"""Forecasts of one method in validation that are held at once."""
_BY_SERIES = ("keys", "season", "mean", "lower", "upper", "method", "error", "naive_error", "intermittent")


class ForecastConfig(Config):
    """Recipe of the forecasts."""

    horizon: int = Field(default=14, ge=1, le=60)
    """Periods ahead."""
    coverage: float = Field(default=0.8, ge=0.5, le=0.98)
    """Share of the actual values that the interval is to hold."""


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of the series with enough history; `n` of them."""

    keys: Ints
    """The series' keys, `(n,)`."""
    start: int
    """Milliseconds since the Unix epoch at which the first period ahead starts."""
    step: Step
    season: NDArray[np.int16]
    """Length of the season in periods, `(n,)`; 1: too little history for one."""
    mean: Floats
    """`(n, horizon)`."""
    lower: Floats
    upper: Floats
    method: NDArray[np.int8]
    """Index into `METHODS`, `(n,)`; 0: none was better than repeating the last season."""
    error: Floats
    """Scaled error of the method in validation, `(n,)`; 1: that of the naive one step ahead in training."""
    naive_error: Floats
    intermittent: NDArray[np.bool_]
    """Whether those errors are root mean squares (RMSSE) rather than mean absolutes (MASE), `(n,)`."""

    def methods(self) -> list[str]:
        """The name of each series' method."""
        return [METHODS[number] for number in self.method]

    def arrays(self) -> dict[str, NDArray[Any]]:
        axis = np.array([self.start, STEP_DAYS[self.step]], dtype=np.int64)
        return {"axis": axis, **{name: getattr(self, name) for name in _BY_SERIES}}

    @classmethod
    def from_arrays(cls, config: ForecastConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        start, days = arrays["axis"].tolist()
        step = next(step for step, of_step in STEP_DAYS.items() if of_step == days)
        return cls(start=start, step=step, **{name: arrays[name] for name in _BY_SERIES})


def fit_forecasts(config: ForecastConfig, series: SeriesTable) -> Forecasts:
    """Forecast every series that sold for long enough until the end; a series starts with its first sale.

    Parameters are learned before the validation and kept during it, then learned again from everything.
    Raises `ValueError` for values that are not finite, `NotEnoughData` where no series has enough history.
    """
    if not np.isfinite(series.values).all():
        raise ValueError("the values of a series must be finite")
    n = series.values.shape[1]
    first = np.where(series.values.any(axis=1), (series.values != 0).argmax(axis=1), n)
    parts, order = [], []
    left = np.ones(len(series), dtype=np.bool_)
    plans = _plans(config.horizon, series.step, n)
    for plan in plans:
        rows = np.flatnonzero(left & (n - first >= plan.needed))
        left[rows] = False
        at_once = max(_NUMBERS_AT_ONCE // (plan.validation * config.horizon), 1)
        for begin in range(0, len(rows), at_once):
            some = rows[begin : begin + at_once]
            order.append(some)
            parts.append(_forecast(config, series, some, first[some], plan))
    if not parts:
        raise NotEnoughData(
            f"a forecast of {config.horizon} {series.step}s needs {plans[-1].needed} {series.step}s since "
            f"the first sale, there are {n - int(first.min(initial=n))}"
        )
    back = np.argsort(np.concatenate(order))
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])[back] for name in _BY_SERIES
    }
    return replace(parts[0], **joined)


@dataclass(frozen=True)
class _Plan:
    """What a series of some length is validated with."""

    season: int
    validation: int
    """Periods at the end on which methods are compared."""

    @property
    def warm_up(self) -> int:
        """Periods from which the state starts: two seasons, of which the naive forecast repeats one."""
        return max(2 * self.season, _LEAST_TRAINING)

    @property
    def needed(self) -> int:
        """Periods since the first sale."""
        return self.warm_up + _LEAST_TRAINING + self.validation


def _plans(horizon: int, step: Step, n: int) -> list[_Plan]:
    """From the most to the least demanding."""
    least = horizon + _FULL_ORIGINS - 1
    usual = max(least, min(n // 3, horizon + _MOST_ORIGINS - 1))
    seasons = (7,) if step == "day" else (52, 1)
    return [*(_Plan(season, usual) for season in seasons), _Plan(seasons[-1], least)]


def _forecast(
    config: ForecastConfig,
    series: SeriesTable,
    rows: NDArray[np.intp],
    first: Ints,
    plan: _Plan,
) -> Forecasts:
    values, horizon, season = series.values[rows], config.horizon, plan.season
    n = values.shape[1]
    start = n - plan.validation
    actual = _ahead(values, start, horizon)
    scale, square_scale = _scales(values[:, :start], first, season)
    intermittent = _is_intermittent(values[:, :start], first)

    def least(forecasts: Floats) -> Floats:
        return np.maximum(forecasts, 0.0) if series.counts else forecasts

    def judge(forecasts: Floats) -> tuple[Floats, Floats]:
        residual = actual - forecasts[:, :-1]
        absolute = np.nanmean(np.abs(residual), axis=(1, 2)) / scale
        square = np.sqrt(np.nanmean(residual**2, axis=(1, 2)) / square_scale)
        return residual, np.where(intermittent, square, absolute)

    residuals, naive_error = judge(seasonal_naive(values, start, horizon, season))
    error, method = naive_error.copy(), np.zeros(len(rows), dtype=np.int8)
    best_mean = seasonal_naive(values, n, horizon, season)[:, 0].copy()
    for number, run in candidates(values, first, season, plan.warm_up, horizon):
        tried, its_error = judge(least(run(start)))
        better = its_error < error
        if better.any():
            method[better], error[better] = number, its_error[better]
            residuals[better] = tried[better]
            best_mean[better] = least(run(n))[better, -1]
    low, high = _quantiles(residuals, config.coverage)
    mean = least(best_mean)
    return Forecasts(
        keys=series.keys[rows],
        start=series.start + n * STEP_DAYS[series.step] * DAY_MS,
        step=series.step,
        season=np.full(len(rows), season, dtype=np.int16),
        mean=mean,
        lower=least(mean + np.minimum(low, 0.0)),
        upper=mean + np.maximum(high, 0.0),
        method=method,
        error=error,
        naive_error=naive_error,
        intermittent=intermittent,
    )


def _ahead(values: Floats, start: int, horizon: int) -> Floats:
    """What came after each origin `start … n - 1`, NaN beyond the end, `(n_series, n - start, horizon)`."""
    n = values.shape[1]
    place = np.arange(start, n)[:, None] + np.arange(horizon)
    return np.where(place < n, values[:, np.minimum(place, n - 1)], np.nan)


def _scales(values: Floats, first: Ints, season: int) -> tuple[Floats, Floats]:
    """Mean absolute and mean squared difference from a season before, in training, `(n_series,)` each."""
    change = values[:, season:] - values[:, :-season]
    known = np.arange(season, values.shape[1]) >= first[:, None] + season
    count = np.maximum(known.sum(axis=1), 1)
    absolute, square = (np.abs(change) * known).sum(axis=1) / count, (change**2 * known).sum(axis=1) / count
    # A series that repeats itself exactly: errors then are in the series' own units.
    return np.where(absolute > 0, absolute, 1.0), np.where(square > 0, square, 1.0)


def _is_intermittent(values: Floats, first: Ints) -> NDArray[np.bool_]:
    length = values.shape[1] - first
    return np.asarray(length > _INTERMITTENT * (values != 0).sum(axis=1))


def _quantiles(residuals: Floats, coverage: float) -> tuple[Floats, Floats]:
    """Lower and upper quantile of the residuals at each horizon, `(n_series, horizon)` each.

    Horizons next to each other are pooled until there are enough residuals. The levels are those of
    conformal prediction: of few residuals the outermost are taken.
    """
    horizon = residuals.shape[2]
    known = np.isfinite(residuals[0]).sum(axis=0)
    low, high = np.empty((len(residuals), horizon)), np.empty((len(residuals), horizon))
    for ahead in range(horizon):
        reach = 0
        near = slice(ahead, ahead + 1)
        while known[near].sum() < _LEAST_RESIDUALS and reach < horizon:
            reach += 1
            near = slice(max(ahead - reach, 0), ahead + reach + 1)
        pool = residuals[:, :, near].reshape(len(residuals), -1)
        pool = np.sort(pool[:, np.isfinite(pool[0])], axis=1)
        count = pool.shape[1]
        # Residuals of overlapping horizons repeat each other: there are as many origins as chances to err.
        level = min((1 + coverage) / 2 * (1 + 1 / known[ahead]), 1.0)
        rank = int(np.ceil(count * level))
        high[:, ahead] = pool[:, min(rank, count) - 1]
        low[:, ahead] = pool[:, max(count - rank, 0)]
    return low, high
