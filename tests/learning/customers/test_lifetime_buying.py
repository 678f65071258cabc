from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import check_grad
from scipy.special import hyp2f1

from app.learning.customers.lifetime.buying import Buying, _Grouped, fit_buying, log_likelihood
from app.learning.recommenders.base import NotEnoughData

Floats = NDArray[np.float64]

PUBLISHED = Buying(0.242593, 4.413532, 0.792886, 2.425752, -9582.4256, 2357)
"""The parameters of Fader, Hardie and Lee's example; time in weeks."""


def one(frequency: float, recency: float, age: float) -> tuple[Floats, Floats, Floats]:
    return np.array([frequency], np.float64), np.array([recency], np.float64), np.array([age], np.float64)


def if_alive(model: Buying, frequency: float, age: float, horizon: float) -> float:
    told = model.expected_if_alive(np.array([frequency]), np.array([age]), np.array([horizon]))
    return float(told[0, 0])


def customers(n: int = 6000, seed: int = 0, days: int = 400) -> tuple[Floats, Floats, Floats]:
    """Customers drawn from the model with r = 0.8, alpha = 40 days, a = 0.9, b = 3, seen for up to `days`."""
    rng = np.random.default_rng(seed)
    age = rng.integers(days // 2, days, n).astype(np.float64)
    rate, leave = rng.gamma(0.8, 1 / 40, n), rng.beta(0.9, 3, n)
    frequency, recency, now = np.zeros(n), np.zeros(n), np.zeros(n)
    alive = np.ones(n, dtype=np.bool_)
    while alive.any():
        now = now + rng.exponential(1 / rate)
        alive &= now <= age
        frequency[alive] += 1
        recency[alive] = now[alive]
        alive &= rng.random(n) >= leave
    return frequency, recency, age


def test_published_expectation() -> None:
    assert PUBLISHED.expected_purchases(*one(2, 30.43, 38.86), 39)[0] == pytest.approx(1.226, abs=5e-4)


@pytest.mark.parametrize("a", [0.3, 0.792886, 1.7])
@pytest.mark.parametrize(("x", "age", "horizon"), [(0, 0, 39), (1, 20, 5), (4, 39, 52), (30, 60, 52)])
def test_expectation_is_the_papers_where_that_can_be_computed(
    a: float, x: float, age: float, horizon: float
) -> None:
    model = replace(PUBLISHED, a=a)
    r, alpha, b = model.r, model.alpha, model.b
    power = ((alpha + age) / (alpha + age + horizon)) ** (r + x)
    function = hyp2f1(r + x, b + x, a + b + x - 1, horizon / (alpha + age + horizon))
    expected = (a + b + x - 1) / (a - 1) * (1 - power * function)
    assert if_alive(model, x, age, horizon) == pytest.approx(expected, rel=1e-8)


def test_expectation_at_the_papers_gap_and_its_overflow() -> None:
    about = [if_alive(replace(PUBLISHED, a=a), 2, 30, 39) for a in (1 - 1e-4, 1.0, 1 + 1e-4)]
    assert about[0] > about[1] > about[2]
    assert about[1] == pytest.approx((about[0] + about[2]) / 2, rel=1e-7)
    many = PUBLISHED.expected_purchases(*one(5000, 700, 700), 52)[0]
    # Of 5,000 purchases in 700 weeks about 371 in 52 more, less those that leaving takes.
    assert 320 < many < 372


@given(
    x=st.integers(0, 300),
    share=st.floats(0, 1),
    age=st.floats(0, 500),
    horizon=st.floats(0.1, 500),
    a=st.floats(1e-4, 1e4),
    b=st.floats(1e-4, 1e5),
)
def test_finite_and_within_reason(
    x: int, share: float, age: float, horizon: float, a: float, b: float
) -> None:
    model = replace(PUBLISHED, a=a, b=b)
    recency = share * age if x else 0.0
    alive = model.alive(*one(x, recency, age))[0]
    expected = model.expected_purchases(*one(x, recency, age), horizon)[0]
    assert 0 <= alive <= 1
    assert 0 <= expected <= (model.r + x) * horizon / (model.alpha + age) * (1 + 1e-9)


def test_rows_do_not_depend_on_each_other() -> None:
    frequency, recency, age = customers(300)
    together = PUBLISHED.expected_purchases(frequency, recency, age, 30)
    alone = [
        PUBLISHED.expected_purchases(*one(*row), 30)[0] for row in zip(frequency, recency, age, strict=True)
    ]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_recovers_the_parameters_and_foretells() -> None:
    frequency, recency, age = customers(20_000)
    model = fit_buying(frequency, recency, age)
    assert model.r == pytest.approx(0.8, rel=0.1)
    assert model.alpha == pytest.approx(40, rel=0.15)
    assert model.a / (model.a + model.b) == pytest.approx(0.9 / 3.9, rel=0.1)
    assert model.at_bound == ()
    truth = replace(model, r=0.8, alpha=40.0, a=0.9, b=3.0)
    assert model.log_likelihood > log_likelihood(truth, frequency, recency, age)
    assert model.log_likelihood == pytest.approx(log_likelihood(model, frequency, recency, age), rel=1e-12)
    # Expected and actual repeat purchases agree in total, and so do the counts.
    ages, counted = np.unique(age, return_counts=True)
    assert model.expected_since_first(ages) @ counted == pytest.approx(frequency.sum(), rel=0.03)
    expected = model.probability_of_count(3, ages) @ counted
    actual = np.bincount(frequency.astype(np.int64))[:4]
    np.testing.assert_allclose(expected, actual, rtol=0.05)


def test_the_unit_of_time_changes_nothing_but_alpha() -> None:
    frequency, recency, age = customers()
    days, weeks = fit_buying(frequency, recency, age), fit_buying(frequency, recency / 7, age / 7)
    assert days.alpha == pytest.approx(7 * weeks.alpha, rel=1e-4)
    np.testing.assert_allclose(
        days.expected_purchases(frequency, recency, age, 70),
        weeks.expected_purchases(frequency, recency / 7, age / 7, 10),
        rtol=1e-4,
    )
    assert weeks.log_likelihood - days.log_likelihood == pytest.approx(frequency.sum() * np.log(7), rel=1e-6)


def test_gradient() -> None:
    frequency, recency, age = customers(200)
    data = _Grouped.of(frequency, recency, age, np.arange(1.0, 201.0))

    def value(logs: Floats) -> float:
        return data.mean_log_likelihood(logs)[0]

    def gradient(logs: Floats) -> Floats:
        return data.mean_log_likelihood(logs)[1]

    for point in ([0.1, 3.0, -0.3, 1.0], [-2.0, 1.0, 2.0, -1.0]):
        wrong = check_grad(value, gradient, np.array(point))
        assert wrong < 1e-5


def test_probabilities_of_all_counts_sum_to_one() -> None:
    chances = PUBLISHED.probability_of_count(3000, np.array([0.0, 39.0]))
    np.testing.assert_allclose(chances.sum(axis=0), 1, atol=1e-9)
    assert chances[0, 0] == 1
    mean = np.arange(3001) @ chances[:, 1]
    assert PUBLISHED.expected_since_first(np.array([39.0]))[0] == pytest.approx(mean, rel=1e-6)


def test_alive_falls_with_silence() -> None:
    silent = PUBLISHED.alive(np.full(4, 5.0), np.array([39.0, 30, 20, 2]), np.full(4, 39.0))
    assert (np.diff(silent) < 0).all()
    assert PUBLISHED.alive(*one(0, 0, 39))[0] == 1


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "several customers"),
        ([(3, 20, 30)], "several customers"),
        ([(0, 0, 30), (0, 0, 20)], "repeat purchases"),
        ([(1, 0, 0), (2, 0, 0)], "known for a while"),
        ([(2, 20, 30)] * 9, "customers who differ"),
    ],
)
def test_too_little(rows: list[tuple[float, ...]], reason: str) -> None:
    with pytest.raises(NotEnoughData, match=reason):
        fit_buying(*np.array(rows, dtype=np.float64).reshape(-1, 3).T)


