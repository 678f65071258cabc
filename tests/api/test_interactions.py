"""Interactions and orders over HTTP: stored once each, under the names of GA4."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.core.events import ALIASES, DEFAULT_WEIGHTS
from tests.api.serving import assert_problem, pages

DATED: dict[str, Any] = {
    "user_id": "ana",
    "session_id": "s1",
    "item_id": "mug",
    "event": "purchase",
    "occurred_at": "2026-03-01T10:00:00.250Z",
    "order_id": "o1",
}


def _of(client: TestClient, user_id: str) -> list[dict[str, Any]]:
    found = client.get(f"/v1/users/{user_id}/interactions", params={"limit": 1000}).json()
    stored: list[dict[str, Any]] = found["interactions"]
    return stored


def test_one_event_is_stored_with_all_that_was_said(client: TestClient) -> None:
    sent = DATED | {
        "value": 2.5,
        "quantity": 2,
        "price": 9.5,
        "currency": "EUR",
        "event_id": "e-1",
        "recommendation_id": "r-1",
        "context": {"page": "/mugs", "深": [1]},
    }
    answer = client.post("/v1/interactions", json=sent)
    assert answer.status_code == 201
    assert answer.json() == {"event_id": "e-1", "status": "accepted", "warnings": []}
    stored = _of(client, "ana")
    assert stored == [{name: value for name, value in sent.items() if name != "user_id"}]
    assert client.get("/v1/users/ana").status_code == 200
    assert client.get("/v1/items/mug").status_code == 200


def test_event_id_is_the_idempotency_key(client: TestClient) -> None:
    first = {"user_id": "ana", "item_id": "mug", "event": "view_item", "event_id": "e-1"}
    assert client.post("/v1/interactions", json=first).json()["status"] == "accepted"
    other_facts = first | {"item_id": "tea", "event": "purchase"}
    repeat = client.post("/v1/interactions", json=other_facts)
    assert (repeat.status_code, repeat.json()["status"]) == (201, "duplicate")
    assert repeat.json()["event_id"] == "e-1"
    assert [event["item_id"] for event in _of(client, "ana")] == ["mug"]


@pytest.mark.parametrize("field", ["user_id", "session_id", "item_id", "event", "occurred_at", "order_id"])
def test_dated_facts_identify_an_event(client: TestClient, field: str) -> None:
    other = {"event": "refund", "occurred_at": "2026-03-01T10:00:00.251Z"}.get(field, "other")
    sent = [DATED, DATED | {"price": 3.0}, DATED | {field: other}, DATED | {field: other}]
    if field in ("user_id", "session_id", "order_id"):
        sent.append({name: value for name, value in DATED.items() if name != field})
    verdicts = [client.post("/v1/interactions", json=event).json()["status"] for event in sent]
    assert verdicts[:4] == ["accepted", "duplicate", "accepted", "duplicate"]
    assert verdicts[4:] in ([], ["accepted"])
    ids = [client.post("/v1/interactions", json=event).json()["event_id"] for event in sent[:2]]
    assert ids[0] == ids[1], "the answer names the same event"


def test_the_same_moment_in_another_zone_is_the_same_event(client: TestClient) -> None:
    client.post("/v1/interactions", json=DATED)
    shifted = DATED | {"occurred_at": "2026-03-01T12:30:00.250+02:30", "event": "Order Completed"}
    assert client.post("/v1/interactions", json=shifted).json()["status"] == "duplicate"


def test_without_date_and_id_every_event_counts(client: TestClient) -> None:
    event = {"user_id": "ana", "item_id": "mug", "event": "view_item"}
    answers = [client.post("/v1/interactions", json=event).json() for _ in range(3)]
    assert [answer["status"] for answer in answers] == ["accepted"] * 3
    assert len({answer["event_id"] for answer in answers}) == 3
    assert {event["event_id"] for event in _of(client, "ana")} == {a["event_id"] for a in answers}
    received = datetime.fromisoformat(_of(client, "ana")[0]["occurred_at"])
    assert abs(received - datetime.now(UTC)) < timedelta(minutes=1)


def test_batch_judges_each_entry(client: TestClient) -> None:
    client.post("/v1/interactions", json=DATED | {"event_id": "before"})
    good = {"user_id": "ana", "item_id": "mug", "event": "view_item"}
    entries: list[Any] = [
        good | {"event_id": "x"},
        good | {"event_id": "x"},
        good | {"event_id": "before"},
        good | {"event": "Made Up!"},
        {"item_id": "mug", "event": "view_item"},
        {"user_id": "ana", "event": "purchase"},
        good | {"event": "rate"},
        good | {"occurred_at": "1969-12-31T23:59:59Z"},
        good | {"quantity": 0},
        {"user_id": "ana", "event": "search", "context": {"q": "tea"}},
        good | {"context": []},
        17,
        DATED,
        DATED,
    ]
    answer = client.post("/v1/interactions/batch", json={"interactions": entries})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["accepted"], body["duplicate"], body["rejected"]) == (3, 3, 8)
    assert [(error["index"], error["code"], error["pointer"]) for error in body["errors"]] == [
        (3, "unknown_event", "/event"),
        (4, "missing", "/user_id"),
        (5, "missing", "/item_id"),
        (6, "missing", "/value"),
        (7, "date_out_of_range", "/occurred_at"),
        (8, "greater_than", "/quantity"),
        (10, "dict_type", "/context"),
        (11, "model_type", ""),
    ]
    assert {"before", "x"} < {event["event_id"] for event in _of(client, "ana")}
    assert len(_of(client, "ana")) == 4


@pytest.mark.parametrize("batch", [False, True])
def test_every_accepted_spelling_is_stored_under_its_name(client: TestClient, batch: bool) -> None:
    spellings = ALIASES | {name: name for name in DEFAULT_WEIGHTS}
    events = [
        {"user_id": "ana", "item_id": "mug", "event": spelling, "value": 4.0, "event_id": spelling}
        for spelling in spellings
    ]
    if batch:
        result = client.post("/v1/interactions/batch", json={"interactions": events}).json()
        assert (result["accepted"], result["warnings"]) == (len(spellings), [])
    else:
        for event in events:
            assert client.post("/v1/interactions", json=event).json()["warnings"] == []
    assert {event["event_id"]: event["event"] for event in _of(client, "ana")} == spellings


def test_an_event_name_of_the_shops_own_warns_once(client: TestClient) -> None:
    event = {"user_id": "ana", "event": "watched_trailer"}
    first = client.post("/v1/interactions", json=event).json()
    assert len(first["warnings"]) == 1
    assert "watched_trailer" in first["warnings"][0]
    assert client.post("/v1/interactions", json=event).json()["warnings"] == []
    entries = [event, *({"user_id": "ana", "event": f"custom_{n % 2}"} for n in range(6))]
    batch = client.post("/v1/interactions/batch", json={"interactions": entries}).json()
    assert len(batch["warnings"]) == 2
    assert client.get("/v1/users/ana/interactions").json()["interactions"][0]["item_id"] is None
    for bad in ("Watched Trailer", "a" * 65, "", "VIEW_ITEM", "purchase "):
        assert client.post("/v1/interactions", json=event | {"event": bad}).status_code == 422


def test_an_event_name_is_a_kind_and_not_an_id(client: TestClient) -> None:
    entries = [{"user_id": "ana", "event": f"page_{number}"} for number in range(1_001)]
    refused = client.post("/v1/interactions/batch", json={"interactions": entries})
    assert_problem(refused, 422, "invalid_input")
    assert_problem(client.get("/v1/users/ana"), 404, "not_found")
    allowed = client.post("/v1/interactions/batch", json={"interactions": entries[:1_000]}).json()
    assert allowed["accepted"] == 1_000


def test_history_is_newest_first_and_pages_cleanly(client: TestClient) -> None:
    moments = [f"2026-03-{1 + number // 5:02}T00:00:00Z" for number in range(23)]  # five of a moment
    entries = [
        {"user_id": "ana", "item_id": f"i{number}", "event": "view_item", "occurred_at": moment}
        for number, moment in enumerate(moments)
    ]
    entries.append({"user_id": "bo", "item_id": "i1", "event": "view_item"})
    client.post("/v1/interactions/batch", json={"interactions": entries})
    found = pages(client, "/v1/users/ana/interactions", "interactions", 4)
    assert [len(page) for page in found] == [4, 4, 4, 4, 4, 3]
    events = [event for page in found for event in page]
    assert len({event["item_id"] for event in events}) == 23
    times = [event["occurred_at"] for event in events]
    assert times == sorted(times, reverse=True)
    bad = client.get("/v1/users/ana/interactions", params={"cursor": "WzFd"})
    assert_problem(bad, 422, "bad_cursor", "/query/cursor")
    assert_problem(client.get("/v1/users/nobody/interactions"), 404, "not_found")


ORDER: dict[str, Any] = {
    "order_id": "o-1",
    "user_id": "ana",
    "items": [
        {"item_id": "mug", "quantity": 2, "price": 9.5},
        {"item_id": "tea"},
        {"item_id": "mug", "price": 8.0},
    ],
    "currency": "EUR",
    "occurred_at": "2026-03-01T10:00:00Z",
}


def test_an_order_is_one_purchase_a_line_and_a_repeat_changes_nothing(client: TestClient) -> None:
    answer = client.post("/v1/orders", json=ORDER)
    assert answer.status_code == 201
    assert answer.json() == {"order_id": "o-1", "status": "accepted", "lines": 3}
    stored = _of(client, "ana")
    assert sorted((line["item_id"], line["quantity"], line["price"]) for line in stored if line["price"]) == [
        ("mug", 1.0, 8.0),
        ("mug", 2.0, 9.5),
    ]
    assert {(line["event"], line["order_id"], line["currency"]) for line in stored} == {
        ("purchase", "o-1", "EUR")
    }
    more = ORDER | {"items": [*ORDER["items"], {"item_id": "bowl"}], "user_id": "bo"}
    for repeat in (ORDER, more, ORDER | {"items": [{"item_id": "bowl"}]}):
        again = client.post("/v1/orders", json=repeat)
        assert again.status_code == 201
        assert again.json() == {"order_id": "o-1", "status": "duplicate", "lines": 0}
    assert _of(client, "ana") == stored
    assert_problem(client.get("/v1/items/bowl"), 404, "not_found")


def test_an_order_with_a_bad_line_stores_none(client: TestClient) -> None:
    bad = ORDER | {"items": [{"item_id": "mug"}, {"item_id": "tea", "quantity": -1}]}
    assert_problem(client.post("/v1/orders", json=bad), 422, "greater_than", "/items/1/quantity")
    nobody = {name: value for name, value in ORDER.items() if name != "user_id"}
    assert_problem(client.post("/v1/orders", json=nobody), 422, "missing", "/user_id")
    assert_problem(client.post("/v1/orders", json=ORDER | {"items": []}), 422, "too_short", "/items")
    assert client.get("/v1/items").json()["items"] == []
    assert client.post("/v1/orders", json=nobody | {"session_id": "s"}).json()["lines"] == 3
