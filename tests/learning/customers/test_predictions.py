"""Churn, next purchase and value of generated shops: cuts, outcomes, thin data."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from app.core.events import DEFAULT_WEIGHTS
from app.learning.customers.features import AttributeTable, attribute_table, customer_features
from app.learning.customers.predictors.horizon import churn_horizon
from app.learning.customers.predictors.outcomes import outcomes
from app.learning.customers.predictors.predictions import (
    CustomerPredictions,
    PredictionsConfig,
    expected_days,
    fit_predictions,
)
from app.learning.dataset import DAY_MS, Dataset, InteractionLog
from app.learning.recommenders.base import NotEnoughData
from app.simulation.config import ShopConfig
from app.simulation.log import EVENTS
from app.simulation.shop import Shop, simulate
from tests.worlds import AS_OF, Text, item_table, world

CONFIG = PredictionsConfig(bootstrap_rounds=40)
WEIGHTS = {"view_item": 1.0, "purchase": 5.0, "refund": -5.0}


def _dataset(shop: Shop) -> Dataset:
    """The shop's customers; who is not known is left out."""
    columns = shop.columns
    known = columns.user >= 0
    at = columns.occurred_at[known]
    n, items = shop.config.users, shop.config.items
    return Dataset(
        user_keys=np.arange(n, dtype=np.int64),
        n_subjects=n,
        item_keys=np.arange(items, dtype=np.int64),
        items=item_table([Text()] * items),
        event_names=EVENTS,
        log=InteractionLog(
            columns.user[known],
            columns.item[known],
            columns.event[known].astype(np.int16),
            columns.value[known],
            np.maximum(columns.quantity[known], 1).astype(np.float32),
            columns.price[known].astype(np.float32),
            at,
        ),
        as_of=int(at[-1]),
        event_weights=DEFAULT_WEIGHTS,
    )


@pytest.fixture(scope="module")
def shop() -> Shop:
    return simulate(ShopConfig(users=500, interactions=40_000, days=240, churn_share=0.35))


@pytest.fixture(scope="module")
def model(shop: Shop) -> CustomerPredictions:
    return fit_predictions(CONFIG, _dataset(shop), np.random.default_rng(0))


def _area(score: np.ndarray, y: np.ndarray) -> float:
    """Share of pairs in the right order."""
    return float((score[y][:, None] > score[~y][None, :]).mean())


def test_finds_the_planted_churners(shop: Shop, model: CustomerPredictions) -> None:
    features = customer_features(_dataset(shop))
    told, applies = model.predict(features), model.applies("churn", features)
    gone = shop.truth.churned & (shop.truth.churn_day < 200)
    assert set(model.predictions) == {"churn", "next_purchase", "next_purchase_days", "value"}
    assert model.missing == {}
    assert model.predictions["next_purchase"].predictor.report["better_than_baseline"]
    assert _area(told["churn"][applies], gone[applies]) > 0.85
    assert _area(-told["next_purchase"][applies], gone[applies]) > 0.8
    assert told["expected_days"][gone].mean() > 1.5 * told["expected_days"][~gone].mean()
    for values in told.values():
        assert np.isfinite(values).all()
    assert (told["churn"][~applies] == model.predictions["churn"].predictor.average).all()


def test_learns_from_nothing_that_came_later(model: CustomerPredictions) -> None:
    for prediction in model.predictions.values():
        days = prediction.horizon_days * DAY_MS
        assert max(prediction.learned_at) + days <= prediction.cut
        assert prediction.cut + days <= model.as_of + 1


def test_what_comes_after_the_cut_changes_nothing_learned(shop: Shop, model: CustomerPredictions) -> None:
    dataset = _dataset(shop)
    prediction = model.predictions["value"]
    log, rng = dataset.log, np.random.default_rng(1)
    later = np.flatnonzero(log.occurred_at >= prediction.cut)
    mixed = np.arange(len(log))
    mixed[later] = rng.permutation(later)
    shuffled = dataset.with_log(replace(log.where(mixed), occurred_at=log.occurred_at), dataset.as_of)
    again = fit_predictions(CONFIG, shuffled, np.random.default_rng(0)).predictions["value"]
    np.testing.assert_array_equal(
        again.predictor.linear.coefficients, prediction.predictor.linear.coefficients
    )
    assert again.predictor.report["models"] != prediction.predictor.report["models"]


def test_round_trip_and_description(shop: Shop, model: CustomerPredictions) -> None:
    arrays = model.arrays()
    assert all(array.dtype != object for array in arrays.values())
    again = CustomerPredictions.from_arrays(CONFIG, arrays)
    features = customer_features(_dataset(shop)).rows(slice(0, 20))
    told = model.predict(features)
    for name, values in again.predict(features).items():
        np.testing.assert_array_equal(values, told[name])
    said = json.dumps(model.describe())
    assert json.dumps(again.describe()) == said
    churn = json.loads(said)["predictions"]["churn"]
    assert churn["definition"].startswith(
        f"A customer has churned who makes no purchase for {churn['horizon_days']}"
    )
    assert len(churn["reliability"]) == 10
    for prediction in model.predictions.values():
        for drivers in prediction.predictor.drivers(features):
            assert len(drivers) <= 3


def test_own_attributes_are_learned_from(shop: Shop) -> None:
    dataset = _dataset(shop)
    gone = shop.truth.churned
    own = attribute_table([{"plan": "trial" if churned else "full"} for churned in gone.tolist()])
    model = fit_predictions(CONFIG, dataset, np.random.default_rng(0), own)
    features = customer_features(dataset, attributes=own)
    drivers = model.predictions["churn"].predictor.drivers(features.rows(np.flatnonzero(gone)[:50]))
    assert any(driver.feature.startswith("plan") for row in drivers for driver in row)
    assert CustomerPredictions.from_arrays(CONFIG, model.arrays()).attributes == own.columns


