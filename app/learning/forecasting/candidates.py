"""What a forecast is chosen from."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from app.learning.forecasting.intermittent import Intermittent
from app.learning.forecasting.smoothing import Smoothing

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

METHODS = (
    "seasonal naive",
    "level",
    "damped trend",
    "season",
    "damped trend and season",
    "mean of naive and smoothings",
    "croston",
    "sba",
    "tsb",
)
"""A method's number is its place here; the first is what the others have to beat."""


def candidates(
    values: Floats, first: Ints, season: int, warm_up: int, horizon: int
) -> list[tuple[int, Callable[[int], Floats]]]:
    """What is tried, by its place in `METHODS`: from a first origin to forecasts from it and all later ones.

    What is learned is learned before that origin.
    """
    done: dict[tuple[int, int], Floats] = {}

    def single(number: int, method: Smoothing | Intermittent) -> Callable[[int], Floats]:
        def run(start: int) -> Floats:
            if (number, start) not in done:
                parameters = method.fit(values[:, :start], first)
                done[number, start] = method.roll(values, first, parameters, start, horizon)
            return done[number, start]

        return run

    smoothings = [(1, Smoothing(1, False, warm_up)), (2, Smoothing(1, True, warm_up))]
    if season > 1:
        smoothings += [(3, Smoothing(season, False, warm_up)), (4, Smoothing(season, True, warm_up))]
    runs = [(number, single(number, method)) for number, method in smoothings]
    mixed = runs[-2:]

    def mean(start: int) -> Floats:
        naive = seasonal_naive(values, start, horizon, season)
        return np.asarray(np.mean([naive, *(run(start) for _, run in mixed)], axis=0))

    runs.append((5, mean))
    if (values == 0).any() and (values >= 0).all():
        runs += [
            (6, single(6, Intermittent("croston", warm_up))),
            (7, single(7, Intermittent("sba", warm_up))),
            (8, single(8, Intermittent("tsb", warm_up))),
        ]
    return runs


def seasonal_naive(values: Floats, start: int, horizon: int, season: int) -> Floats:
    """The last season again, from each origin `start … n`, `(n_series, n - start + 1, horizon)`."""
    origins = np.arange(start, values.shape[1] + 1)[:, None]
    return values[:, origins - season + np.arange(horizon) % season]
