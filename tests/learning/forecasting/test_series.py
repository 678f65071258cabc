import numpy as np
import pytest

from app.learning.dataset import DAY_MS
from app.learning.forecasting.series import demand_series, sales_series
from app.learning.recommenders.base import NotEnoughData
from tests.worlds import AS_OF, World, world

WEIGHTS = {"view_item": 1.0, "purchase": 5.0, "refund": -5.0}


@pytest.fixture
def shop() -> World:
    """AS_OF is 08:00 UTC; today is not over and does not count."""
    return world(
        [
            ("ann", "x", "purchase", 9.0, None, 2.0, 10.0),
            ("ann", "y", "purchase", 9.0, None, 1.0, 5.0),
            ("bob", "x", "purchase", 9.0, None, 1.0, 10.0),
            ("s", "x", "purchase", 4.0, None, 4.0, None),
            ("ann", "y", "refund", 3.0, None, 1.0, 5.0),
            ("ann", "z", "view_item", 2.0),
            ("bob", "y", "purchase", 1.0, None, 1.0, 6.0),
            ("bob", "y", "purchase", 0.0, None, 50.0, 6.0),
        ],
        sessions=["s"],
        weights=WEIGHTS,
    )


def test_days(shop: World) -> None:
    revenue = sales_series(shop.dataset, "revenue", "day")
    assert revenue.values.tolist() == [[35, 0, 0, 0, 0, 0, -5, 0, 6]]
    assert revenue.start == (AS_OF // DAY_MS - 9) * DAY_MS
    assert revenue.keys.tolist() == [-1]
    assert not revenue.counts
    orders, units = (sales_series(shop.dataset, measure, "day") for measure in ("orders", "units"))
    assert orders.values.tolist() == [[2, 0, 0, 0, 0, 1, 0, 0, 1]]
    assert units.values.tolist() == [[4, 0, 0, 0, 0, 4, 0, 0, 1]]
    assert orders.counts
    assert units.counts


def test_weeks_end_yesterday_and_are_complete(shop: World) -> None:
    units = sales_series(shop.dataset, "units", "week")
    assert units.values.tolist() == [[5]]
    assert units.start == (AS_OF // DAY_MS - 7) * DAY_MS


def test_demand_of_the_items_that_sell_most(shop: World) -> None:
    demand = demand_series(shop.dataset, "day")
    assert demand.keys.tolist() == [shop.column("x"), shop.column("y")]
    assert demand.values.tolist() == [[3, 0, 0, 0, 0, 4, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 1]]
    assert demand_series(shop.dataset, "day", most=1).keys.tolist() == [shop.column("x")]
    assert demand_series(shop.dataset, "week").values.tolist() == [[4], [1]]
    total = sales_series(shop.dataset, "units", "day").values[0]
    np.testing.assert_array_equal(demand.values.sum(axis=0), total)


def test_nothing_sold() -> None:
    for events in ([("a", "x", "view_item", 9.0)], [("a", "x", "purchase", 0.0)]):
        dataset = world(events, weights=WEIGHTS).dataset
        with pytest.raises(NotEnoughData, match="complete days"):
            sales_series(dataset, "units", "day")
        with pytest.raises(NotEnoughData, match="complete weeks"):
            demand_series(dataset, "week")
