"""Cursors: what was put in comes out, and nothing else is taken for one."""

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidInput
from app.db.session import Database
from app.services.paging import decode_cursor, encode_cursor, page

INTEGERS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
PLACES = st.lists(st.one_of(INTEGERS, TEXTS), max_size=4)


@given(PLACES)
def test_a_cursor_leads_back(place: list[Any]) -> None:
    cursor = encode_cursor(place)
    assert decode_cursor(cursor, *(type(value) for value in place)) == tuple(place)
    assert cursor.isascii()
    assert not set(cursor) & set("+/=&?# ")  # goes into a query as it is


def test_without_one_there_is_no_place() -> None:
    assert decode_cursor(None, int) is None


@given(st.text(), st.lists(st.sampled_from([int, str]), min_size=1, max_size=3))
def test_any_text_is_refused_or_fits(cursor: str, kinds: list[type]) -> None:
    try:
        place = decode_cursor(cursor, *kinds)
    except InvalidInput:
        pass
    else:
        assert place is not None
        assert [type(value) for value in place] == kinds


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=2)),
    max_leaves=6,
)


@given(JSON, st.lists(st.sampled_from([int, str]), min_size=1, max_size=3))
def test_json_that_is_no_place_is_refused(value: Any, kinds: list[type]) -> None:
    cursor = base64.urlsafe_b64encode(orjson.dumps(value)).decode().rstrip("=")
    fits = isinstance(value, list) and [type(part) for part in value] == kinds
    if fits and all(not isinstance(part, int) or part < 2**63 for part in value):
        assert decode_cursor(cursor, *kinds) == tuple(value)
    else:
        with pytest.raises(InvalidInput):
            decode_cursor(cursor, *kinds)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"[]",
        b"[1,2]",
        b'["1"]',
        b"[true]",
        b"[1.0]",
        b"[null]",
        b"1",
        b'{"0":1}',
        b"[NaN]",
        b"\xff",
        b"[9223372036854775808]",
        b"[-9223372036854775809]",
        b"[1e400]",
        b"[" * 5_000,
    ],
)
def test_no_key_of_a_row(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_cursor(base64.urlsafe_b64encode(body).decode().rstrip("="), int)


def test_text_with_nul_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        decode_cursor(base64.urlsafe_b64encode(b'["a\\u0000b"]').decode(), str)
    assert [(error.pointer, error.code) for error in refused.value.errors] == [
        ("/query/cursor", "bad_cursor")
    ]


@pytest.mark.parametrize(
    "cursor", ["", "WzFd!", "W z F d", "WzFd\n", "WzF", "W", "é", "\ud800", "WzFd=x", "👍" * 4]
)
def test_what_is_not_base64_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput):
        decode_cursor(cursor, int)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_pages_of_rows(database: Database) -> None:
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT value AS n FROM json_each('[0,1,2,3,4]')").all()
    whole = page(rows, 5, lambda row: [row.n])
    assert (list(whole.rows), whole.next_cursor) == (rows, None)
    part = page(rows, 4, lambda row: [row.n])
    assert list(part.rows) == rows[:4]
    assert decode_cursor(part.next_cursor, int) == (3,)
    assert page([], 4, lambda row: [row.n]).next_cursor is None
