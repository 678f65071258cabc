import numpy as np
import pytest
from numpy.typing import NDArray

from app.learning.customers.lifetime.spending import Spending, fit_spending
from app.learning.recommenders.base import NotEnoughData

Floats = NDArray[np.float64]

PUBLISHED = Spending(6.25, 3.74, 15.44, -4055.9, 946, 0.11)


def customers(n: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Counts and mean values drawn from the model with p = 5, q = 4, scale = 30: a mean of 50."""
    rng = np.random.default_rng(seed)
    count = rng.geometric(0.3, n).astype(np.float64)
    return count, rng.gamma(5 * count, 1 / (rng.gamma(4, 1 / 30, n) * count))


def test_expected_value_moves_from_everyones_to_ones_own() -> None:
    assert PUBLISHED.mean_value == pytest.approx(6.25 * 15.44 / 2.74)
    value = PUBLISHED.expected_value(np.array([0.0, 1, 3, 1000]), np.array([0.0, 100, 100, 100]))
    assert value[0] == PUBLISHED.mean_value
    assert (np.diff(value) > 0).all()
    assert value[3] == pytest.approx(100, rel=1e-2)
    # The published form: a weighted mean of the population's and one's own.
    weight = (3.74 - 1) / (6.25 * 3 + 3.74 - 1)
    assert value[2] == pytest.approx(weight * PUBLISHED.mean_value + (1 - weight) * 100)


def test_nothing_positive_is_like_nothing_known() -> None:
    value = PUBLISHED.expected_value(np.array([2.0, 2.0, 0.0]), np.array([-5.0, 0.0, 9.0]))
    assert (value == PUBLISHED.mean_value).all()


def test_recovers_the_parameters() -> None:
    count, mean = customers(20_000)
    model = fit_spending(count, mean)
    assert model.p == pytest.approx(5, rel=0.1)
    assert model.q == pytest.approx(4, rel=0.1)
    assert model.mean_value == pytest.approx(50, rel=0.03)
    assert abs(model.correlation) < 0.03
    assert model.at_bound == ()
    assert model.n_customers == 20_000


def test_is_a_maximum() -> None:
    count, mean = customers(500)
    model = fit_spending(count, mean)
    rng = np.random.default_rng(1)
    for _ in range(10):
        p, q, scale = np.array([model.p, model.q, model.scale]) * np.exp(rng.normal(0, 0.1, 3))
        assert _log_likelihood(p, q, scale, count, mean) < model.log_likelihood
    again = _log_likelihood(model.p, model.q, model.scale, count, mean)
    assert again == pytest.approx(model.log_likelihood, rel=1e-10)


def test_the_currency_changes_nothing_but_the_scale() -> None:
    count, mean = customers(800)
    yen, euro = fit_spending(count, mean * 160), fit_spending(count, mean)
    assert yen.mean_value == pytest.approx(160 * euro.mean_value, rel=1e-4)
    assert yen.p == pytest.approx(euro.p, rel=1e-3)


def test_who_is_left_out() -> None:
    count, mean = customers(500)
    more = np.append(count, [0, 3, 2, 4]), np.append(mean, [0, -2, 0, np.nan])
    assert fit_spending(*more) == fit_spending(count, mean)


def test_dependence_is_reported() -> None:
    count, mean = customers(2000)
    assert fit_spending(count, mean * count).correlation > 0.5


def test_too_little() -> None:
    with pytest.raises(NotEnoughData, match="there are 1"):
        fit_spending(np.array([1.0, 0, 2]), np.array([9.0, 4, -1]))
    with pytest.raises(NotEnoughData, match="differ"):
        fit_spending(np.array([1.0, 2, 5]), np.full(3, 9.0))


def _log_likelihood(p: float, q: float, scale: float, count: Floats, mean: Floats) -> float:
    """As the paper writes it: mean values by their density, without any grouping."""
    from scipy.special import betaln

    return float(
        np.sum(
            -betaln(p * count, q)
            + q * np.log(scale)
            + (p * count - 1) * np.log(mean)
            + p * count * np.log(count)
            - (p * count + q) * np.log(scale + count * mean)
        )
    )
