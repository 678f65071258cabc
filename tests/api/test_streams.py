"""NDJSON streams: any length, read in chunks, judged line by line."""

import json
from collections.abc import Iterator
from typing import Any

from starlette.testclient import TestClient

from app.api.batches import CHUNK_LINES, MAX_LINE_BYTES
from tests.api.serving import assert_problem


def _import(client: TestClient, kind: str, body: bytes | Iterator[bytes]) -> dict[str, Any]:
    response = client.post(f"/v1/import/{kind}", content=body)
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()
    return result


def _verdicts(result: dict[str, Any]) -> list[tuple[int, str, str]]:
    return [(error["index"], error["code"], error["pointer"]) for error in result["errors"]]


def _user_ids(client: TestClient) -> set[str]:
    found: list[Any] = []
    cursor = None
    while cursor or not found:
        params = {"limit": 1000} | ({"cursor": cursor} if cursor else {})
        body = client.get("/v1/users", params=params).json()
        found += body["users"]
        cursor = body["next_cursor"]
        if not found:
            break
        if cursor is None:
            break
    return {user["user_id"] for user in found}


def test_a_stream_longer_than_a_chunk(client: TestClient) -> None:
    total = 2 * CHUNK_LINES + 7
    bad = {0: b"{", CHUNK_LINES: b"[]", CHUNK_LINES + 1: b'{"user_id": 5}', total - 1: b'{"user_id": ""}'}

    def parts() -> Iterator[bytes]:
        held = b""
        for number in range(total):
            held += bad.get(number, b'{"user_id": "u%d"}' % number) + b"\n"
            # Parts of a network end anywhere, within a line too.
            if len(held) > 3_000:
                yield held[:2_999]
                held = held[2_999:]
        yield held

    result = _import(client, "users", parts())
    assert (result["accepted"], result["rejected"]) == (total - 4, 4)
    assert _verdicts(result) == [
        (0, "json_invalid", ""),
        (CHUNK_LINES, "model_type", ""),
        (CHUNK_LINES + 1, "string_type", "/user_id"),
        (total - 1, "string_too_short", "/user_id"),
    ]
    assert _user_ids(client) == {f"u{n}" for n in range(total)} - {f"u{n}" for n in bad}


def test_blank_lines_line_ends_and_the_last_line(client: TestClient) -> None:
    body = b'\n\r\n{"user_id": "a"}\r\n   \n{"user_id": "b"} \nnope\n\t\n\n{"user_id": "c"}'
    result = _import(client, "users", body)
    assert (result["accepted"], result["rejected"]) == (3, 1)
    assert _verdicts(result) == [(5, "json_invalid", "")]
    assert _user_ids(client) == {"a", "b", "c"}


def test_lines_cannot_borrow_from_each_other(client: TestClient) -> None:
    # Joined carelessly, these would make valid JSON of another meaning.
    lines = [
        b'{"user_id": "a"}, {"user_id": "b"}',
        b'{"user_id": "c',
        b'd"}',
        b'{"user_id"',
        b': "e"}',
        b"],[",
    ]
    result = _import(client, "users", b"\n".join(lines))
    assert (result["accepted"], result["rejected"]) == (0, 6)
    assert _user_ids(client) == set()


def test_bad_utf_8_and_over_long_lines(client: TestClient) -> None:
    long = b'{"user_id": "long", "attributes": {"a": "' + b"x" * MAX_LINE_BYTES + b'"}}'
    lines = [
        b'{"user_id": "a"}',
        b'{"user_id": "\xff"}',
        long,
        b'{"user_id": "b"}',
        long,
        b'{"user_id": "c"}',
    ]
    for ending in (b"", b"\n"):
        result = _import(client, "users", b"\n".join(lines) + ending)
        assert (result["accepted"], result["rejected"]) == (3, 3)
        assert [(error["index"], error["code"]) for error in result["errors"]] == [
            (1, "json_invalid"),
            (2, "line_too_long"),
            (4, "line_too_long"),
        ]
    assert _user_ids(client) == {"a", "b", "c"}
    only = _import(client, "users", iter([long[:70_000], long[70_000:]]))
    assert _verdicts(only) == [(0, "line_too_long", "")]


def test_a_mark_at_the_beginning_is_passed_over(client: TestClient) -> None:
    marked = b'\xef\xbb\xbf{"user_id": "marked"}\n{"user_id": "plain"}\n'
    assert _import(client, "users", marked)["accepted"] == 2
    pieces = iter([bytes([byte]) for byte in marked])
    assert _import(client, "users", pieces)["accepted"] == 2
    assert _user_ids(client) == {"marked", "plain"}
    assert _import(client, "users", b'{"user_id": "a"}\n\xef\xbb\xbf{"user_id": "b"}')["rejected"] == 1


def test_an_empty_stream(client: TestClient) -> None:
    for body in (b"", b"\n\n"):
        assert _import(client, "items", body) == {
            "accepted": 0,
            "duplicate": 0,
            "rejected": 0,
            "errors": [],
            "warnings": [],
        }


def test_streams_of_items_and_interactions(client: TestClient) -> None:
    items = [{"item_id": "mug", "price": 2}, {"item_id": "tea", "price": -2}, {"item_id": "mug", "price": 3}]
    result = _import(client, "items", "\n".join(map(json.dumps, items)).encode())
    assert (result["accepted"], _verdicts(result)) == (2, [(1, "greater_than_equal", "/price")])
    assert client.get("/v1/items/mug").json()["price"] == 3.0
    assert_problem(client.get("/v1/items/tea"), 404, "not_found")
    event = {"user_id": "ana", "item_id": "mug", "event": "taste"}
    events = [event | {"event_id": f"e{number % (CHUNK_LINES + 2)}"} for number in range(CHUNK_LINES + 5)]
    result = _import(client, "interactions", "\n".join(map(json.dumps, events)).encode())
    assert (result["accepted"], result["duplicate"], result["rejected"]) == (CHUNK_LINES + 2, 3, 0)
    assert len(result["warnings"]) == 1, "a new name warns once over all chunks"
    again = _import(client, "interactions", "\n".join(map(json.dumps, events)).encode())
    assert (again["accepted"], again["duplicate"]) == (0, CHUNK_LINES + 5)


def test_only_the_first_thousand_errors_are_listed(client: TestClient) -> None:
    result = _import(client, "users", b"nope\n" * 1_500 + b'{"user_id": "a"}')
    assert (result["accepted"], result["rejected"], len(result["errors"])) == (1, 1_500, 1_000)
