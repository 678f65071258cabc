from dataclasses import replace

import numpy as np
import pytest

from app.learning.baskets.baskets import Baskets, baskets_of
from app.learning.recommenders.base import NotEnoughData
from tests.worlds import world

MINUTE = 1 / 1440


def _sets(baskets: Baskets) -> list[list[int]]:
    return [part.tolist() for part in np.split(baskets.indices, baskets.indptr[1:-1])]


def test_purchases_within_the_pause_are_one_basket() -> None:
    shop = world(
        [
            ("ann", "tea", "purchase", 2.0),
            ("ann", "milk", "purchase", 2.0 - 20 * MINUTE),
            # Half an hour after the one before, not after the first.
            ("ann", "bread", "purchase", 2.0 - 50 * MINUTE),
            ("ann", "milk", "purchase", 2.0 - 50 * MINUTE),
            ("ann", "tea", "purchase", 1.0),
            ("ann", "cake", "view", 2.0),
            ("bob", "milk", "purchase", 2.0),
            ("guest", "tea", "purchase", 2.0),
            ("guest", "bread", "purchase", 2.0),
        ],
        sessions=["guest"],
    )
    names = [[shop.items[item] for item in items] for items in _sets(baskets_of(shop.dataset))]
    assert names == [["bread", "milk", "tea"], ["tea"], ["milk"], ["bread", "tea"]]
    assert len(baskets_of(shop.dataset, pause_minutes=15)) == 6
    assert len(baskets_of(shop.dataset, pause_minutes=0)) == 6


def test_lines_of_an_order_are_one_basket_whenever_they_came() -> None:
    shop = world(
        [
            ("ann", "tea", "purchase", 2.0),
            ("ann", "milk", "purchase", 2.0 - MINUTE),
            ("ann", "bread", "purchase", 1.0),
            ("ann", "cake", "purchase", 2.0),
            ("bob", "tea", "purchase", 2.0),
        ]
    ).dataset
    numbers = {("ann", "tea"): 1, ("ann", "milk"): 0, ("ann", "bread"): 1}
    order = np.full(len(shop.log), -1, dtype=np.int32)
    items, users = ("bread", "cake", "milk", "tea"), ("ann", "bob")
    for place, (user, item) in enumerate(zip(shop.log.subject.tolist(), shop.log.item.tolist(), strict=True)):
        order[place] = numbers.get((users[user], items[item]), -1)
    with_orders = replace(shop, log=replace(shop.log, order=order))
    found = sorted([items[item] for item in basket] for basket in _sets(baskets_of(with_orders)))
    assert found == [["bread", "tea"], ["cake"], ["milk"], ["tea"]]


@pytest.mark.parametrize("weights", [{"view": 1.0}, {"view": 1.0, "purchase": 5.0}])
def test_needs_purchases(weights: dict[str, float]) -> None:
    shop = world([("ann", "tea", "view")], weights=weights)
    with pytest.raises(NotEnoughData, match="need purchases"):
        baskets_of(shop.dataset)


def test_from_pairs_in_any_order_and_twice() -> None:
    baskets = Baskets.from_pairs(np.array([2, 0, 2, 2]), np.array([1, 3, 0, 1]), 4, 5)
    assert _sets(baskets) == [[3], [], [0, 1], []]
    assert baskets.item_counts.tolist() == [1, 1, 0, 1, 0]
    assert baskets.rows.tolist() == [0, 2, 2]
    assert baskets.indices.dtype == np.int32


@pytest.mark.parametrize(("basket", "item"), [(-1, 0), (2, 0), (0, -1), (0, 3)])
def test_refuses_what_is_out_of_range(basket: int, item: int) -> None:
    with pytest.raises(ValueError, match="at least 0 and below"):
        Baskets.from_pairs(np.array([basket]), np.array([item]), 2, 3)
