import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from app.learning.forecasting.candidates import METHODS, candidates, seasonal_naive
from app.learning.forecasting.intermittent import Intermittent
from app.learning.forecasting.smoothing import Smoothing

Floats = NDArray[np.float64]

START = np.zeros(1, dtype=np.int64)


def _by_hand(values: Floats, season: int, warm_up: int, parameters: Floats) -> tuple[float, Floats]:
    """Mean squared error and the forecast of the next 10 periods, one series, straight from the equations."""
    gain, share, season_share, damping = parameters
    level = values[:warm_up].mean()
    trend = 0.0
    seasons = np.array([(values[:warm_up] - level)[phase::season].mean() for phase in range(season)])
    errors = []
    for t, value in enumerate(values):
        error = value - (level + damping * trend + seasons[t % season])
        level, trend = level + damping * trend + gain * error, damping * trend + gain * share * error
        seasons[t % season] += (1 - gain) * season_share * error
        errors.append(error)
    ahead = np.arange(1, 11)
    growth = np.cumsum(damping**ahead)
    forecast = level + trend * growth + seasons[(len(values) + ahead - 1) % season]
    return float(np.mean(np.square(errors[warm_up:]))), forecast


def wave(n: int = 140, noise: float = 1.0, seed: int = 0) -> Floats:
    """A weekly season on a slowly rising level."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    return np.asarray(30 + 0.1 * t + 10 * np.sin(2 * np.pi * t / 7) + rng.normal(0, noise, n))


def test_smoothing_is_the_equations() -> None:
    values, parameters = wave(), np.array([[0.3, 0.1, 0.2, 0.9]])
    method = Smoothing(7, True, 14)
    _, forecast = _by_hand(values, 7, 14, parameters[0])
    rolled = method.roll(values[None], START, parameters, 100, 10)
    assert rolled.shape == (1, 41, 10)
    np.testing.assert_allclose(rolled[0, -1], forecast)
    np.testing.assert_allclose(rolled[0, 20], _by_hand(values[:120], 7, 14, parameters[0])[1])


@pytest.mark.parametrize("seed", range(4))
def test_the_search_is_as_good_as_an_optimiser(seed: int) -> None:
    values = wave(noise=3.0, seed=seed)
    found = Smoothing(7, True, 14).fit(values[None], START)[0]

    def error(parameters: Floats) -> float:
        return _by_hand(values, 7, 14, parameters)[0]

    bounds = [(0.01, 0.8), (0, 0.4), (0.01, 0.6), (0.8, 0.98)]
    starts = np.array([[0.1, 0.1, 0.1, 0.9], [0.5, 0.1, 0.3, 0.95]])
    best = min(float(minimize(error, start, method="L-BFGS-B", bounds=bounds).fun) for start in starts)
    assert _by_hand(values, 7, 14, found)[0] < 1.02 * best


def test_components_that_are_left_out_do_not_move() -> None:
    values = wave()[None]
    flat = Smoothing(1, False, 14)
    rolled = flat.roll(values, START, flat.fit(values, START), 140, 10)
    assert np.ptp(rolled) == 0
    seasonal = Smoothing(7, False, 14).roll(values, START, np.array([[0.1, 0.4, 0.1, 0.9]]), 140, 14)[0, 0]
    np.testing.assert_allclose(seasonal[:7], seasonal[7:])


def test_croston_of_steady_demand() -> None:
    values = np.zeros((1, 100))
    values[0, 3::4] = 8.0
    gain = np.array([[0.1]])
    rolled = {
        name: Intermittent(name, 8).roll(values, START, gain, 100, 3)[0, 0]
        for name in ("croston", "sba", "tsb")
    }
    np.testing.assert_allclose(rolled["croston"], 2.0, rtol=1e-6)
    np.testing.assert_allclose(rolled["sba"], 1.9, rtol=1e-6)
    assert rolled["tsb"][0] == pytest.approx(2.0, rel=0.2)


def test_tsb_forgets_an_item_that_no_longer_sells_and_croston_does_not() -> None:
    values = np.zeros((1, 120))
    values[0, :60:3] = 6.0
    gain = np.array([[0.1]])
    croston, tsb = (
        Intermittent(name, 8).roll(values, START, gain, 120, 1)[0, 0, 0] for name in ("croston", "tsb")
    )
    assert croston > 1.5
    assert tsb < 0.05


@pytest.mark.parametrize("number", range(len(METHODS)))
def test_no_method_sees_the_future_or_its_neighbours(number: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.poisson(1.5, (3, 90)).astype(np.float64)
    first = np.array([0, 10, 25])
    changed = values.copy()
    changed[:, 70:] = 100.0
    changed[1, :10] = values[1, :10] = 0.0

    def run(table: Floats, starts: NDArray[np.int64], origin: int) -> Floats:
        if number == 0:
            return seasonal_naive(table, origin, 5, 7)
        return dict(candidates(table, starts, 7, 14, 5))[number](origin)

    np.testing.assert_array_equal(run(values, first, 60)[:, :11], run(changed, first, 60)[:, :11])
    for row in range(3):
        alone = run(values[row : row + 1], first[row : row + 1], 60)
        np.testing.assert_allclose(alone[0], run(values, first, 60)[row])
        # What was before a series' first sale does not count.
        shorter = run(values[row : row + 1, 7:], np.maximum(first[row : row + 1] - 7, 0), 53)
        if first[row] >= 7:
            np.testing.assert_allclose(shorter[0], alone[0])
