"""Items over HTTP: written, changed, listed, taken out of the catalogue and brought back."""

import base64
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.serving import assert_problem, pages

WHOLE: dict[str, Any] = {
    "title": "Blue mug",
    "description": "Holds 300 ml",
    "categories": ["Kitchen > Mugs", "Gifts"],
    "brand": "Lume",
    "price": 9.5,
    "cost": 4.0,
    "currency": "EUR",
    "tags": ["gift", "陶瓷"],
    "image_url": "https://shop.example/mug.jpg",
    "url": "https://shop.example/mug",
    "availability": "preorder",
    "available_from": "2026-01-01T00:00:00.000Z",
    "expires_at": "2030-01-01T00:00:00.000Z",
    "group_id": "mugs",
    "attributes": {"ml": 300},
}
EMPTY: dict[str, Any] = {
    **dict.fromkeys(WHOLE),
    "categories": [],
    "tags": [],
    "availability": "in_stock",
    "attributes": {},
}


def _shop_fields(item: dict[str, Any]) -> dict[str, Any]:
    return {name: item[name] for name in WHOLE}


def test_put_creates_and_replaces_everything(client: TestClient) -> None:
    created = client.put("/v1/items/mug", json=WHOLE)
    assert created.status_code == 200
    assert _shop_fields(created.json()) == WHOLE
    assert client.get("/v1/items/mug").json() == created.json()
    replaced = client.put("/v1/items/mug", json={}).json()
    assert _shop_fields(replaced) == EMPTY
    assert replaced["created_at"] == created.json()["created_at"]


def test_patch_changes_what_is_given_and_null_clears(client: TestClient) -> None:
    client.put("/v1/items/mug", json=WHOLE)
    changed = client.patch("/v1/items/mug", json={"price": 8, "attributes": {"l": 0.3, "ml": None}}).json()
    assert _shop_fields(changed) == WHOLE | {"price": 8.0, "attributes": {"l": 0.3}}
    cleared = client.patch("/v1/items/mug", json=dict.fromkeys(WHOLE)).json()
    assert _shop_fields(cleared) == EMPTY
    assert_problem(client.patch("/v1/items/nothing", json={}), 404, "not_found")


def test_a_patch_is_checked_against_what_is_stored(client: TestClient) -> None:
    client.put("/v1/items/mug", json={"available_from": "2026-05-01T00:00:00Z", "price": 5})
    refused = client.patch("/v1/items/mug", json={"expires_at": "2026-04-01T00:00:00Z", "price": 6})
    assert_problem(refused, 422, "expires_too_early", "/expires_at")
    assert client.get("/v1/items/mug").json()["price"] == 5.0
    large = {"attributes": {"a": "x" * 60_000}}
    client.put("/v1/items/mug", json=large)
    grown = client.patch("/v1/items/mug", json={"attributes": {"b": "x" * 60_000}})
    assert_problem(grown, 422, "too_large", "/attributes")


def test_batch_keeps_the_good_and_names_the_bad(client: TestClient) -> None:
    entries = [
        {"item_id": "a", **WHOLE},
        {"item_id": "b", "price": -1},
        {"item_id": "c", "availability": "maybe"},
        {"item_id": "d", "tags": ["ok", 7]},
        {"item_id": "e", "available_from": "2026-05-01T00:00:00Z", "expires_at": "2026-05-01T00:00:00Z"},
        {"item_id": "f", "currency": "eur"},
        {"item_id": "g", "price": "9.50"},
        {"item_id": "h"},
        {"item_id": "a", "title": "Later"},
    ]
    body = client.post("/v1/items/batch", json={"items": entries}).json()
    assert (body["accepted"], body["rejected"]) == (3, 6)
    assert [(error["index"], error["code"], error["pointer"]) for error in body["errors"]] == [
        (1, "greater_than_equal", "/price"),
        (2, "literal_error", "/availability"),
        (3, "string_type", "/tags/1"),
        (4, "expires_too_early", "/expires_at"),
        (5, "string_pattern_mismatch", "/currency"),
        (6, "float_type", "/price"),
    ]
    assert {item["item_id"] for item in client.get("/v1/items").json()["items"]} == {"a", "h"}
    assert _shop_fields(client.get("/v1/items/a").json()) == EMPTY | {"title": "Later"}


def test_list_pages_lose_nothing_and_repeat_nothing(client: TestClient) -> None:
    client.post("/v1/items/batch", json={"items": [{"item_id": f"i{n:02}"} for n in range(23)]})
    client.delete("/v1/items/i05")
    found = pages(client, "/v1/items", "items", 10)
    assert [len(page) for page in found] == [10, 10, 2]
    names = [item["item_id"] for page in found for item in page]
    assert names == [f"i{n:02}" for n in range(23) if n != 5]


def test_a_deleted_item_is_gone_until_it_is_written_again(client: TestClient) -> None:
    created = client.put("/v1/items/mug", json=WHOLE).json()
    client.post("/v1/interactions", json={"user_id": "ana", "item_id": "mug", "event": "purchase"})
    assert client.delete("/v1/items/mug").status_code == 204
    assert_problem(client.delete("/v1/items/mug"), 404, "not_found")
    assert_problem(client.get("/v1/items/mug"), 404, "not_found")
    assert_problem(client.patch("/v1/items/mug", json={"price": 1}), 404, "not_found")
    assert client.get("/v1/items").json()["items"] == []
    client.post("/v1/interactions", json={"user_id": "bo", "item_id": "mug", "event": "refund"})
    assert_problem(client.get("/v1/items/mug"), 404, "not_found")
    stored = client.get("/v1/users/ana/interactions").json()["interactions"]
    assert [event["item_id"] for event in stored] == ["mug"], "its events stay as evidence"
    back = client.put("/v1/items/mug", json={"title": "Back"}).json()
    assert (back["title"], back["created_at"]) == ("Back", created["created_at"])
    assert [item["item_id"] for item in client.get("/v1/items").json()["items"]] == ["mug"]


def test_an_item_that_an_event_names_is_created(client: TestClient) -> None:
    client.post("/v1/interactions", json={"user_id": "ana", "item_id": "new", "event": "view"})
    assert _shop_fields(client.get("/v1/items/new").json()) == EMPTY


@pytest.mark.parametrize("path", ["/v1/users", "/v1/items", "/v1/training-runs", "/v1/models"])
def test_a_cursor_that_no_list_gave_is_refused(steady: TestClient, path: str) -> None:
    places = (
        b"[]",
        b'["a"]',
        b"null",
        b"[1e30]",
        b"[18446744073709551615]",
        b'[1,"\\u0000"]',
        b"[true]",
        b"[1,2,3]",
    )
    for cursor in [
        "",
        "x",
        "!!!",
        "é",
        "WzFd~",
        *(base64.urlsafe_b64encode(place).decode() for place in places),
    ]:
        assert_problem(steady.get(path, params={"cursor": cursor}), 422, "bad_cursor", "/query/cursor")


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "many", ""])
def test_the_size_of_a_page_is_bounded(steady: TestClient, limit: str) -> None:
    response = steady.get("/v1/items", params={"limit": limit})
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/query/limit"
