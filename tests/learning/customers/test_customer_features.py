import numpy as np
import pytest

from app.learning.customers.features import FEATURES, customer_features
from tests.worlds import world

WEIGHTS = {"view_item": 1.0, "purchase": 5.0, "refund": -5.0, "search": 0.0}

# days ago are counted from the data set's moment; AS_OF is 08:00 UTC, so .1 days do not change the date.
EVENTS: list[tuple[object, ...]] = [
    ("ann", "x", "view_item", 50.0),
    ("ann", "x", "purchase", 40.0, None, 2.0, 10.0),
    ("ann", "y", "purchase", 40.1, None, 1.0, 5.0),
    ("ann", "y", "refund", 30.5, None, 1.0, 5.0),
    ("ann", "z", "purchase", 10.0, None, 1.0, None),
    ("ann", "x", "view_item", 4.0),
    ("ann", "x", "view_item", 4.1),
    ("bob", "x", "view_item", 7.0),
    ("s", "x", "purchase", 1.0, None, 1.0, 99.0),
]


@pytest.fixture
def row() -> dict[str, dict[str, float]]:
    shop = world(EVENTS, sessions=["s"], users=["cyd"], weights=WEIGHTS)
    table = customer_features(shop.dataset)
    assert table.known.tolist() == [True, True, False]
    return {
        name: dict(zip(table.names, table.values[shop.row(name)].tolist(), strict=True))
        for name in ("ann", "bob", "cyd")
    }


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        ("recency_days", 4.0),
        ("tenure_days", 50.0),
        ("interactions", 7.0),
        ("active_days", 5.0),
        # Days 50, 40, 30.5 (which is 31), 10, 4: gaps 10, 9, 21, 6 or, by the calendar, one day off.
        ("distinct_items", 3.0),
        ("frequency", 2.0),
        ("monetary", 20.0),
        ("purchase_value", 10.0),
        ("views_per_purchase", 1.0),
        ("refund_share", 1 / 3),
        ("recent_share", 3 / 7),
    ],
)
def test_of_a_buyer(row: dict[str, dict[str, float]], feature: str, value: float) -> None:
    assert row["ann"][feature] == pytest.approx(value)


def test_median_gap(row: dict[str, dict[str, float]]) -> None:
    assert 9 <= row["ann"]["median_gap_days"] <= 10
    shop = world([("a", "x", "view_item", days) for days in (0.0, 1.0, 8.0, 40.0)], weights=WEIGHTS)
    gap = customer_features(shop.dataset).values[0, [f.name for f in FEATURES].index("median_gap_days")]
    assert gap == 7


def test_one_visit_has_a_gap_that_has_not_ended(row: dict[str, dict[str, float]]) -> None:
    assert row["bob"]["median_gap_days"] == pytest.approx(7)
    assert row["bob"]["views_per_purchase"] == 1
    assert row["bob"]["monetary"] == row["bob"]["refund_share"] == 0


def test_of_nobody(row: dict[str, dict[str, float]]) -> None:
    assert set(row["cyd"].values()) == {0.0}


def test_sessions_and_empty_logs() -> None:
    shop = world([("s", "x", "view_item", 1.0)], sessions=["s"], users=["a"], weights=WEIGHTS)
    table = customer_features(shop.dataset)
    assert table.values.shape == (1, len(FEATURES))
    assert np.isfinite(table.values).all()
    assert not table.known.any()


def test_each_has_a_name_a_unit_and_a_meaning() -> None:
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    assert all(feature.unit and feature.meaning for feature in FEATURES)
