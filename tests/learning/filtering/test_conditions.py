"""Filters over whole columns say what one says of each item by itself."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.learning.filtering.columns import ListColumn, TextColumn
from app.learning.filtering.conditions import Condition, condition_of
from app.learning.filtering.grammar import parse
from app.learning.filtering.item_fields import ITEMS
from app.learning.filtering.plain import tree_of
from app.learning.filtering.tree import FilterError
from app.learning.filtering.writing import plain_of, text_of
from tests.learning.filtering.shelves import columns_of, items, passes, trees, value_of

SHELF = st.lists(items, max_size=12)
WALL: dict[str, Any] = {"categories": [], "tags": [], "attributes": {"size": 1}}


def ready(text: str) -> Condition:
    return condition_of(parse(text, ITEMS))


def chosen(text: str, shelf: list[dict[str, Any]]) -> list[int]:
    """Places of the items that pass."""
    condition = ready(text)
    whole = [{"categories": [], "tags": [], "attributes": {}} | item for item in shelf]
    return np.flatnonzero(condition.mask(columns_of(whole, sorted(condition.fields)))).tolist()


@given(trees, SHELF)
@example({"not": {"field": "attributes.size", "op": "=", "value": True}}, [WALL])
@example({"field": "attributes.size", "op": "has", "value": True}, [WALL])
def test_as_a_naive_evaluator(tree: Any, shelf: list[dict[str, Any]]) -> None:
    condition = condition_of(tree_of(tree, ITEMS))
    found = condition.mask(columns_of(shelf, sorted(condition.fields)))
    assert found.tolist() == [passes(tree, item) for item in shelf]


@given(trees)
def test_text_and_tree_are_one(tree: Any) -> None:
    understood = tree_of(tree, ITEMS)
    again = parse(text_of(understood), ITEMS)
    assert again == understood
    assert plain_of(again) == plain_of(understood)
    assert tree_of(plain_of(again), ITEMS) == understood


@given(trees, SHELF, st.lists(st.tuples(st.integers(0, 11), items), max_size=30))
def test_items_that_are_written_anew(
    tree: Any, shelf: list[dict[str, Any]], changes: list[tuple[int, dict[str, Any]]]
) -> None:
    condition = condition_of(tree_of(tree, ITEMS))
    columns = columns_of(shelf, sorted(condition.fields))
    for place, item in changes:
        place = min(place, len(shelf))
        shelf[place : place + 1] = [item]
        for name, column in columns.items():
            column.grow(len(shelf))
            column.write(np.array([place]), [value_of(item, name)])
    assert condition.mask(columns).tolist() == [passes(tree, item) for item in shelf]


def test_lists_sweep_what_nobody_owns() -> None:
    column = ListColumn()
    column.grow(40)
    for turn in range(200):
        column.write(np.arange(39, -1, -1), [[f"t{turn}", f"of {place}"] for place in range(39, -1, -1)])
    assert column.entries == 80
    assert column.having(column.dictionary.equal(["t199"])).all()
    assert not column.having(column.dictionary.equal(["t198"])).any()
    assert np.flatnonzero(column.having(column.dictionary.equal(["of 7"]))).tolist() == [7]
    assert [column.dictionary[code] for code in column.groups_of(7)] == ["t199", "of 7"]
    assert len(column._owner) < 8_000


def test_groups_of_a_text() -> None:
    column = TextColumn()
    column.grow(3)
    column.write(np.array([2, 0]), ["Acme", None])
    assert [column.groups_of(place) for place in range(3)] == [[], [], [0]]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("price <= 50", [0, 1]),
        ("50 >= price", [0, 1]),
        ("not price <= 50", [2]),
        ("price between 10 and 20", [1]),
        ("cost < price", [1]),
        ("category under 'Shoes'", [0, 1]),
        ("category under 'Shoes>Running' and not tags has 'sale'", [1]),
        ("categories in ['Socks', 'Shoes > Running']", [1]),
        ("brand in ['acme'] or brand = 'Acme'", [0]),
        ("brand starts with 'ACM'", [0]),
        ("title contains 'SHOE'", [1]),
        ("brand exists", [0]),
        ("brand missing and price exists", [1]),
        ("created_at >= '2026-01-01'", [1]),
        ("created_at = '2026-01-01T01:00:00+01:00'", [1]),
        ("attributes.released < '2026-01-01'", [0]),
        ("attributes.colour = 'red'", [0]),
        ("attributes.colour has 'red'", [0, 1]),
        ("attributes.colour in ['blue', 3]", [1]),
        ("attributes.colour != 'blue'", [0]),
        ("attributes.box.width > 2", [1]),
        ("attributes.fair = true", [0]),
        ("`attributes.fair` = 1", []),
    ],
)
def test_by_hand(text: str, found: list[int]) -> None:
    shelf: list[dict[str, Any]] = [
        {
            "price": 5.0,
            "brand": "Acme",
            "categories": ["Shoes > Running > Trail"],
            "tags": ["sale"],
            "created_at": 0.0,
            "attributes": {"colour": "red", "fair": True, "released": "2025-12-31", "box": {"width": 1}},
        },
        {
            "price": 12.0,
            "cost": 3.0,
            "title": "A shoe",
            "categories": ["Shoes > Running"],
            "created_at": 1767225600000.0,
            "attributes": {"colour": ["red", "blue"], "box": {"width": 3}, "released": "soon"},
        },
        {},
    ]
    assert chosen(text, shelf) == found


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("prise < 5", 1, "there is no field 'prise'; did you mean price?"),
        ("price < 5 and atributes.x = 1", 15, "there is no field 'atributes.x'"),
        ("attributes. = 1", 1, "there is no field"),
        ("price = 'much'", 9, "'price' is a number, 'much' is none"),
        ("price in [1, true]", 14, "'price' is a number, true is none"),
        ("price has 5", 7, "'price' is a number; it can be compared by =, !=, <"),
        ("tags = 'sale'", 6, "'tags' is a list of texts; it can be compared by has, in"),
        ("category = 'Shoes'", 10, "'category' is a list of category paths; it can be compared by under"),
        ("tags under 'Shoes'", 6, "'tags' is a list of texts"),
        ("tags has 5", 10, "'tags' is a list of texts; 5 cannot be in it"),
        ("brand < 'x'", 7, "'brand' is a text; it can be compared by =, !=, in, starts with, contains"),
        ("brand = title", 9, "only numbers and dates can be compared with another field"),
        ("price < created_at", 9, "'created_at' is a date, and is compared with a number"),
        ("created_at > 5", 14, "'created_at' is a date; 5 cannot be in it"),
        ("created_at > 'soon'", 14, 'expected one such as "2026-11-21T09:30:00Z"'),
        ("created_at > '2026-02-30'", 14, "'created_at' is a date"),
        ("attributes.x < 'soon'", 16, "'<' compares numbers or dates, and 'soon' is neither"),
        ("attributes.x between 1 and true", 28, "true is neither"),
        ("attributes.x between 1 and '2026-01-01'", 28, "takes two numbers or two dates"),
        ("attributes.x contains 5", 23, "'contains' takes a text"),
    ],
)
def test_what_makes_no_sense(text: str, column: int, message: str) -> None:
    with pytest.raises(FilterError) as error:
        ready(text)
    assert error.value.column == column
    assert message in str(error.value)
