import numpy as np
import pytest

from app.learning.customers.lifetime.purchases import PurchaseHistories, purchase_histories
from app.learning.dataset import DAY_MS
from tests.worlds import AS_OF, world

WEIGHTS = {"view_item": 1.0, "purchase": 5.0, "refund": -5.0}

# Subject, item, event, days ago, rating, quantity, price. AS_OF is 08:00 UTC: .1 days stay within the date.
EVENTS: list[tuple[object, ...]] = [
    ("ann", "x", "purchase", 40.0, None, 1.0, 100.0),
    ("ann", "x", "purchase", 30.0, None, 2.0, 10.0),
    ("ann", "y", "purchase", 30.1, None, 1.0, 5.0),
    ("ann", "z", "purchase", 10.0, None, 1.0, None),
    ("ann", "x", "view_item", 5.0),
    ("ann", "y", "purchase", 4.0, None, 3.0, 1.0),
    ("ann", "x", "refund", 3.0, None, 1.0, 10.0),
    ("bob", "x", "purchase", 20.0, None, 1.0, 7.0),
    ("bob", "x", "purchase", 12.0, None, 1.0, 7.0),
    ("bob", "x", "refund", 11.0, None, 1.0, 7.0),
    ("bob", "y", "refund", 11.0, None, 1.0, 9.0),
    ("cyd", "x", "view_item", 9.0),
    ("dan", "x", "purchase", 2.0, None, 1.0, 7.0),
    ("eve", "x", "purchase", 0.0, None, 1.0, 7.0),
    ("s", "x", "purchase", 1.0, None, 1.0, 99.0),
]


def histories(cut: float | None = None, as_of: float = 0.0) -> tuple[list[str], PurchaseHistories]:
    shop = world(EVENTS, sessions=["s"], weights=WEIGHTS)
    moment = None if cut is None else AS_OF - round(cut * DAY_MS)
    table = purchase_histories(shop.dataset, AS_OF - round(as_of * DAY_MS), moment)
    return [shop.subjects[row] for row in table.user], table


def test_everything() -> None:
    names, table = histories()
    assert names == ["ann", "bob", "dan", "eve"]
    assert table.frequency.tolist() == [3, 1, 0, 0]
    assert table.recency.tolist() == [36, 8, 0, 0]
    assert table.age.tolist() == [40, 20, 2, 0]
    # Ann's repeat days: 25 less 10 refunded, one without a price, 3. Bob's second purchase came back.
    assert table.valued.tolist() == [2, 1, 0, 0]
    assert table.value.tolist() == [9, 0, 0, 0]
    assert table.without_value == 1
    assert table.unmatched_refunds == 1
    assert table.later_days == 0
    assert not table.later_frequency.any()


def test_a_cut_hides_what_came_later() -> None:
    names, table = histories(cut=9.0)
    assert names == ["ann", "bob"]
    assert table.frequency.tolist() == [2, 1]
    assert table.age.tolist() == [31, 11]
    # The refund of day 3 is not known yet, bob's is.
    assert table.value.tolist() == [25, 0]
    assert table.later_frequency.tolist() == [1, 0]
    assert table.later_value.tolist() == [3, 0]
    assert table.later_days == 9


def test_as_of_an_earlier_moment_is_the_same_as_a_cut_there() -> None:
    (_, early), (_, cut) = histories(as_of=9.0), histories(cut=9.0)
    for name in ("user", "frequency", "recency", "age", "valued", "value"):
        assert getattr(early, name).tolist() == getattr(cut, name).tolist()
    assert early.later_days == 0


def test_a_refund_belongs_to_the_purchase_before_it() -> None:
    shop = world(
        [
            ("a", "x", "purchase", 30.0, None, 1.0, 50.0),
            ("a", "x", "refund", 25.0, None, 1.0, 50.0),
            ("a", "x", "purchase", 20.0, None, 1.0, 40.0),
        ],
        weights=WEIGHTS,
    )
    table = purchase_histories(shop.dataset)
    assert table.value.tolist() == [40]
    assert table.frequency.tolist() == [1]


def test_nobody() -> None:
    table = purchase_histories(world([("a", "x", "view_item", 1.0)], weights=WEIGHTS).dataset)
    assert len(table) == 0
    assert table.frequency.dtype == np.float64
    plain = world([("a", "x", "view", 1.0)], weights={"view": 1.0})
    assert len(purchase_histories(plain.dataset)) == 0


def test_a_cut_after_the_moment() -> None:
    with pytest.raises(ValueError, match="cut"):
        histories(cut=1.0, as_of=5.0)
