"""From bytes to models: the same verdicts, however many come at once."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.core.errors import InvalidInput, MalformedJson
from app.schemas.interactions import Interaction
from app.schemas.items import ItemBatch, ItemEntry
from app.schemas.parsing import Checked, LineParser, parse_batch, parse_body, parse_entries
from app.schemas.users import UserBatch, UserEntry, UserFields

PARSER = LineParser(UserEntry)

IDS = st.one_of(
    st.text("ab/~é🛒", min_size=1, max_size=4), st.just(""), st.just("a\n"), st.integers(), st.none()
)
OBJECTS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text('a{}[],"\\\n', max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("k~/", max_size=2), inner, max_size=2)
    ),
    max_leaves=5,
)
ENTRIES = st.fixed_dictionaries(
    {"user_id": IDS},
    optional={"attributes": OBJECTS, "created_at": st.just("2026-01-01T00:00:00Z"), "x/y~z": st.just(1)},
)
GOOD = st.fixed_dictionaries(
    {"user_id": st.text("abé", min_size=1, max_size=3)},
    optional={"attributes": st.dictionaries(st.text("k", max_size=2), OBJECTS, max_size=2)},
)
FRAGMENTS = st.sampled_from(
    [
        '{"user_id":"a"}',
        '{"user_id":"b"',
        '"attributes":{}',
        '"attributes":{"x":[{}',
        "{}",
        "]}",
        "}",
        "{",
        ",",
        *(
            "[",
            "]",
            "],[",
            '"',
            "\\",
            " ",
            "\t",
            "\r",
            "null",
            "NaN",
            "1",
            "\ufeff",
            "//",
            '"user_id":"c"',
            ":",
        ),
    ]
)
LINES = st.one_of(
    GOOD.map(orjson.dumps),
    ENTRIES.map(lambda entry: json.dumps(entry).encode()),
    OBJECTS.map(orjson.dumps),
    st.lists(FRAGMENTS, min_size=1, max_size=6).map(lambda parts: "".join(parts).encode()),
    st.binary(min_size=1, max_size=6),
).filter(lambda line: bool(line.strip()) and b"\n" not in line)


def outcome(checked: Checked[UserEntry]) -> tuple[list[dict[str, Any]], list[int], list[dict[str, Any]]]:
    return [dict(entry) for entry in checked.entries], list(checked.indexes), checked.errors


def one_by_one(lines: list[bytes], first: int) -> Checked[UserEntry]:
    checked: Checked[UserEntry] = Checked()
    checked.indexes = []
    for index, line in enumerate(lines, first):
        try:
            json.loads(line.decode())  # each line is JSON of its own
            valid = True
        except ValueError:
            valid = False
        alone = PARSER.parse([line], [index])
        assert valid or not alone.entries
        checked.entries += alone.entries
        checked.indexes += alone.indexes
        checked.errors += alone.errors
    return checked


@given(st.lists(LINES, max_size=6), st.integers(0, 9))
@example([b'{"user_id":"a"},{"user_id":"b"', b'"attributes":{}}'], 0)
@example([b'{"user_id":"a"} , {"user_id":"b"', b'"attributes":{}}'], 0)
@example([b'{"user_id":"a"},{"user_id":"b","attributes":{"x":[{}', b"{}]}}"], 0)
@example(
    [b'{"user_id":"a"},\t\r{"user_id":"b"},{"user_id":"c"', b'"attributes":{}', b'"created_at":null}'], 0
)
@example([b'{"user_id":"a"}],[{"user_id":"b","attributes":{"x":[[1', b"2]]}}"], 0)
@example([b'{"user_id":"a","attributes":{"x":[{},{}]}}', b'{"user_id":"b"}'], 0)
@example([b'{"user_id":"a","attributes":{"x":"},{"}}', b'{"user_id":"b"}'], 0)
@example([b'{"user_id":"a', b'b"}'], 0)
def test_lines_at_once_are_judged_as_one_by_one(lines: list[bytes], first: int) -> None:
    assert outcome(PARSER.parse(lines, range(first, first + len(lines)))) == outcome(one_by_one(lines, first))


@given(st.lists(GOOD, max_size=5))
def test_good_lines_are_all_taken(entries: list[dict[str, Any]]) -> None:
    checked = PARSER.parse([orjson.dumps(entry) for entry in entries], range(7, 7 + len(entries)))
    assert [entry.user_id for entry in checked.entries] == [entry["user_id"] for entry in entries]
    assert [entry.attributes for entry in checked.entries] == [
        entry.get("attributes", {}) for entry in entries
    ]
    assert list(checked.indexes) == list(range(7, 7 + len(entries)))


@given(st.lists(st.one_of(GOOD, ENTRIES, OBJECTS), max_size=6))
def test_a_batch_is_judged_as_its_lines(entries: list[Any]) -> None:
    body = json.dumps({"users": entries}).encode()
    lines = PARSER.parse([json.dumps(entry).encode() for entry in entries])
    batch = parse_batch(UserBatch, UserEntry, "users", body)
    assert outcome(batch) == outcome(lines)
    assert outcome(parse_entries(UserEntry, entries)) == outcome(lines)


def test_verdicts_name_places_and_reasons() -> None:
    entries = [{"user_id": "a"}, {}, {"user_id": "b"}, 5, {"user_id": "c", "a/b~c": 1}, {"user_id": ""}]
    checked = parse_batch(UserBatch, UserEntry, "users", orjson.dumps({"users": entries}))
    assert [entry.user_id for entry in checked.entries] == ["a", "b"]
    assert list(checked.indexes) == [0, 2]
    assert [(error["index"], error["code"], error["pointer"]) for error in checked.errors] == [
        (1, "missing", "/user_id"),
        (3, "model_type", ""),
        (4, "extra_forbidden", "/a~1b~0c"),
        (5, "string_too_short", "/user_id"),
    ]


def test_a_rule_over_several_fields_points_to_one() -> None:
    late = {"item_id": "i", "available_from": "2026-01-02T00:00:00Z", "expires_at": "2026-01-01T00:00:00Z"}
    checked = parse_batch(ItemBatch, ItemEntry, "items", orjson.dumps({"items": [late]}))
    assert [error["pointer"] for error in checked.errors] == ["/expires_at"]
    lines = LineParser(Interaction).parse(
        [b'{"event":"view","item_id":"i"}', b'{"event":"view","user_id":"u"}'], [3, 4]
    )
    assert [(error["index"], error["pointer"]) for error in lines.errors] == [
        (3, "/user_id"),
        (4, "/item_id"),
    ]


@pytest.mark.parametrize("key", ["a/b", "a~b", "~1", "/", "~", "a~/b"])
def test_pointers_lead_to_keys(key: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_body(UserFields, orjson.dumps({key: 1}))
    (error,) = refused.value.errors
    assert error.pointer.count("/") == 1
    assert error.pointer[1:].replace("~1", "/").replace("~0", "~") == key


@pytest.mark.parametrize(
    "body", [b"", b"  \n", b"{", b'{"users":[', b"\xff", b'{"users":[{"user_id":"\\ud800"}]}']
)
def test_no_json(body: bytes) -> None:
    with pytest.raises(MalformedJson):
        parse_batch(UserBatch, UserEntry, "users", body)
    with pytest.raises(MalformedJson):
        parse_body(UserBatch, body)


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b"1", b'{"users":{}}', b'{"users":[],"x":1}', b'{"users":[{}],"x":1}']
)
def test_no_batch(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_batch(UserBatch, UserEntry, "users", body)


def test_deep_lines_are_judged_alike() -> None:
    for depth in range(190, 205):
        line = b'{"user_id":"a","attributes":{"x":' + b"[" * depth + b"]" * depth + b"}}"
        together = PARSER.parse([line, b'{"user_id":"b"}'])
        alone = PARSER.parse([line])
        assert len(together.entries) == len(alone.entries) + 1
        assert together.errors == alone.errors
