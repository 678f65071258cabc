"""Texts and trees of filters: what is understood, and where and why the rest is not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.learning.filtering.conditions import condition_of
from app.learning.filtering.grammar import parse
from app.learning.filtering.item_fields import ITEMS
from app.learning.filtering.parameters import filled, parameters_of, unused
from app.learning.filtering.plain import tree_of
from app.learning.filtering.tree import FilterError
from app.learning.filtering.writing import plain_of, text_of

TEXT = 'price <= 50 and category under "Shoes > Running" and not tags has "sale"'
TREE: dict[str, Any] = {
    "and": [
        {"field": "price", "op": "<=", "value": 50},
        {"field": "category", "op": "under", "value": "Shoes > Running"},
        {"not": {"field": "tags", "op": "has", "value": "sale"}},
    ]
}
WORDS = [
    "price",
    "tags",
    "attributes.x",
    "and",
    "or",
    "not",
    "in",
    "has",
    "under",
    "starts with",
    "between",
    "exists",
]
WORDS += [
    "(",
    ")",
    "[",
    "]",
    ",",
    "$a",
    "5",
    '"x"',
    "'",
    "`",
    "=",
    "<",
    "\\",
    "\ud800",
    "true",
    "é",
    "\x00",
    " ",
]


def test_text_and_tree_are_the_same_filter() -> None:
    assert parse(TEXT, ITEMS) == tree_of(TREE, ITEMS)
    assert text_of(tree_of(TREE, ITEMS)) == TEXT
    assert plain_of(parse(TEXT, ITEMS)) == TREE
    mirrored = parse("5 < price and 5 >= cost and `price` = cost", ITEMS)
    assert text_of(mirrored) == "5 < price and 5 >= cost and price = cost"
    assert [part["op"] for part in plain_of(mirrored)["and"]] == [">", "<=", "="]


def test_words_in_capitals_and_odd_names() -> None:
    text = 'NOT price BETWEEN 1 AND 2 or brand STARTS WITH "x" and `attributes.a ``b`` c` MISSING'
    tree = parse(text, ITEMS)
    assert (
        text_of(tree)
        == 'not price between 1 and 2 or brand starts with "x" and `attributes.a ``b`` c` missing'
    )
    assert parse(text_of(tree), ITEMS) == tree


@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join) | st.text(max_size=40))
def test_any_text_is_understood_or_refused_with_a_place(text: str) -> None:
    refused = None
    try:
        condition_of(filled(parse(text, ITEMS), {"a": 1}))
    except FilterError as error:
        refused = error
    if refused is not None:
        assert 1 <= refused.column <= len(text) + 1
        assert str(refused).startswith(f"column {refused.column}: ")


_plain: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.sampled_from(["price", "=", "in", "x", "tags"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["field", "op", "value", "and", "or", "not", "parameter", "a/b~"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@given(_plain)
def test_any_tree_is_understood_or_refused_with_a_place(plain: Any) -> None:
    refused = None
    try:
        condition_of(filled(tree_of(plain, ITEMS), {}))
    except FilterError as error:
        refused = error
    if refused is None:
        return
    assert refused.column == 0
    assert str(refused)
    part = plain
    for step in refused.pointer.split("/")[1:]:
        assert isinstance(part, dict | list)
        if isinstance(part, list):
            part = part[int(step)]
        else:
            part = part.get(step.replace("~1", "/").replace("~0", "~"))


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "expected a field or a value, found the end"),
        (
            "price",
            6,
            "expected one of =, ==, !=, <, <=, >, >=, in, has, under, starts with, contains, between",
        ),
        ("price << 5", 8, "found '<'"),
        ("tags has sale", 10, "expected a value (texts stand in quotes), found 'sale'"),
        ("tags has", 9, "expected a value (texts stand in quotes), found the end"),
        ("brand in 'x'", 10, "expected a list such as [1, 2], found ''x''"),
        ("brand in ['x' 'y']", 15, "expected , or the ] of the [ of column 10"),
        ("brand in ['x',]", 15, "expected a value"),
        ("brand in [", 11, "expected a value (texts stand in quotes), found the end"),
        ("brand starts 'x'", 14, "expected with after starts"),
        ("price between 1, 2", 16, "expected and after between"),
        ("5 in [5]", 1, "before 'in' comes the name of a field"),
        ("$a = 5", 1, "this compares two values; one side must be a field"),
        ("price = 5 or", 13, "expected a field or a value, found the end"),
        ("price = 5 and (tags has 'x'", 28, "the ( of column 15 is not closed"),
        ("price = [5]", 9, "found '['"),
        ("price = $", 9, "'$' has no meaning here"),
        ("price; 1", 6, "';' has no meaning here"),
        ("price = 1 or " * 200 + "price = 1", 2607, "a filter may have 200 comparisons"),
        ("not " * 51 + "price = 1", 205, "nested more than 50 deep"),
        ("price = 1" + " " * 4000, 4001, "may have 4000 characters"),
    ],
)
def test_errors_of_texts_say_where(text: str, column: int, message: str) -> None:
    with pytest.raises(FilterError) as error:
        parse(text, ITEMS)
    assert (error.value.column, error.value.pointer) == (column, "")
    assert message in str(error.value)


def nested(depth: int) -> Any:
    return {"not": nested(depth - 1)} if depth else {"field": "price", "op": "=", "value": 1}


@pytest.mark.parametrize(
    ("plain", "pointer", "message"),
    [
        (5, "", "expected an object"),
        ({}, "", "'field' is missing"),
        ({"field": "price"}, "", "'op' is missing"),
        ({"field": "price", "op": "="}, "", "'value' is missing"),
        ({"field": "price", "op": "~", "value": 1}, "/op", "expected one of =, =="),
        ({"field": 5, "op": "=", "value": 1}, "/field", "expected the name of a field"),
        ({"field": "price", "op": "=", "valu": 1}, "/valu", "did you mean value?"),
        ({"field": "price", "op": "=", "value": None}, "/value", "expected a text, a number, true or false"),
        ({"field": "price", "op": "=", "value": 10**400}, "/value", "too large"),
        ({"field": "price", "op": "=", "value": "x" * 4001}, "/value", "4000 characters"),
        (
            {"field": "price", "op": "=", "value": {"parameter": "a b"}},
            "/value/parameter",
            "name of a parameter",
        ),
        ({"field": "price", "op": "exists", "value": 1}, "/value", "'exists' takes no value"),
        ({"field": "price", "op": "in", "value": 1}, "/value", "'in' takes a list of values"),
        ({"field": "price", "op": "in", "value": [1, []]}, "/value/1", "expected a text"),
        ({"field": "price", "op": "in", "value": [1] * 1001}, "/value", "a list may have 1000 values"),
        ({"field": "price", "op": "between", "value": [1]}, "/value", "a list of two values"),
        ({"and": []}, "/and", "a list of one part or more"),
        ({"or": [TREE, {"not": 3}]}, "/or/1/not", "expected an object"),
        ({"and": [TREE], "or": []}, "/or", "has no meaning here"),
        ({"and": [TREE["and"][0]] * 201}, "/and/200", "200 comparisons"),
        (nested(51), "/not" * 51, "nested more than 50 deep"),
    ],
)
def test_errors_of_trees_say_where(plain: Any, pointer: str, message: str) -> None:
    with pytest.raises(FilterError) as error:
        tree_of(plain, ITEMS)
    assert (error.value.column, error.value.pointer) == (0, pointer)
    assert message in str(error.value)


def test_the_deepest_and_the_longest() -> None:
    assert condition_of(tree_of(nested(50), ITEMS))
    assert condition_of(tree_of({"and": [TREE["and"][0]] * 200}, ITEMS))
    assert condition_of(tree_of({"field": "price", "op": "in", "value": [1] * 1000}, ITEMS))


def test_parameters_take_their_places() -> None:
    text = "price <= $most and brand in $brands and cost between $least and $most and tags in [$tag, 'x']"
    tree = parse(text, ITEMS)
    assert list(parameters_of(tree)) == ["most", "brands", "least", "tag"]
    assert tree_of(json.loads(json.dumps(plain_of(tree))), ITEMS) == tree
    given = {"most": 5, "brands": ["a", 'b" or price > 0'], "least": 1.5, "tag": "t"}
    assert text_of(filled(tree, given)) == (
        'price <= 5 and brand in ["a", "b\\" or price > 0"] and cost between 1.5 and 5 and tags in ["t", "x"]'
    )
    assert unused(given, ["most", "brands"]) == {
        "least": "no filter uses the parameter 'least'",
        "tag": "no filter uses the parameter 'tag'",
    }
    assert unused(["mots"], ["most"]) == {"mots": "no filter uses the parameter 'mots'; did you mean most?"}


@pytest.mark.parametrize(
    ("text", "given", "column", "message"),
    [
        ("price = $a", {}, 9, "the parameter 'a' is not given"),
        ("price = $a", {"a": [1]}, 9, "the parameter 'a': expected a text, a number, true or false"),
        ("price = $a", {"a": None}, 9, "the parameter 'a': expected"),
        ("price in $a", {"a": 1}, 10, "'in' takes a list, and the parameter 'a' is none"),
        ("price in [$a]", {"a": [1]}, 11, "the parameter 'a': expected"),
        ("price in $a", {"a": [1] * 1001}, 10, "a list may have 1000 values"),
    ],
)
def test_parameters_that_do_not_fit(text: str, given: dict[str, Any], column: int, message: str) -> None:
    with pytest.raises(FilterError) as error:
        filled(parse(text, ITEMS), given)
    assert error.value.column == column
    assert message in str(error.value)
