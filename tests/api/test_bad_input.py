"""What is wrong is refused with a problem that names the place; nothing of it is stored, nothing crashes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.db import tables
from app.db.session import Database
from tests.api.serving import assert_problem

BATCHES = {"users": {"user_id": "u"}, "items": {"item_id": "i"}, "interactions": {}}
EVENT: dict[str, Any] = {"user_id": "u", "item_id": "i", "event": "view_item"}
ORDER: dict[str, Any] = {"order_id": "o", "user_id": "u", "items": [{"item_id": "i"}]}
CALLS: list[tuple[str, str]] = [
    ("PUT", "/v1/users/u"),
    ("PATCH", "/v1/users/u"),
    ("POST", "/v1/users/batch"),
    ("PUT", "/v1/users/u/relations/v"),
    ("PUT", "/v1/items/i"),
    ("PATCH", "/v1/items/i"),
    ("POST", "/v1/items/batch"),
    ("POST", "/v1/interactions"),
    ("POST", "/v1/interactions/batch"),
    ("POST", "/v1/orders"),
    ("POST", "/v1/recommendations"),
    ("POST", "/v1/recommendations/batch"),
    ("POST", "/v1/rankings"),
    ("POST", "/v1/predictions/ratings"),
    ("POST", "/v1/keys"),
]


@pytest.fixture(scope="module")
def stored(steady: TestClient) -> Iterator[Database]:
    """The database; all that the tests sent is listed and counted without a complaint at the end."""
    yield steady.app.state.edge.database  # type: ignore[attr-defined]
    assert steady.get("/v1/users").json()["users"] == []
    assert steady.get("/v1/items").json()["items"] == []
    assert steady.get("/v1/keys").json()["keys"] == []
    assert steady.get("/metrics").status_code == 200


@pytest.fixture(autouse=True)
def _nothing_stored(stored: Database) -> Iterator[None]:
    yield
    with stored.read() as connection:
        for table in (tables.users, tables.items, tables.api_keys):
            assert connection.execute(table.select().limit(1)).all() == []


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_bodies_that_are_not_json(steady: TestClient, method: str, path: str) -> None:
    for body in (
        b"",
        b" \r\n\t",
        b"nope",
        b"{",
        b"{} {}",
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\\ud800"}',
        b'{"a": "\\udc00\\ud800"}',
        b'{"a": "\x00"}',
        b"\x00",
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"a": 0x10}',
        b'{"a": 01}',
        b"9" * 5_000,
    ):
        assert_problem(steady.request(method, path, content=body), 400, "malformed_json")


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_bodies_of_another_kind(steady: TestClient, method: str, path: str) -> None:
    for body in (b"[]", b"null", b"7", b'"text"', b"true", b"NaN", b"-Infinity", b"1e999"):
        assert_problem(steady.request(method, path, content=body), 422, "model_type", "")
    for name in ("unknown", "", "a/b~c", "users ", "\u200f", "__proto__"):
        pointer = "/" + name.replace("~", "~0").replace("/", "~1")
        assert_problem(steady.request(method, path, json={name: 1}), 422, "extra_forbidden", pointer)


DATES: dict[str, list[Any]] = {
    "rfc3339_time": ["", "now", "2026-01-01", "2026-01-01T00:00:00", "２０２６-01-01T00:00:00Z"],
    "datetime_from_date_parsing": ["2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z"],
    "datetime_parsing": ["2026-01-01T25:00:00Z", "2026-01-01T00:00:00+99:99"],
    "date_out_of_range": ["0001-01-01T00:00:00Z", "1899-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59"],
    "string_type": [0, 1_700_000_000, 1e300, True, [], {}],
}  # fmt: skip


@pytest.mark.parametrize("code", DATES)
def test_absurd_dates(steady: TestClient, code: str) -> None:
    codes = {code, "datetime_parsing", "datetime_from_date_parsing"} if "parsing" in code else {code}
    for date in DATES[code]:
        for method, path, body, field in (
            ("PUT", "/v1/users/u", {}, "created_at"),
            ("PATCH", "/v1/users/u", {}, "created_at"),
            ("PUT", "/v1/items/i", {}, "available_from"),
            ("PATCH", "/v1/items/i", {}, "expires_at"),
            ("POST", "/v1/interactions", EVENT, "occurred_at"),
            ("POST", "/v1/orders", ORDER, "occurred_at"),
            ("POST", "/v1/keys", {"name": "k", "scopes": ["track"]}, "expires_at"),
        ):
            response = steady.request(method, path, json={**body, field: date})
            assert response.status_code == 422, (path, date, response.text)
            found = response.json()["errors"][0]
            assert found["pointer"] == f"/{field}"
            assert found["code"] in codes, (date, found)


@pytest.mark.parametrize("date", ["1969-12-31T23:59:59.999Z", "1900-01-01T00:00:00Z", "2999-01-01T00:00:00Z"])
def test_events_happen_between_1970_and_now(steady: TestClient, date: str) -> None:
    for path, body in (("/v1/interactions", EVENT), ("/v1/orders", ORDER)):
        response = steady.post(path, json=body | {"occurred_at": date})
        assert_problem(response, 422, "date_out_of_range", "/occurred_at")


NUL, LONG, WRONG = "a\x00b", "x" * 257, "string_pattern_mismatch"
FIELDS: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("PUT", "/v1/users/u", {"attributes": []}, "dict_type", "/attributes"),
    ("PUT", "/v1/users/u", {"attributes": None}, "dict_type", "/attributes"),
    ("PUT", "/v1/users/u", {"attributes": {"a": NUL}}, "nul_character", "/attributes"),
    ("PUT", "/v1/users/u", {"attributes": {NUL: 1}}, "nul_character", "/attributes"),
    ("PUT", "/v1/users/u", {"attributes": {"a": 10**30}}, "not_storable", "/attributes"),
    ("PUT", "/v1/users/u", {"attributes": {"a": "x" * 70_000}}, "too_large", "/attributes"),
    ("PATCH", "/v1/users/u", {"attributes": 1}, "dict_type", "/attributes"),
    ("PUT", "/v1/users/u/relations/v", {"weight": 0}, "greater_than", "/weight"),
    ("PUT", "/v1/users/u/relations/v", {"weight": 1e300}, "less_than_equal", "/weight"),
    ("PUT", "/v1/users/u/relations/v", {"weight": "1"}, "float_type", "/weight"),
    ("PUT", "/v1/users/u/relations/v", {"kind": ""}, "string_too_short", "/kind"),
    ("PUT", "/v1/users/u/relations/v", {"kind": NUL}, WRONG, "/kind"),
    ("PUT", "/v1/items/i", {"title": 7}, "string_type", "/title"),
    ("PUT", "/v1/items/i", {"title": NUL}, WRONG, "/title"),
    ("PUT", "/v1/items/i", {"title": "x" * 2_001}, "string_too_long", "/title"),
    ("PUT", "/v1/items/i", {"categories": "A > B"}, "list_type", "/categories"),
    ("PUT", "/v1/items/i", {"categories": ["A", 5]}, "string_type", "/categories/1"),
    ("PUT", "/v1/items/i", {"categories": ["A"] * 101}, "too_long", "/categories"),
    ("PUT", "/v1/items/i", {"tags": [NUL]}, WRONG, "/tags/0"),
    ("PUT", "/v1/items/i", {"price": "9.5"}, "float_type", "/price"),
    ("PUT", "/v1/items/i", {"price": True}, "float_type", "/price"),
    ("PUT", "/v1/items/i", {"price": -0.01}, "greater_than_equal", "/price"),
    ("PUT", "/v1/items/i", {"price": 10**400}, "finite_number", "/price"),
    ("PUT", "/v1/items/i", {"currency": "eur"}, WRONG, "/currency"),
    ("PUT", "/v1/items/i", {"availability": "soon"}, "literal_error", "/availability"),
    ("PUT", "/v1/items/i", {"group_id": LONG}, "string_too_long", "/group_id"),
    ("PUT", "/v1/items/i", {"item_id": "i"}, "extra_forbidden", "/item_id"),
    ("PATCH", "/v1/items/i", {"cost": -1}, "greater_than_equal", "/cost"),
    ("POST", "/v1/interactions", {**EVENT, "user_id": None}, "missing", "/user_id"),
    ("POST", "/v1/interactions", {**EVENT, "item_id": None}, "missing", "/item_id"),
    ("POST", "/v1/interactions", {"user_id": "u", "item_id": "i"}, "missing", "/event"),
    ("POST", "/v1/interactions", {**EVENT, "event": "No Such"}, "unknown_event", "/event"),
    ("POST", "/v1/interactions", {**EVENT, "event": ""}, "string_too_short", "/event"),
    ("POST", "/v1/interactions", {**EVENT, "event": "a" * 65}, "string_too_long", "/event"),
    ("POST", "/v1/interactions", {**EVENT, "event": "rate"}, "missing", "/value"),
    ("POST", "/v1/interactions", {**EVENT, "value": 1e13}, "less_than_equal", "/value"),
    ("POST", "/v1/interactions", {**EVENT, "quantity": 0}, "greater_than", "/quantity"),
    ("POST", "/v1/interactions", {**EVENT, "user_id": LONG}, "string_too_long", "/user_id"),
    ("POST", "/v1/interactions", {**EVENT, "item_id": "a\n"}, WRONG, "/item_id"),
    ("POST", "/v1/interactions", {**EVENT, "context": {"a": NUL}}, "nul_character", "/context"),
    ("POST", "/v1/orders", {**ORDER, "items": []}, "too_short", "/items"),
    ("POST", "/v1/orders", {**ORDER, "items": [{}] * 1_001}, "too_long", "/items"),
    ("POST", "/v1/orders", {**ORDER, "items": [{"item_id": "i"}, {}]}, "missing", "/items/1/item_id"),
    ("POST", "/v1/orders", {**ORDER, "user_id": None}, "missing", "/user_id"),
    ("POST", "/v1/recommendations", {"user_id": 5}, "string_type", "/user_id"),
    ("POST", "/v1/recommendations", {"n": 0}, "greater_than_equal", "/n"),
    ("POST", "/v1/recommendations", {"n": 501}, "less_than_equal", "/n"),
    ("POST", "/v1/recommendations", {"n": 10**40}, "less_than_equal", "/n"),
    ("POST", "/v1/recommendations", {"n": 1.5}, "int_type", "/n"),
    ("POST", "/v1/recommendations", {"n": "10"}, "int_type", "/n"),
    ("POST", "/v1/recommendations", {"explain": "yes"}, "bool_type", "/explain"),
    ("POST", "/v1/recommendations", {"category": NUL}, WRONG, "/category"),
    ("POST", "/v1/recommendations", {"exclude": ["a"] * 10_001}, "too_long", "/exclude"),
    ("POST", "/v1/recommendations", {"item_ids": ["a", LONG]}, "string_too_long", "/item_ids/1"),
    ("POST", "/v1/recommendations", {"fields": ["secret"]}, "literal_error", "/fields/0"),
    ("POST", "/v1/recommendations", {"session": []}, "model_type", "/session"),
    ("POST", "/v1/recommendations", {"session": {"events": [{}]}}, "missing", "/session/events/0/item_id"),
    (
        "POST",
        "/v1/recommendations/batch",
        {"requests": [{"user_id": "u"}, {"n": 0}]},
        "greater_than_equal",
        "/requests/1/n",
    ),
    ("POST", "/v1/recommendations/batch", {"requests": []}, "too_short", "/requests"),
    ("POST", "/v1/recommendations/batch", {"requests": [{}] * 1_001}, "too_long", "/requests"),
    ("POST", "/v1/rankings", {"item_ids": ["a"]}, "missing", "/user_id"),
    ("POST", "/v1/rankings", {"user_id": "u", "item_ids": []}, "too_short", "/item_ids"),
    ("POST", "/v1/predictions/ratings", {"user_id": "u"}, "missing", "/item_ids"),
    ("POST", "/v1/predictions/ratings", {"user_id": "u", "item_ids": 5}, "list_type", "/item_ids"),
    ("POST", "/v1/keys", {"name": "k", "scopes": ["root"]}, "literal_error", "/scopes/0"),
    ("POST", "/v1/keys", {"name": "", "scopes": ["track"]}, "string_too_short", "/name"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "pointer"),
    FIELDS,
    ids=[f"{method}{path}{pointer}-{code}" for method, path, _, code, pointer in FIELDS],
)
def test_fields(
    steady: TestClient, method: str, path: str, body: dict[str, Any], code: str, pointer: str
) -> None:
    assert_problem(steady.request(method, path, content=json.dumps(body)), 422, code, pointer)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_numbers_that_are_none(steady: TestClient, number: str) -> None:
    for method, path, body, pointer in (
        ("PUT", "/v1/items/i", '{"price": %s}', "/price"),
        ("PUT", "/v1/users/u", '{"attributes": {"a": %s}}', "/attributes"),
        ("PATCH", "/v1/users/u", '{"attributes": {"a": [{"b": %s}]}}', "/attributes"),
        ("PUT", "/v1/users/u/relations/v", '{"weight": %s}', "/weight"),
        ("POST", "/v1/interactions", '{"user_id": "u", "event": "search", "value": %s}', "/value"),
        ("POST", "/v1/recommendations", '{"n": %s}', "/n"),
    ):  # fmt: skip
        response = steady.request(method, path, content=body % number)
        assert response.status_code == 422, response.text
        assert response.json()["errors"][0]["pointer"] == pointer
    entry = '{"items": [{"item_id": "i", "price": %s}]}'
    batch = steady.post("/v1/items/batch", content=entry % number)
    assert [(error["index"], error["pointer"]) for error in batch.json()["errors"]] == [(0, "/price")]


@pytest.mark.parametrize("name", BATCHES)
def test_batches_are_bounded(steady: TestClient, name: str) -> None:
    entry = EVENT if name == "interactions" else BATCHES[name]
    response = steady.post(f"/v1/{name}/batch", json={name: [entry] * 10_001})
    assert_problem(response, 422, "too_long", f"/{name}")
    response = steady.post(f"/v1/{name}/batch", json={name: entry})
    assert_problem(response, 422, "list_type", f"/{name}")
    assert_problem(steady.post(f"/v1/{name}/batch", json={}), 422, "missing", f"/{name}")
    # One unknown field beside the list refuses all, bad entries or not.
    both = {name: [entry, {"bad": 1}], "extra": 1}
    assert_problem(steady.post(f"/v1/{name}/batch", json=both), 422, "extra_forbidden", "/extra")


@pytest.mark.parametrize("depth", [60, 120, 180, 190, 195, 198, 199, 200, 240, 300, 1_200, 50_000])
def test_deep_nesting(steady: TestClient, depth: int) -> None:
    for opening, closing in (('{"a":', "}"), ("[", "]")):
        deep = '{"a":' + opening * depth + "1" + closing * depth + "}"
        for method, path, body in (
            ("PUT", "/v1/users/u", '{"attributes": %s}'),
            ("PATCH", "/v1/users/u", '{"attributes": %s}'),
            ("POST", "/v1/users/batch", '{"users": [{"user_id": "u", "attributes": %s}, {}]}'),
            ("POST", "/v1/import/users", '{"user_id": "u", "attributes": %s}'),
        ):
            response = steady.request(method, path, content=body % deep)
            assert response.status_code in (200, 400, 404, 422), (path, response.text)
            if response.status_code == 200:
                for shown in ("/v1/users/u", "/v1/users"):
                    assert steady.get(shown).status_code in (200, 404)
    steady.delete("/v1/users/u")


BAD = {
    "limit": ["0", "1001", "x", "1.5"],
    "cursor": ["", "x", "\x00", "é", "[1]", "x" * 1_001],
    "n": ["0", "501", "-1", "x", "9" * 30, ""],
    "window": ["", "7", "d", "0d", "-1d", "9999w", "1e3d", "７d", "7d\n", "1" * 11],
}
QUERIES = [
    *((f"/v1/{kind}", "limit", bad) for kind in ("users", "items", "models") for bad in BAD["limit"]),
    *((f"/v1/{kind}", "cursor", bad) for kind in ("users", "training-runs") for bad in BAD["cursor"]),
    *((f"/v1/{kind}", "n", bad) for kind in ("popular", "users/u/recommendations") for bad in BAD["n"]),
    *((f"/v1/{kind}", "window", bad) for kind in ("popular", "trending") for bad in BAD["window"]),
    ("/v1/popular", "category", "x" * 501),
    ("/v1/latest", "category", "x" * 501),
    ("/v1/users/u/recommendations", "explain", "maybe"),
    ("/v1/users/u/recommendations", "exclude_seen", ""),
    ("/v1/items/i/similar", "by", "magic"),
    ("/v1/segments", "kind", "x" * 41),
]


@pytest.mark.parametrize(("path", "name", "bad"), QUERIES, ids=range(len(QUERIES)))
def test_queries(steady: TestClient, path: str, name: str, bad: str) -> None:
    body = assert_problem(steady.get(path, params={name: bad}), 422, "invalid_input")
    assert [error["pointer"] for error in body["errors"]] == [f"/query/{name}"]


def test_nothing_answers_elsewhere(steady: TestClient) -> None:
    assert_problem(steady.get("/v1/nothing"), 404, "no_such_path")
    assert_problem(steady.get("/v1/users/u/nothing"), 404, "no_such_path")
    assert_problem(steady.delete("/v1/orders"), 405, "method_not_allowed")
    assert steady.delete("/v1/orders").headers["allow"] == "POST"


def test_a_parameter_is_given_once(steady: TestClient) -> None:
    answer = steady.get("/v1/users/ana/recommendations?n=1&n=3&explain=true")
    body = assert_problem(answer, 422, "repeated_parameter", "/query/n")
    assert len(body["errors"]) == 1


@pytest.mark.parametrize(
    ("method", "path", "known"),
    [
        ("GET", "/v1/users/ana/recommendations", "exclude_seen"),
        ("GET", "/v1/items", "limit"),
        ("POST", "/v1/interactions", None),
        ("GET", "/v1/reports/sales", "from"),
    ],
)
def test_misspelt_parameters_are_named(steady: TestClient, method: str, path: str, known: str | None) -> None:
    answer = steady.request(method, path, params={"limt": 5, "a/b~c": "x"})
    body = assert_problem(answer, 422, "unknown_parameter", "/query/limt")
    assert [error["pointer"] for error in body["errors"]] == ["/query/limt", "/query/a~1b~0c"]
    assert "'limt'" in body["detail"]
    assert (known or "it has none") in body["detail"]
