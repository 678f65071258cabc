import json
from typing import Any

import numpy as np
import pytest

from app.learning.customers.features import AttributeColumn, attribute_table, customer_features
from tests.worlds import world

ROWS: list[dict[str, Any]] = [
    {"age": 30, "vip": True, "plan": "gold", "name": "ann", "tags": ["a"], "mixed": 1},
    {"age": 50, "vip": False, "plan": "free", "name": "bob", "mixed": "one"},
    {"age": float("nan"), "vip": False, "plan": "free", "name": "cyd", "mixed": 3},
    {"age": 10**400, "vip": True, "plan": "gold", "name": "dan", "mixed": 5, "note": " "},
]


def test_kinds_of_values() -> None:
    table = attribute_table(ROWS)
    column = dict(zip(table.names, table.values.T.tolist(), strict=True))
    assert column == {
        "age": [30, 50, 40, 40],
        "age is missing": [0, 0, 1, 1],
        "mixed": [1, 3, 3, 5],
        "mixed is missing": [0, 1, 0, 0],
        "plan = free": [0, 1, 1, 0],
        "plan = gold": [1, 0, 0, 1],
        "vip": [1, 0, 0, 1],
    }


def test_new_customers_fit_the_columns() -> None:
    table = attribute_table(ROWS)
    columns = [AttributeColumn(**each) for each in json.loads(json.dumps(table.describe()))]
    new = attribute_table([{"plan": "silver", "age": "old"}, {"plan": " gold ", "vip": 1}], columns)
    assert new.columns == table.columns
    row = dict(zip(new.names, new.values.T.tolist(), strict=True))
    assert row["plan = free"] == [0, 0]
    assert row["plan = gold"] == [0, 1]
    assert row["age"] == [40, 40]


def test_only_the_most_frequent_values() -> None:
    rows = [{"town": f"town {number % 30:02}"} for number in range(75)]
    assert attribute_table(rows).names == tuple(f"town = town {number:02}" for number in range(20))


def test_beside_behaviour() -> None:
    shop = world([("a", "x", "view_item", 1.0), ("b", "x", "view_item", 1.0)], weights={"view_item": 1.0})
    own = attribute_table([{"age": 3}, {"age": 7}])
    table = customer_features(shop.dataset, attributes=own)
    assert table.names[-1] == "age"
    assert table.column("age").tolist() == [3, 7]
    assert len(table.units) == len(table.labels) == table.values.shape[1]
    with pytest.raises(ValueError, match="attributes of 1"):
        customer_features(shop.dataset, attributes=attribute_table([{"age": 3}]))
    assert attribute_table([]).values.shape == (0, 0)
    assert np.isfinite(table.values).all()
