import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from app.learning.customers.segmentation import SegmentationConfig, fit_segmentation
from app.learning.customers.segments.taste import category_shares, taste_table
from tests.worlds import Text, world

TEXTS = {
    "boot": Text(categories=("Shoes > Boots",)),
    "sandal": Text(categories=("Shoes > Sandals", "Summer")),
    "lamp": Text(categories=("Home",)),
    "thing": Text(),
}


def test_shares_of_categories() -> None:
    events = [
        ("ann", "boot", "purchase"),
        ("ann", "lamp", "view"),
        ("ann", "sandal", "view"),
        ("ann", "sandal", "refund"),
        ("bob", "thing", "view"),
        ("s", "lamp", "view"),
    ]
    shop = world(events, texts=TEXTS, sessions=["s"], weights={"view": 1.0, "purchase": 2.0, "refund": -5.0})
    weights = np.array([shop.dataset.event_weights[name] for name in shop.dataset.event_names])
    table = category_shares(shop.dataset, weights)
    assert table.names == ("Home", "Shoes > Boots", "Shoes > Sandals", "Summer")
    assert table.values[shop.row("ann")] == pytest.approx([1 / 4, 2 / 4, 1 / 8, 1 / 8])
    assert table.known.tolist() == [True, False]
    departments = category_shares(shop.dataset, weights, most=2, level=1)
    assert departments.names == ("Home", "Shoes")
    assert departments.values[shop.row("ann")] == pytest.approx([1 / 4, 5 / 8])


def test_tastes_are_found_whatever_the_amount() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 40)
    liked = np.eye(3)[truth] + rng.uniform(0, 0.2, (120, 3))
    table = taste_table(liked * rng.lognormal(0, 2, (120, 1)), ("Shoes", "Home", "Toys"), "items")
    model = fit_segmentation(SegmentationConfig(kind="taste"), table, np.random.default_rng(0))
    assert adjusted_rand_score(truth, model.labels) == 1
    np.testing.assert_array_equal(model.assign(table), model.labels)
    shares = taste_table(liked / liked.sum(axis=1, keepdims=True), ("Shoes", "Home", "Toys"), "share")
    named = fit_segmentation(SegmentationConfig(kind="taste"), shares, np.random.default_rng(0))
    assert sorted(named.segment_names) == ["Home", "Shoes", "Toys"]
    assert named.describe()["segments"][0]["id"] == "taste-1"
