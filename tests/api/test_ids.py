"""Ids are the shop's own: any text of 1-256 characters without control characters."""

import pytest
from starlette.testclient import TestClient

from tests.api.serving import assert_problem, encoded

STRANGE = [
    "a/b",
    "/",
    "//a//",
    "a%2Fb",
    "100%",
    "%",
    "%25",
    "a b  c ",
    "🛍️",
    "\u200fيمين\u200e",
    "茶 > 杯",
    "a?b#c&d=e",
    "a+b",
    "..",
    ".hidden",
    "batch",
    "'; DROP TABLE users; --",
    '{"a": 1}',
    "\\",
    "e\u0301",
    "\u00e9",
    "x" * 256,
    "🛍" * 256,
    "\ufffd",
]


@pytest.mark.parametrize("name", STRANGE, ids=range(len(STRANGE)))
def test_strange_ids_name_what_they_say(steady: TestClient, name: str) -> None:
    path = encoded(name).replace(".", "%2E")
    if name != "..":  # which clients resolve before they send it
        for kind, field in (("users", "user_id"), ("items", "item_id")):
            assert steady.put(f"/v1/{kind}/{path}", json={}).json()[field] == name
            assert steady.get(f"/v1/{kind}/{path}").json()[field] == name
        assert steady.put(f"/v1/users/friend/relations/{path}", json={}).json()["other_id"] == name
        relations = steady.get("/v1/users/friend/relations").json()["relations"]
        assert [tie["other_id"] for tie in relations] == [name]
        assert steady.get(f"/v1/users/{path}/recommendations").status_code == 200
        assert steady.get(f"/v1/items/{path}/similar").status_code == 200
    event = {"user_id": name, "session_id": name, "item_id": name, "order_id": name, "event": "view"}
    body = event | {"event_id": name, "recommendation_id": name}
    assert steady.post("/v1/interactions", json=body).json()["event_id"] == name
    assert steady.post("/v1/interactions", json=body).json()["status"] == "duplicate"
    if name != "..":
        stored = steady.get(f"/v1/users/{path}/interactions").json()["interactions"][0]
        assert {stored[field] for field in ("session_id", "item_id", "order_id", "event_id")} == {name}
        assert steady.delete(f"/v1/users/{path}").json()["user_id"] == name
        assert steady.delete(f"/v1/items/{path}").status_code == 204
        assert_problem(steady.get(f"/v1/users/{path}"), 404, "not_found")


def test_slashes_are_not_confused_with_the_paths_own(steady: TestClient) -> None:
    steady.put("/v1/users/a%2Frelations%2Fb", json={"attributes": {"one": 1}})
    steady.put("/v1/users/a/relations/b", json={})
    assert steady.get("/v1/users/a%2frelations%2Fb").json()["attributes"] == {"one": 1}
    assert steady.get("/v1/users/a").json()["attributes"] == {}
    # What the service uses inside to keep them apart is no way in from outside.
    assert_problem(steady.get("/v1/users/a%1Frelations%1Fb"), 422, "string_pattern_mismatch", "/path/user_id")
    both = steady.get("/v1/users/a%2F%1Fb")
    assert_problem(both, 422, "string_pattern_mismatch", "/path/user_id")


@pytest.mark.parametrize(
    "control", ["%00", "%0A", "%1E", "%1F", "%7F", "%C2%80", "%C2%9F", "%FF", "%C3%28", "%ED%A0%80"]
)
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE", "PATCH"])
def test_control_characters_and_bad_utf_8_in_paths_are_refused(
    steady: TestClient, method: str, control: str
) -> None:
    for kind in ("user", "item"):
        response = steady.request(method, f"/v1/{kind}s/a{control}", content=b"{}")
        assert_problem(response, 422, "string_pattern_mismatch", f"/path/{kind}_id")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/%00",
        "/v1/models/a%00/activate",
        "/v1/training-runs/%00",
        "/v1/segments/%00",
        "/v1/keys/%00",
    ],
)
def test_our_own_names_take_no_control_characters(steady: TestClient, path: str) -> None:
    method = "POST" if path.endswith("activate") else "DELETE" if "keys" in path else "GET"
    response = steady.request(method, path)
    assert response.status_code == 422
    assert response.json()["errors"][0]["code"] == "string_pattern_mismatch"


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("", "string_too_short"),
        ("x" * 257, "string_too_long"),
        ("a\x00", "string_pattern_mismatch"),
        ("a\n", "string_pattern_mismatch"),
        ("\x9f", "string_pattern_mismatch"),
        (7, "string_type"),
        (None, "string_type"),
        (["a"], "string_type"),
        (True, "string_type"),
    ],
)
def test_bad_ids_are_refused(steady: TestClient, bad: object, code: str) -> None:
    if isinstance(bad, str) and bad:
        assert_problem(steady.put(f"/v1/users/{encoded(bad)}", json={}), 422, code, "/path/user_id")
    for field in ("user_id", "session_id", "item_id", "event_id", "order_id", "recommendation_id"):
        event = {"user_id": "bad", "item_id": "i", "event": "view", field: bad}
        if bad is not None:
            assert_problem(steady.post("/v1/interactions", json=event), 422, code, f"/{field}")
    batch = steady.post("/v1/users/batch", json={"users": [{"user_id": bad}]}).json()
    assert [(error["code"], error["pointer"]) for error in batch["errors"]] == [(code, "/user_id")]
    rank = {"user_id": "bad", "item_ids": ["fine", bad]}
    assert_problem(steady.post("/v1/rankings", json=rank), 422, code, "/item_ids/1")
    assert_problem(steady.get("/v1/users/bad"), 404, "not_found")
