"""Features as of a moment, in windows, of baskets and visits."""

from dataclasses import replace

import numpy as np
import pytest

from app.learning.customers.features import FEATURES, customer_features
from app.learning.dataset import DAY_MS
from tests.worlds import AS_OF, World, world

WEIGHTS = {"view_item": 1.0, "purchase": 5.0, "refund": -5.0, "service_contact": 0.0}
MINUTE = 1 / 24 / 60

# AS_OF is Friday, 2027-01-15, 08:00 UTC.
EVENTS: list[tuple[object, ...]] = [
    ("ann", "x", "purchase", 80.0, None, 2.0, 10.0),
    ("ann", "y", "purchase", 80.0, None, 1.0, 60.0),
    ("ann", "x", "purchase", 50.0, None, 2.0, 10.0),
    ("ann", "x", "purchase", 30.5, None, 1.0, 10.0),
    ("ann", "x", "refund", 29.0, None, 1.0, 10.0),
    ("ann", "z", "purchase", 5.0, None, 1.0, 30.0),
    ("ann", "x", "purchase", 5.0, None, 2.0, 8.0),
    ("ann", "x", "view_item", 2.0),
    ("ann", "y", "view_item", 2.0 - 20 * MINUTE),
    ("ann", "y", "view_item", 2.0 - 51 * MINUTE),
    ("ann", "x", "service_contact", 1.0),
    ("bob", "x", "view_item", 12.5),
    ("bob", "x", "view_item", 12.2),
]
TEXTS = {"x": ["Tea > Green"], "y": ["Cups"], "z": []}


def _shop() -> World:
    shop = world(EVENTS, users=["cyd"], weights=WEIGHTS)
    items = replace(shop.dataset.items, categories=[TEXTS[item] for item in shop.items])
    return replace(shop, dataset=replace(shop.dataset, items=items))


def _row(name: str, as_of: int | None = None) -> dict[str, float]:
    shop = _shop()
    table = customer_features(shop.dataset, as_of)
    return dict(zip(table.names, table.values[shop.row(name)].tolist(), strict=True))


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        ("purchase_recency_days", 5.0),
        ("purchase_tenure_days", 80.0),
        # 80 to 50, 50 to 31 (30.5 days before 08:00 is the evening of the day before), 31 to 5.
        ("purchase_gap_days", 26.0),
        ("purchase_gap_spread_days", float(np.std([30, 19, 26]))),
        ("basket_lines", 6 / 4),
        ("basket_units", 9 / 4),
        ("top_category_share", 66 / 126),
        ("discount_share", 2 / 9),
        ("visits_without_purchase", 2 / 6),
        ("visits", 6.0),
        ("interactions_7d", 6.0),
        ("frequency_30d", 1.0),
        ("frequency_90d", 4.0),
        ("spend_7d", 46.0),
        ("spend_90d", 156.0),
        ("spend_trend", (46 - 30) / (46 + 30)),
        ("service_contacts", 1.0),
        ("service_recency_days", 1.0),
    ],
)
def test_of_a_buyer(feature: str, value: float) -> None:
    assert _row("ann")[feature] == pytest.approx(value)


def test_days_and_dayparts() -> None:
    row = _row("bob")
    # 12.5 days before is Saturday, 20:00; 12.2 days before is Sunday, 03:12.
    assert row["weekend_share"] == 1
    assert row["evening_share"] == row["night_share"] == 0.5
    assert row["morning_share"] == row["afternoon_share"] == 0
    assert row["service_recency_days"] == row["purchase_recency_days"] == 80, "never: since the shop began"


def test_as_of_a_moment_nothing_later_counts() -> None:
    shop, cut = _shop(), AS_OF - 30 * DAY_MS
    before = customer_features(shop.dataset, cut)
    log, rng = shop.dataset.log, np.random.default_rng(0)
    later = np.flatnonzero(log.occurred_at >= cut)
    mixed = np.arange(len(log))
    mixed[later] = rng.permutation(later)
    shuffled = replace(log.where(mixed), occurred_at=log.occurred_at, price=log.price * 0 + 3)
    price = log.price.copy()
    price[later] = 3
    changed = shop.dataset.with_log(replace(shuffled, price=price), shop.dataset.as_of)
    assert not np.array_equal(customer_features(changed).values, customer_features(shop.dataset).values)
    np.testing.assert_array_equal(customer_features(changed, cut).values, before.values)
    assert before.known.tolist() == [True, False, False]
    # An event at the very moment is later.
    assert _row("ann", AS_OF - 5 * DAY_MS)["frequency"] == 3
    assert _row("ann", AS_OF - 5 * DAY_MS + 1)["frequency"] == 4


def test_odd_prices_give_finite_features() -> None:
    events: list[tuple[object, ...]] = [
        ("a", "x", "purchase", 3.0, None, 1.0, price) for price in (-5.0, 0.0, None, float("inf"))
    ]
    table = customer_features(world(events, weights=WEIGHTS).dataset)
    assert np.isfinite(table.values).all()
    assert table.column("monetary").tolist() == [-5]
    assert table.column("spend_30d").tolist() == [0]


def test_blocks_of_users_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = _shop().dataset
    whole = customer_features(shop).values
    monkeypatch.setattr("app.learning.customers.features.behaviour._USERS_AT_ONCE", 1)
    np.testing.assert_array_equal(customer_features(shop).values, whole)


def test_columns_rows_and_labels() -> None:
    table = customer_features(_shop().dataset)
    part = table.columns(["monetary", "visits"]).rows(np.array([1, 0]))
    assert part.units == ("currency", "visits")
    np.testing.assert_array_equal(part.column("visits"), table.column("visits")[[1, 0]])
    assert part.labels[1].startswith("Visits")
    with pytest.raises(ValueError, match="not in"):
        table.columns(["nothing"])
    assert len(FEATURES) == table.values.shape[1]
