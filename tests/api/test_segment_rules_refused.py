"""Saved filters that are refused: what cannot be understood, too many, and callers without the scope."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.serving import assert_problem

PATH = "/v1/segment-rules"
SPENDERS = {"name": "Big spenders", "filter": "purchase_recency_days <= 30 and monetary > 100"}


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("recency_days <", "filter_syntax", "column 15:"),
        ("recency_days < 3 and", "filter_syntax", "column 21:"),
        ("(recency_days < 3", "filter_syntax", "column 18: the ( of column 1 is not closed"),
        ("monetary > 100 € ", "filter_syntax", "column 16:"),
        ('country = "DE', "filter_syntax", 'column 11: the quote " is not closed'),
        ("3 < 4", "filter_syntax", "column 1:"),
        (" ", "filter_syntax", "column 2:"),
        ("not " * 60 + "churn > 1", "filter_syntax", "nested"),
        ("recency_day < 3", "filter_field", "did you mean recency_days"),
        ("monetary > 100 and newslettr = true", "filter_field", "column 20:"),
        ("country > 3", "filter_field", "column 1: 'country' is a text here, and compared as a number"),
        ('country = "DE" or country = 3', "filter_field", "column 19:"),
        ('country < "DE"', "filter_field", "column 9:"),
        ('monetary = "much"', "filter_field", "column 12:"),
        (f'country = "{"x" * 201}"', "filter_field", "column 11: a text may have 200 characters"),
    ],
)
def test_what_cannot_be_understood(open_shop: TestClient, text: str, code: str, said: str) -> None:
    for method, path, body in (
        ("PUT", f"{PATH}/bad", {"name": "bad", "filter": text}),
        ("POST", f"{PATH}/preview", {"filter": text}),
    ):
        problem = assert_problem(open_shop.request(method, path, json=body), 422, code, "/filter")
        assert said in problem["detail"]
        assert said in problem["errors"][0]["detail"]
    assert_problem(open_shop.get(f"{PATH}/bad"), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"name": "x"}, "missing", "/filter"),
        ({"filter": "churn > 1"}, "missing", "/name"),
        ({"name": "", "filter": "churn > 1"}, "string_too_short", "/name"),
        ({"name": "x" * 201, "filter": "churn > 1"}, "string_too_long", "/name"),
        ({"name": "x", "filter": ""}, "string_too_short", "/filter"),
        ({"name": "x", "filter": "x" * 4001}, "string_too_long", "/filter"),
        ({"name": "x", "filter": "churn > 1\x00"}, "string_pattern_mismatch", "/filter"),
        ({"name": "x", "filter": 3}, "string_type", "/filter"),
        ({"name": "x", "filter": "churn > 1", "more": 1}, "extra_forbidden", "/more"),
    ],
)
def test_bodies(steady: TestClient, body: dict[str, Any], code: str, pointer: str) -> None:
    assert_problem(steady.put(f"{PATH}/x", json=body), 422, code, pointer)


@pytest.mark.parametrize("name", ["A", "-a", "a b", "ä", "a" * 65, "a.b", "a%2Fb"])
def test_names(steady: TestClient, name: str) -> None:
    for method in ("PUT", "GET", "DELETE"):
        refused = steady.request(method, f"{PATH}/{name}", json=SPENDERS if method == "PUT" else None)
        assert_problem(refused, 422, "string_pattern_mismatch", "/path/segment")


def test_names_of_other_calls(steady: TestClient) -> None:
    for name in ("fields", "preview"):
        assert_problem(steady.put(f"{PATH}/{name}", json=SPENDERS), 422, "reserved", "/path/segment")


def test_there_is_a_bound(client: TestClient) -> None:
    for number in range(200):
        assert client.put(f"{PATH}/r{number}", json=SPENDERS).status_code == 201
    assert_problem(client.put(f"{PATH}/more", json=SPENDERS), 409, "conflict")
    assert client.put(f"{PATH}/r7", json=SPENDERS).status_code == 200, "those there can be changed"
    assert client.delete(f"{PATH}/r7").status_code == 204
    assert client.put(f"{PATH}/more", json=SPENDERS).status_code == 201


def test_scopes(client: TestClient) -> None:
    admin = client.post("/v1/keys", json={"name": "a", "scopes": ["admin"]}).json()["key"]
    query = client.post(
        "/v1/keys", json={"name": "q", "scopes": ["query"]}, headers={"X-API-Key": admin}
    ).json()["key"]
    for method, path, body, allowed in (
        ("PUT", f"{PATH}/a", SPENDERS, False),
        ("DELETE", f"{PATH}/a", None, False),
        ("GET", f"{PATH}/a", None, True),
        ("GET", PATH, None, True),
        ("GET", f"{PATH}/fields", None, True),
        ("POST", f"{PATH}/preview", {"filter": "churn > 0"}, True),
    ):
        assert_problem(client.request(method, path, json=body), 401, "unauthorized")
        response = client.request(method, path, json=body, headers={"X-API-Key": query})
        assert (response.status_code != 403) is allowed, (method, path, response.text)
        assert client.request(method, path, json=body, headers={"X-API-Key": admin}).status_code != 403