def test_without_purchases_churn_is_silence(shop: Shop) -> None:
    dataset = _dataset(shop)
    log = dataset.log.where(dataset.log.event == EVENTS.index("view_item"))
    model = fit_predictions(CONFIG, dataset.with_log(log, int(log.occurred_at[-1])), np.random.default_rng(0))
    assert set(model.predictions) == {"churn"}
    assert "no activity" in model.predictions["churn"].definition
    assert "needs purchases" in model.missing["value"]
    again = CustomerPredictions.from_arrays(CONFIG, model.arrays())
    features = customer_features(dataset)
    np.testing.assert_array_equal(again.applies("churn", features), features.known)


def test_without_prices_there_is_no_value(shop: Shop) -> None:
    dataset = _dataset(shop)
    log = replace(dataset.log, price=np.full(len(dataset.log), np.nan, dtype=np.float32))
    model = fit_predictions(CONFIG, dataset.with_log(log, dataset.as_of), np.random.default_rng(0))
    assert set(model.predictions) == {"churn", "next_purchase", "next_purchase_days"}
    assert "with a price" in model.missing["value"]


def test_negative_prices_and_ten_thousand_orders(shop: Shop) -> None:
    dataset = _dataset(shop)
    log, rng = dataset.log, np.random.default_rng(0)
    many = np.flatnonzero(log.event == EVENTS.index("purchase"))[rng.integers(0, 400, 10_000)]
    rows = np.sort(np.concatenate([np.arange(len(log)), many]))
    log = log.where(rows)
    extra = np.append(np.diff(rows) == 0, False)
    subject, price = log.subject.copy(), log.price.copy()
    subject[extra] = 0
    price[::7] *= -1
    price[::11] = 0
    log = replace(log, subject=subject, price=price)
    model = fit_predictions(CONFIG, dataset.with_log(log, dataset.as_of), np.random.default_rng(0))
    features = customer_features(dataset.with_log(log, dataset.as_of))
    assert all(np.isfinite(values).all() for values in model.predict(features).values())
    assert "value" in model.predictions


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], "at least 21 days, there are 0"),
        ([(f"u{n}", "x", "purchase", 0.1, None, 1.0, 5.0) for n in range(60)], "at least 21 days"),
        ([("a", "x", "purchase", float(day), None, 1.0, 5.0) for day in range(90)], "at least 40 customers"),
        # All alike: each buys every day, nobody ever leaves.
        (
            [(f"u{n}", "x", "purchase", day + 0.1, None, 1.0, 5.0) for n in range(50) for day in range(60)],
            "0 with",
        ),
    ],
)
def test_thin_data(events: list[tuple[object, ...]], message: str) -> None:
    with pytest.raises(NotEnoughData, match=message):
        fit_predictions(
            CONFIG, world(events, {"x": Text()}, weights=WEIGHTS).dataset, np.random.default_rng(0)
        )


def test_outcomes() -> None:
    events: list[tuple[object, ...]] = [
        ("a", "x", "purchase", 20.0, None, 1.0, 9.0),
        ("a", "x", "refund", 8.0, None, 1.0, 9.0),
        ("a", "x", "purchase", 7.0, None, 2.0, 9.0),
        ("a", "x", "refund", 6.0, None, 1.0, 9.0),
        ("a", "y", "purchase", 5.0, None, 1.0, None),
        ("a", "x", "purchase", 4.0, None, 1.0, 100.0),
        ("b", "x", "view_item", 9.0),
        ("c", "x", "purchase", 1.0, None, 1.0, 5.0),
    ]
    came = outcomes(world(events, weights=WEIGHTS).dataset, AS_OF - 10 * DAY_MS, 6)
    # The refund of what was bought before is not of these days; the last purchase comes too late.
    assert came.value.tolist() == [9, 0, 0]
    assert came.bought.tolist() == [True, False, False]
    assert came.active.tolist() == [True, True, False]
    assert came.days_until.tolist() == [3, np.inf, np.inf]


def test_horizon_is_the_shops_rhythm() -> None:
    gaps = [5] * 18 + [20] * 2
    days = np.concatenate([[0], np.cumsum(gaps)])
    events = [("a", "x", "purchase", float(day)) for day in days] + [("b", "x", "view_item", 200.0)]
    shop = world(events, weights=WEIGHTS).dataset
    horizon = churn_horizon(shop)
    assert horizon.days == int(np.ceil(np.percentile(gaps, 90)))
    assert horizon.history_days == 201
    assert horizon.definition.startswith(
        f"A customer has churned who makes no purchase for {horizon.days} days."
    )
    assert churn_horizon(shop, 150).days == 67
    assert "third of the history" in churn_horizon(shop, 150).definition
    once = world([("a", "x", "purchase", 0.0), ("b", "x", "purchase", 60.0)], weights=WEIGHTS).dataset
    assert churn_horizon(once).days == 20
    assert "No customer has two" in churn_horizon(once).words


def test_expected_days() -> None:
    told = expected_days(np.array([0.0, 0.5, 1.0]), np.array([10.0, 10.0, 10.0]), 30)
    assert told[0] == 3650
    assert told[1] == pytest.approx(5 + 0.5 * (30 + 30 / np.log(2)))
    assert told[2] == pytest.approx(10, abs=1e-3)


def test_empty_attributes_are_none(shop: Shop, model: CustomerPredictions) -> None:
    dataset = _dataset(shop)
    table = customer_features(dataset, attributes=AttributeTable.empty(dataset.n_users))
    assert table.names == customer_features(dataset).names
    judged = model.predictions["churn"]
    assert datetime.fromtimestamp(judged.cut / 1000, UTC).date().isoformat() in judged.definition
