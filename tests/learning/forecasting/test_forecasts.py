import numpy as np
import pytest
from numpy.typing import NDArray

from app.learning.dataset import DAY_MS
from app.learning.forecasting.forecasts import ForecastConfig, Forecasts, fit_forecasts
from app.learning.forecasting.series import SeriesTable, Step
from app.learning.recommenders.base import NotEnoughData

Floats = NDArray[np.float64]

CONFIG = ForecastConfig(horizon=14)


def table(values: Floats, step: Step = "day", counts: bool = True) -> SeriesTable:
    return SeriesTable(np.arange(len(values)) + 100, values, 0, step, counts)


def weekly_waves(n_series: int, n: int = 200, seed: int = 0) -> Floats:
    """Weekly seasons of their own, Poisson noise."""
    rng = np.random.default_rng(seed)
    season = rng.gamma(4, 5, (n_series, 7))
    return rng.poisson(season[:, np.arange(n) % 7]).astype(np.float64)


@pytest.fixture(scope="module")
def waves() -> Floats:
    return weekly_waves(100, 174)


@pytest.fixture(scope="module")
def forecasts(waves: Floats) -> Forecasts:
    return fit_forecasts(CONFIG, table(waves[:, :-14]))


def test_beats_the_naive_one_on_what_came(waves: Floats, forecasts: Forecasts) -> None:
    actual, naive = waves[:, -14:], waves[:, -21 + np.arange(14) % 7]
    error, naive_error = np.abs(forecasts.mean - actual).mean(), np.abs(naive - actual).mean()
    assert error < 0.85 * naive_error
    assert np.mean(forecasts.method > 0) > 0.9
    served = forecasts.method > 0
    assert (forecasts.error[served] < forecasts.naive_error[served]).all()


def test_the_interval_holds_the_share_that_it_says(waves: Floats, forecasts: Forecasts) -> None:
    actual = waves[:, -14:]
    held = (forecasts.lower <= actual) & (actual <= forecasts.upper)
    assert 0.74 < held.mean() < 0.88
    wide = fit_forecasts(ForecastConfig(horizon=14, coverage=0.95), table(waves[:, :-14]))
    assert ((wide.lower <= actual) & (actual <= wide.upper)).mean() > 0.9
    assert (wide.upper - wide.lower).mean() > (forecasts.upper - forecasts.lower).mean()


def test_where_the_past_repeats_itself_the_naive_one_is_served_and_said() -> None:
    steady = np.tile(np.arange(7.0), (1, 20))
    forecast = fit_forecasts(CONFIG, table(steady))
    assert forecast.methods() == ["seasonal naive"]
    assert forecast.error == forecast.naive_error == 0
    np.testing.assert_array_equal(forecast.mean[0], np.tile(np.arange(7.0), 2))
    np.testing.assert_array_equal(forecast.lower, forecast.upper)


def test_counts_are_never_negative_and_money_may_be() -> None:
    rng = np.random.default_rng(0)
    values = np.maximum(100 - np.arange(120), 0) + rng.normal(0, 3, (5, 120))
    counts = fit_forecasts(CONFIG, table(np.maximum(np.rint(values), 0)))
    assert (counts.lower >= 0).all()
    assert (counts.mean >= 0).all()
    money = fit_forecasts(CONFIG, table(values - 20, counts=False))
    assert (money.lower < 0).any()
    for forecast in (counts, money):
        assert (forecast.lower <= forecast.mean).all()
        assert (forecast.mean <= forecast.upper).all()
        assert np.isfinite(forecast.upper).all()


def test_of_rare_demand_not_nothing_is_forecast() -> None:
    rng = np.random.default_rng(1)
    values = np.where(rng.random((40, 300)) < 0.15, rng.poisson(5, (40, 300)), 0).astype(np.float64)
    forecast = fit_forecasts(CONFIG, table(values))
    assert forecast.intermittent.all()
    assert forecast.mean.mean() == pytest.approx(0.15 * 5, rel=0.15)
    assert np.mean(forecast.method > 0) > 0.95


def test_a_year_of_seasons_is_learned_from_weeks() -> None:
    rng = np.random.default_rng(2)
    n = 52 * 4
    year = 40 + 30 * np.sin(2 * np.pi * np.arange(n + 8) / 52) + rng.normal(0, 3, (1, n + 8))
    config = ForecastConfig(horizon=8)
    forecast = fit_forecasts(config, table(year[:, :n], "week"))
    assert forecast.season.tolist() == [52]
    assert np.abs(forecast.mean - year[:, n:]).mean() < 5
    assert forecast.start == n * 7 * DAY_MS
    assert fit_forecasts(config, table(year[:, :60], "week")).season.tolist() == [1]


def test_young_series_are_validated_on_less_and_the_youngest_left_out() -> None:
    values = weekly_waves(4, 200)
    values[1, :150] = 0  # 50 days
    values[2, :170] = 0  # 30 days
    values[3] = 0
    forecast = fit_forecasts(CONFIG, table(values))
    assert forecast.keys.tolist() == [100, 101]
    alone = fit_forecasts(CONFIG, table(values[1:2, 150:]))
    assert alone.methods() == [forecast.methods()[1]]
    with pytest.raises(NotEnoughData, match=r"needs \d+ days since the first sale, there are 30"):
        fit_forecasts(CONFIG, table(values[2:]))
    with pytest.raises(NotEnoughData, match="there are 0"):
        fit_forecasts(CONFIG, table(values[3:]))


def test_exactly_what_is_needed_is_enough() -> None:
    with pytest.raises(NotEnoughData) as short:
        fit_forecasts(CONFIG, table(np.ones((1, 20))))
    needed = int(str(short.value).split("needs ")[1].split()[0])
    assert len(fit_forecasts(CONFIG, table(np.ones((1, needed)))).keys) == 1
    with pytest.raises(NotEnoughData):
        fit_forecasts(CONFIG, table(np.ones((1, needed - 1))))


def test_many_series_are_as_one(waves: Floats, forecasts: Forecasts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.learning.forecasting.forecasts._NUMBERS_AT_ONCE", 30_000)
    parted = fit_forecasts(CONFIG, table(waves[:, :-14]))
    for name, array in forecasts.arrays().items():
        np.testing.assert_allclose(parted.arrays()[name], array, rtol=1e-12)


def test_arrays_round_trip(forecasts: Forecasts) -> None:
    arrays = forecasts.arrays()
    assert all(array.dtype != object for array in arrays.values())
    again = Forecasts.from_arrays(CONFIG, arrays)
    assert again.methods() == forecasts.methods()
    assert (again.start, again.step) == (forecasts.start, forecasts.step)
    for name, array in again.arrays().items():
        np.testing.assert_array_equal(array, arrays[name])


def test_refuses_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="finite"):
        fit_forecasts(CONFIG, table(np.full((1, 100), np.nan)))
