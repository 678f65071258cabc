from dataclasses import replace

import numpy as np
import pytest

from app.learning.customers.lifetime.lifetime import Lifetime, LifetimeConfig, fit_lifetime
from app.learning.customers.lifetime.purchases import PurchaseHistories
from app.learning.customers.lifetime.quality import lifetime_quality
from app.learning.recommenders.base import NotEnoughData

CONFIG = LifetimeConfig()


def shop(n: int = 4000, seed: int = 0, calibration: int = 270, later: int = 270) -> PurchaseHistories:
    """Customers who buy at rates and for values of their own and leave sooner or later."""
    rng = np.random.default_rng(seed)
    start = rng.integers(0, calibration // 3, n)
    rate, leave = rng.gamma(0.7, 1 / 30, n), rng.beta(1, 4, n)
    worth = 5 / rng.gamma(4, 1 / 30, n)
    now, alive = start.astype(np.float64), np.ones(n, dtype=np.bool_)
    frequency, recency, spent = np.zeros(n), np.zeros(n), np.zeros(n)
    later_frequency, later_value = np.zeros(n), np.zeros(n)
    while alive.any():
        # At most one purchase a day, on whole days.
        now = now + np.ceil(rng.exponential(1 / rate))
        alive &= now <= calibration + later
        value = rng.gamma(5, worth / 5)
        early, late = alive & (now <= calibration), alive & (now > calibration)
        frequency[early] += 1
        recency[early] = now[early] - start[early]
        spent[early] += value[early]
        later_frequency[late] += 1
        later_value[late] += value[late]
        alive &= rng.random(n) >= leave
    return PurchaseHistories(
        user=np.arange(n, dtype=np.int32),
        frequency=frequency,
        recency=recency,
        age=calibration - start.astype(np.float64),
        valued=frequency,
        value=spent / np.maximum(frequency, 1),
        later_frequency=later_frequency,
        later_value=later_value,
        later_days=later,
        unmatched_refunds=0,
    )


@pytest.fixture(scope="module")
def histories() -> PurchaseHistories:
    return shop()


@pytest.fixture(scope="module")
def model(histories: PurchaseHistories) -> Lifetime:
    return fit_lifetime(CONFIG, histories)


def test_foretells_better_than_going_on_as_so_far(model: Lifetime, histories: PurchaseHistories) -> None:
    quality = lifetime_quality(model, histories)
    for foretold in (quality.purchases, quality.money):
        assert foretold is not None
        assert foretold.predicted == pytest.approx(foretold.actual, rel=0.1)
        assert foretold.mean_absolute_error < 0.9 * foretold.naive_mean_absolute_error
        assert foretold.correlation > max(0.5, foretold.naive_correlation)
    assert quality.expected_counts.sum() == pytest.approx(len(histories))
    assert quality.actual_counts.sum() == len(histories)
    np.testing.assert_allclose(quality.expected_counts, quality.actual_counts, rtol=0.2)
    assert quality.log_likelihood == pytest.approx(model.buying.log_likelihood)
    assert quality.n_repeat == np.count_nonzero(histories.frequency)
    assert quality.describe()["purchases"]["actual"] == histories.later_frequency.sum()


def test_without_a_cut_nothing_is_judged(model: Lifetime, histories: PurchaseHistories) -> None:
    quality = lifetime_quality(model, replace(histories, later_days=0))
    assert quality.purchases is None
    assert quality.money is None


def test_value_is_purchases_times_their_value_discounted(
    model: Lifetime, histories: PurchaseHistories
) -> None:
    free = Lifetime(CONFIG.model_copy(update={"discount_rate": 0.0}), model.buying, model.spending)
    plain, dear = free.predict(histories), model.predict(histories)
    np.testing.assert_allclose(plain.value, plain.purchases * plain.purchase_value, rtol=1e-12)
    ratio = dear.value / plain.value
    assert (ratio < 1).all()
    assert (ratio > 1.1**-1).all()
    assert model.predict(histories, 30).value.sum() < 0.3 * dear.value.sum()
    np.testing.assert_array_equal(plain.alive, dear.alive)


def test_without_values_purchases_are_told_all_the_same(histories: PurchaseHistories) -> None:
    none = replace(histories, value=np.zeros(len(histories)), valued=np.zeros(len(histories)))
    model = fit_lifetime(CONFIG, none)
    assert model.spending is None
    assert model.describe()["spending"] is None
    told = model.predict(none)
    assert np.isnan(told.value).all()
    assert np.isfinite(told.purchases).all()
    assert lifetime_quality(model, none).money is None
    again = Lifetime.from_arrays(CONFIG, model.arrays())
    assert again == model


def test_arrays_round_trip(model: Lifetime, histories: PurchaseHistories) -> None:
    arrays = model.arrays()
    assert all(array.dtype != object for array in arrays.values())
    again = Lifetime.from_arrays(CONFIG, arrays)
    assert again == model
    np.testing.assert_array_equal(again.predict(histories).value, model.predict(histories).value)


def test_describe_says_how_spending_depends_on_buying(model: Lifetime) -> None:
    said = model.describe()
    assert said["unit_days"] == 7
    assert abs(said["spending"]["frequency_value_correlation"]) < 0.15
    assert said["buying"]["at_bound"] == []
    assert type(said["buying"]["log_likelihood"]) is float


def test_nobody_came_back() -> None:
    none = replace(shop(50), frequency=np.zeros(50), recency=np.zeros(50))
    with pytest.raises(NotEnoughData, match="repeat"):
        fit_lifetime(CONFIG, none)
