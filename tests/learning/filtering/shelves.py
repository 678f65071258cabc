"""Items, filters over them made up by Hypothesis, and what these mean, one item at a time."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import strategies as st

from app.learning.filtering.columns import Column
from app.learning.filtering.item_fields import attribute_of, column_for

TEXTS = ["Acme", "acme store", "it's", 'a "b" \\ c', "ÄÖ", "2026-01-02", "2026-01-02T03:00:00+02:00"]
NUMBERS = [-1.0, 0.0, 0.5, 1.0, 20.0]
PATHS = ["Shoes", "Shoes > Running", "Shoes>Running > Trail", "Shoesies", "Socks", ""]
MOMENTS = ["2026-01-01", "2026-01-01T00:00:00Z", "2026-01-02T03:00:00+02:00", "1969-12-31T23:59:59.5Z"]
TEXT_FIELDS, NUMBER_FIELDS = ["brand", "title"], ["price", "cost"]
DATE_FIELDS = ["created_at", "available_from"]
ATTRIBUTES = ["attributes.size", "attributes.box.width", "attributes.a b"]
LITERALS: list[Any] = [*TEXTS, *NUMBERS, True, False]

_value: Any = st.sampled_from(
    [None, "", [], {}, [None], *LITERALS, ["Acme", 1, True], [0.5, "it's"], 10**400]
)


def milliseconds(text: str) -> float:
    """Of a moment as filters write it."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000


def maybe(values: list[Any]) -> Any:
    return st.sampled_from([None, *values])


items: Any = st.fixed_dictionaries(
    {
        **{name: maybe([*TEXTS, ""]) for name in TEXT_FIELDS},
        **{name: maybe(NUMBERS) for name in NUMBER_FIELDS},
        **{name: maybe([milliseconds(text) for text in MOMENTS]) for name in DATE_FIELDS},
        "categories": st.lists(st.sampled_from(PATHS), max_size=3),
        "tags": st.lists(st.sampled_from(TEXTS), max_size=3),
        "attributes": st.fixed_dictionaries(
            {},
            optional={
                "size": _value,
                "a b": _value,
                "box": st.fixed_dictionaries({}, optional={"width": _value}),
            },
        ),
    }
)


def _leaf(fields: list[str], operators: list[str], values: Any) -> Any:
    made = {"field": st.sampled_from(fields), "op": st.sampled_from(operators), "value": values}
    return st.fixed_dictionaries(made)


def _several(fields: list[str], values: Any) -> Any:
    pair = st.lists(values, min_size=2, max_size=2)
    return _leaf(fields, ["in"], st.lists(values, max_size=3)) | _leaf(fields, ["between"], pair)


SIGNS = ["=", "!=", "<", "<=", ">", ">="]
_texts, _numbers = st.sampled_from(TEXTS), st.sampled_from(NUMBERS)
_moments, _paths = st.sampled_from(MOMENTS), st.sampled_from(PATHS)
_needles = st.sampled_from(["", "a", "ACME", "ä", '"', "store", "> run"])
_sought = ["starts with", "contains"]
leaves: Any = st.one_of(
    _leaf(TEXT_FIELDS, ["=", "!="], _texts),
    _leaf(TEXT_FIELDS, ["in"], st.lists(_texts, max_size=3)),
    _leaf([*TEXT_FIELDS, "tags", "category", *ATTRIBUTES], _sought, _needles),
    _leaf(
        NUMBER_FIELDS, SIGNS, _numbers | st.sampled_from([{"field": "price"}, {"field": "attributes.size"}])
    ),
    _several(NUMBER_FIELDS, _numbers),
    _leaf(DATE_FIELDS, SIGNS, _moments | st.just({"field": "created_at"})),
    _several(DATE_FIELDS, _moments),
    _leaf(["tags"], ["has"], _texts),
    _leaf(["tags"], ["in"], st.lists(_texts, max_size=3)),
    _leaf(["category", "categories"], ["under", "has"], _paths),
    _leaf(["categories"], ["in"], st.lists(_paths, max_size=3)),
    _leaf(ATTRIBUTES, ["=", "!=", "has"], st.sampled_from(LITERALS)),
    _leaf(ATTRIBUTES, ["in"], st.lists(st.sampled_from(LITERALS), max_size=3)),
    _leaf(ATTRIBUTES, SIGNS[2:], _numbers | _moments),
    _leaf(ATTRIBUTES, ["between"], st.lists(_numbers, min_size=2, max_size=2)),
    st.fixed_dictionaries(
        {
            "field": st.sampled_from(
                [*TEXT_FIELDS, *NUMBER_FIELDS, *DATE_FIELDS, "tags", "category", *ATTRIBUTES]
            ),
            "op": st.sampled_from(["exists", "missing"]),
        }
    ),
)
trees: Any = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"and": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"or": st.lists(inner, min_size=1, max_size=3)}),
    ),
    max_leaves=8,
)


