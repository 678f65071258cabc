import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.learning.customers.features import FeatureTable
from app.learning.customers.segments.rule_language import parse_rule
from app.learning.customers.segments.rule_matching import columns_of, matches
from app.learning.filtering.tree import FilterError

NUMBERS = [-1.0, 0.0, 0.5, 2.0, float("nan")]
TEXTS = ["", "DE", "it's", 'a "b" \\ c']
COLUMNS: dict[str, NDArray[Any]] = {
    "x": np.repeat(NUMBERS, 4),
    "y": np.tile(NUMBERS, 4),
    "country": np.array(TEXTS * 5),
    "shop of birth": np.array(TEXTS[::-1] * 5),
    "newsletter": np.arange(20) % 3 == 0,
}
N = 20
OPERATIONS = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _mask(text: str) -> list[bool]:
    return [bool(value) for value in matches(parse_rule(text), COLUMNS, N)]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_number = st.tuples(st.just("value"), st.sampled_from([-1.0, 0.0, 0.5, 2.0]))
_text = st.tuples(st.just("value"), st.sampled_from(TEXTS))
_truth = st.tuples(st.just("value"), st.booleans())


def _field(*names: str) -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(st.just("field"), st.sampled_from(names))


def _comparison(fields: Any, values: Any, signs: list[str]) -> st.SearchStrategy[Any]:
    either = st.one_of(st.tuples(fields, values), st.tuples(values, fields), st.tuples(fields, fields))
    return st.tuples(st.just("compare"), st.sampled_from(signs), either)


_comparisons = st.one_of(
    _comparison(_field("x", "y"), _number, list(OPERATIONS)),
    _comparison(_field("country", "shop of birth"), _text, ["=", "!="]),
    _comparison(_field("newsletter"), _truth, ["==", "!="]),
)
_trees = st.recursive(
    _comparisons,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=8,
)


def _written(tree: Any) -> str:
    match tree:
        case ("value", bool() as value):
            return str(value).lower()
        case ("value", str() as value):
            return _quoted(value)
        case ("value", value):
            return repr(value)
        case ("field", name):
            return f"`{name}`" if " " in name else str(name)
        case ("compare", sign, (left, right)):
            return f"{_written(left)}{sign}{_written(right)}"
        case ("not", part):
            return f"not ({_written(part)})"
        case (word, parts):
            return f" {word} ".join(f"({_written(part)})" for part in parts)
    raise AssertionError(tree)


def _naive(tree: Any, row: int) -> bool:
    """One customer at a time, straight from the meaning of the words."""
    if tree[0] == "not":
        return not _naive(tree[1], row)
    if tree[0] in ("and", "or"):
        return (all if tree[0] == "and" else any)(_naive(part, row) for part in tree[1])
    sides = []
    for kind, what in tree[2]:
        value = COLUMNS[what][row].item() if kind == "field" else what
        if kind == "field" and (value == "" or value != value):
            return False
        sides.append(value)
    return bool(OPERATIONS[tree[1]](*sides))


@given(_trees)
@example(("not", ("compare", "<", (("field", "x"), ("value", 0.5)))))
def test_as_a_naive_evaluator(tree: Any) -> None:
    assert _mask(_written(tree)) == [_naive(tree, row) for row in range(N)]


@given(st.text(alphabet="xy and or not()<>=!\"'`\\.019eé,;", max_size=40))
def test_any_text_is_understood_or_refused_with_a_place(text: str) -> None:
    refused = None
    try:
        matches(parse_rule(text), COLUMNS, N)
    except FilterError as error:
        refused = error
    if refused is not None:
        assert 1 <= refused.column <= len(text) + 1
        assert str(refused).startswith(f"column {refused.column}: ")


def test_and_binds_more_than_or_and_not_most() -> None:
    assert _mask("x < 0 or x > 1 and y = 0") == _mask("(x < 0) or ((x > 1) and (y = 0))")
    assert _mask("not x < 0 and y = 0") == _mask("(not (x < 0)) and y = 0")
    assert _mask("NOT x < 0 And y = 0 OR newsletter = TRUE") == _mask(
        "not x < 0 and y = 0 or newsletter = true"
    )
    assert _mask("0.5 <= x") == _mask("x >= .5") == _mask("x>=5e-1")


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "expected a feature, an attribute or a value, found the end"),
        ("x", 2, "expected one of =, ==, !=, <, <=, >, >=, found the end"),
        ("x < ", 5, "found the end"),
        ("x < 3 y", 7, "expected and, or, or the end, found 'y'"),
        ("x < 3)", 6, "no ) without a ( before it"),
        ("x < 3 and (y > 2", 17, "the ( of column 11 is not closed"),
        ("x < 3 and and y > 2", 11, "found 'and'"),
        ("x < 3; drop", 6, "';' has no meaning here"),
        ("x in 1", 3, "expected one of =, ==, !=, <, <=, >, >=, found 'in'"),
        ("x = [1]", 5, "'[' has no meaning here"),
        ("x < $most", 5, "'$' has no meaning here"),
        ("x < 3 and country = 'DE", 21, "the quote ' is not closed"),
        ("x < 12abc", 5, "'12abc' is neither a number nor a name"),
        ("x < 1e999", 5, "too large"),
        ("1 < 2", 1, "compares two values"),
        ("x < 3 and contry = 'DE'", 11, "there is no feature or attribute 'contry'; did you mean country?"),
        ("zzz = 1", 1, "there are country, newsletter"),
        ("country < 'DE'", 9, "'country' is a text; it can only be compared by = and !="),
        ("country = 5", 11, "'country' is a text, '5.0' is a number; they cannot be compared"),
        ("newsletter = 1", 14, "yes or no"),
        ("not " * 60 + "x < 1", 205, "nested more than 50 deep"),
        ("(" * 60, 52, "nested more than 50 deep"),
        ("x < 1 or " * 500 + "x < 1", 4001, "may have 4000 characters"),
    ],
)
def test_errors_say_where_and_what(text: str, column: int, message: str) -> None:
    with pytest.raises(FilterError) as error:
        matches(parse_rule(text), COLUMNS, N)
    assert error.value.column == column
    assert message in str(error.value)


def _customers() -> FeatureTable:
    values = np.array([[10.0, 200.0], [50.0, 300.0], [20.0, 50.0], [0.0, 0.0]])
    known = np.array([True, True, True, False])
    return FeatureTable(("recency_days", "monetary"), ("days", "currency"), values, known)


def test_features_of_the_unknown_are_unknown() -> None:
    columns = columns_of(_customers(), {"monetary": np.ones(4)})
    assert matches(parse_rule("monetary >= 0"), columns, 4).tolist() == [True, True, True, False]


def test_who_is_matched() -> None:
    columns = columns_of(_customers(), {"country": np.array(["DE", "", "FR", "DE"])})
    found = {
        text: matches(parse_rule(text), columns, 4).tolist()
        for text in ("recency_days < 30 and monetary > 100", "country = 'DE'", "recency_days < 0")
    }
    assert list(found.values()) == [
        [True, False, False, False],
        [True, False, False, True],
        [False, False, False, False],
    ]
