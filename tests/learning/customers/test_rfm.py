import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.learning.customers.features import FeatureTable
from app.learning.customers.segments.rfm import Rfm, RfmConfig, fit_rfm, moved
from app.learning.customers.segments.rfm_groups import GROUPS, group_table
from app.learning.recommenders.base import NotEnoughData

NAMES = ("purchase_recency_days", "frequency", "monetary")
UNITS = ("days", "days", "currency")
PLACES = {name: place for place, (name, _) in enumerate(GROUPS)}


def _table(values: NDArray[np.float64], names: tuple[str, ...] = NAMES) -> FeatureTable:
    return FeatureTable(names, UNITS[: len(names)], values, np.ones(len(values), dtype=np.bool_))


def _customers(n: int, seed: int = 0, slower: float = 1.0) -> FeatureTable:
    rng = np.random.default_rng(seed)
    frequency = rng.geometric(0.3, n)
    return _table(np.column_stack([slower * rng.gamma(1, 60, n), frequency, frequency * rng.gamma(2, 20, n)]))


def _name_of(recency: int, frequency: int, monetary: int) -> str:
    return GROUPS[group_table()[recency - 1, frequency - 1, monetary - 1]][0]


def test_the_table_gives_every_score_one_group() -> None:
    table = group_table()
    assert table.shape == (5, 5, 5)
    assert np.unique(table).tolist() == list(range(len(GROUPS))) == list(range(11))


@pytest.mark.parametrize(
    ("scores", "name"),
    [
        ((5, 5, 5), "champions"),
        ((3, 5, 3), "loyal"),
        ((5, 2, 3), "potential loyalists"),
        ((5, 1, 1), "new"),
        ((4, 1, 2), "promising"),
        ((3, 3, 3), "need attention"),
        ((3, 1, 1), "about to sleep"),
        ((2, 3, 3), "at risk"),
        ((1, 5, 5), "cannot lose"),
        ((2, 1, 1), "hibernating"),
        ((1, 1, 1), "lost"),
    ],
)
def test_what_the_groups_mean(scores: tuple[int, int, int], name: str) -> None:
    assert _name_of(*scores) == name


def test_fifths_are_fifths_and_the_latest_score_highest() -> None:
    steps = np.arange(1.0, 101.0)
    model = fit_rfm(RfmConfig(), _table(np.column_stack([steps, steps, steps])))
    assert model.fifths.tolist() == [[20] * 5] * 3
    assert model.scores[0].tolist() == [5, 1, 1]
    assert model.scores[99].tolist() == [1, 5, 5]
    assert model.scores[[19, 20], 0].tolist() == [5, 4]


@given(st.lists(st.tuples(*[st.integers(1, 6)] * 3), min_size=5, max_size=60))
def test_equal_values_score_equally_and_better_ones_no_worse(rows: list[tuple[int, int, int]]) -> None:
    values = np.array(rows, dtype=np.float64)
    scores = fit_rfm(RfmConfig(), _table(values)).scores
    assert ((scores >= 1) & (scores <= 5)).all()
    for place, sign in enumerate((-1, 1, 1)):
        order = np.argsort(sign * values[:, place], kind="stable")
        known, given_scores = values[order, place], scores[order, place]
        assert (np.diff(given_scores) >= 0).all()
        assert (np.diff(given_scores)[np.diff(known) == 0] == 0).all()


def test_who_bought_nothing_is_in_no_group() -> None:
    table = _customers(50)
    table.values[:10, 1] = 0
    table.known[10] = False
    model = fit_rfm(RfmConfig(), table)
    assert (model.labels[:11] == -1).all()
    assert (model.labels[11:] >= 0).all()
    assert (model.scores[:11] == 0).all()
    assert model.sizes.sum() == model.describe()["n_users"] == 39


def test_new_customers_are_scored_by_the_stored_boundaries() -> None:
    table = _customers(300)
    model = fit_rfm(RfmConfig(), table)
    np.testing.assert_array_equal(model.assign(table), model.labels)
    one = _table(np.array([[0.01, 50.0, 9999.0], [9999.0, 1.0, 0.5]]))
    assert model.assign(one).tolist() == [PLACES["champions"], PLACES["lost"]]
    again = Rfm.from_arrays(RfmConfig(), model.arrays())
    np.testing.assert_array_equal(again.assign(table), model.labels)
    assert again.describe() == model.describe()
    json.dumps(model.describe(), allow_nan=False)


def test_without_money_recency_and_frequency_decide() -> None:
    full = _customers(200)
    no_money = full.values.copy()
    no_money[:, 2] = 0
    model = fit_rfm(RfmConfig(), _table(no_money))
    assert model.names == NAMES[:2]
    np.testing.assert_array_equal(model.scores[:, 2], model.scores[:, 1])
    np.testing.assert_array_equal(fit_rfm(RfmConfig(), full.columns(NAMES[:2])).labels, model.labels)


def test_without_purchases_visits_count() -> None:
    full = _customers(100).values
    names = ("recency_days", "active_days", "frequency")
    values = np.column_stack([full[:, :2], np.zeros(100)])
    assert fit_rfm(RfmConfig(), _table(values, names)).names == names[:2]


def test_boundaries_stay_until_the_distribution_moves() -> None:
    first = fit_rfm(RfmConfig(), _customers(1000))
    same = fit_rfm(RfmConfig(), _customers(1000, seed=1), first)
    np.testing.assert_array_equal(same.boundaries, first.boundaries)
    np.testing.assert_array_equal(same.fifths, first.fifths)
    assert (fit_rfm(RfmConfig(), _customers(1000, seed=1)).boundaries != first.boundaries).any()
    later = fit_rfm(RfmConfig(), _customers(1000, seed=1, slower=2.0), first)
    assert (later.boundaries[0] != first.boundaries[0]).all()
    np.testing.assert_array_equal(later.boundaries[1:], first.boundaries[1:])


def test_a_slow_drift_is_noticed_in_the_end() -> None:
    """The comparison is with the customers whom the boundaries were made from, not with the last run's."""
    start = model = fit_rfm(RfmConfig(), _customers(1000))
    for run in range(1, 11):
        model = fit_rfm(RfmConfig(), _customers(1000, seed=run, slower=1 + run / 10), model)
    assert (model.boundaries[0] != start.boundaries[0]).all()


def test_chance_among_few_customers_is_no_change() -> None:
    then = np.array([4, 4, 4, 4, 4])
    assert not moved(then, np.array([6, 2, 5, 3, 4]), 0.1)
    assert moved(200 * then, 200 * np.array([6, 2, 5, 3, 4]), 0.1)
    rng = np.random.default_rng(0)
    draws = [rng.multinomial(n, [0.2] * 5) for n in (10, 30, 100, 1000) for _ in range(100)]
    changes = [moved(draws[place], draws[place + 1], 0.1) for place in range(0, 400, 2)]
    assert np.mean(changes) < 0.02


def test_thin_data() -> None:
    for n in (0, 1, 4):
        with pytest.raises(NotEnoughData, match="RFM needs"):
            fit_rfm(RfmConfig(), _customers(n))
    alike = fit_rfm(RfmConfig(), _table(np.full((9, 3), 2.0)))
    assert (alike.sizes > 0).sum() == 1
    assert json.dumps(alike.describe(), allow_nan=False)
    with pytest.raises(ValueError, match="recency_days"):
        fit_rfm(RfmConfig(), _table(np.ones((9, 1)), ("frequency",)))
    with pytest.raises(ValueError, match="missing here: monetary"):
        fit_rfm(RfmConfig(), _customers(50)).assign(_customers(50).columns(NAMES[:2]))