def columns_of(shelf: list[dict[str, Any]], names: list[str]) -> dict[str, Column]:
    """Columns that hold the items in their order."""
    made: dict[str, Column] = {}
    for name in names:
        column = made[name] = column_for(name)
        column.grow(len(shelf))
        column.write(np.arange(len(shelf)), [value_of(item, name) for item in shelf])
    return made


def value_of(item: dict[str, Any], name: str) -> Any:
    """What an item's column of a field is written with."""
    if name.startswith("attributes."):
        return attribute_of(item["attributes"], name.removeprefix("attributes."))
    if name == "categories":
        return [_path(path) for path in item["categories"]]
    return item.get(name)


def passes(tree: Any, item: dict[str, Any]) -> bool:
    """Whether an item passes, straight from the meaning of the words."""
    if "not" in tree:
        return not passes(tree["not"], item)
    for word, judge in (("and", all), ("or", any)):
        if word in tree:
            return judge(passes(part, item) for part in tree[word])
    name, sign = {"category": "categories"}.get(tree["field"], tree["field"]), tree["op"]
    value = value_of(item, name)
    if sign in ("exists", "missing"):
        return (value not in (None, "", [], {})) is (sign == "exists")
    sought = tree["value"]
    several = isinstance(value, list)
    held = [
        one for one in (value if several else [value]) if isinstance(one, str | float | int) and one != ""
    ]
    if sign in ("has", "in"):
        wanted = sought if sign == "in" else [sought]
        if name == "categories":
            wanted = [_path(one) for one in wanted]
        if name in DATE_FIELDS:
            wanted = [milliseconds(one) for one in wanted]
        return any(_same(one, other) for one in held for other in wanted)
    if sign == "under":
        return any(f"{one} >".startswith(_path(sought) + " >") for one in held)
    if sign in _sought:
        texts = [one.casefold() for one in held if isinstance(one, str)]
        found = [
            one.startswith(sought.casefold()) if sign == "starts with" else sought.casefold() in one
            for one in texts
        ]
        return any(found)
    if several or not held:
        return False
    if isinstance(sought, dict):
        other = value_of(item, sought["field"])
        return _number(value) and _number(other) and _by_sign(value, sign, float(other))
    low, *high = sought if sign == "between" else [sought]
    dated = isinstance(low, str) and (name in DATE_FIELDS or sign not in ("=", "!="))
    if dated:
        low, high = milliseconds(low), [milliseconds(one) for one in high]
        if name not in DATE_FIELDS:
            if value not in TEXTS[-2:]:
                return False
            value = milliseconds(value)
    if type(value) is not type(low) and not (_number(value) and _number(low)):
        return False
    return low <= value <= high[0] if high else _by_sign(value, sign, low)


def _path(text: str) -> str:
    return " > ".join(part.strip() for part in text.split(">"))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _by_sign(value: Any, sign: str, other: Any) -> bool:
    if sign in ("=", "!="):
        return (value == other) is (sign == "=")
    if sign[0] == "<":
        return bool(value < other or (sign == "<=" and value == other))
    return bool(value > other or (sign == ">=" and value == other))