@pytest.mark.parametrize("row", [(1, 31, 30), (0, 5, 30), (-1, 0, 30), (1, float("nan"), 30)])
def test_contradictions(row: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"must|recency"):
        fit_buying(*np.array([row, (1, 5, 30)], dtype=np.float64).T)


def test_customers_alike_in_rate_end_at_a_bound_and_stay_usable() -> None:
    rng = np.random.default_rng(3)
    frequency = rng.poisson(5, 400).astype(np.float64)
    recency = np.where(frequency > 0, 300 - rng.exponential(20, 400).clip(0, 290), 0.0)
    model = fit_buying(frequency, recency, np.full(400, 300.0))
    assert model.at_bound
    expected = model.expected_purchases(frequency, recency, np.full(400, 300.0), 300)
    assert np.isfinite(expected).all()
    assert expected.mean() == pytest.approx(5, rel=0.2)


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.floats(0, 1), st.integers(0, 60)).map(
            lambda row: (row[0], float(round(row[1] * row[2])) if row[0] else 0.0, row[2])
        ),
        min_size=2,
        max_size=8,
    )
)
@settings(max_examples=60, deadline=None)
def test_of_few_customers_there_is_a_model_or_a_reason(rows: list[tuple[int, float, int]]) -> None:
    frequency, recency, age = np.array(rows, dtype=np.float64).T
    try:
        model = fit_buying(frequency, recency, age)
    except NotEnoughData:
        return
    assert np.isfinite(model.log_likelihood)
    expected = model.expected_purchases(frequency, recency, age, 30)
    assert np.isfinite(expected).all()
    assert (expected >= 0).all()
