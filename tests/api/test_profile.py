"""The customer at a glance, over HTTP."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from app.schemas.profile import Profile
from tests.api.serving import assert_problem, encoded


def glance(client: TestClient, user_id: str) -> dict[str, Any]:
    response = client.get(f"/v1/users/{encoded(user_id)}/profile")
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    Profile.model_validate(body, strict=True)
    return body


def sent(client: TestClient, **fields: Any) -> None:
    response = client.post("/v1/interactions", json=fields)
    assert response.status_code == 201, response.text


def some_buyer(client: TestClient) -> str:
    page = client.get("/v1/predictions", params={"name": "expected_purchases", "limit": 1}).json()
    user_id: str = page["predictions"][0]["user_id"]
    return user_id


def test_a_known_customer(open_shop: TestClient) -> None:
    user_id = some_buyer(open_shop)
    body = glance(open_shop, user_id)
    user = open_shop.get(f"/v1/users/{user_id}").json()
    assert (body["attributes"], body["created_at"]) == (user["attributes"], user["created_at"])
    events = open_shop.get(f"/v1/users/{user_id}/interactions", params={"limit": 1000}).json()["interactions"]
    assert body["interactions"] == events[:20]
    bought = [event for event in events if event["event"] == "purchase"]
    totals = body["totals"]
    assert totals["interactions"] == len(events)
    assert totals["purchases"] == len(bought)
    assert totals["orders"] == len({event["order_id"] for event in bought})
    assert totals["refunds"] == sum(event["event"] == "refund" for event in events)
    assert (totals["first_seen"], totals["last_seen"]) == (
        events[-1]["occurred_at"],
        events[0]["occurred_at"],
    )
    (money,) = totals["money"]
    assert money["spent"] == pytest.approx(sum(event["price"] * event["quantity"] for event in bought))
    assert body["features"]["monetary"]["value"] == pytest.approx(
        money["spent"] - money["refunded"], rel=1e-5
    )
    favourite = totals["favourite_categories"][0]
    of_it = [
        event
        for event in bought
        if favourite["category"] in open_shop.get(f"/v1/items/{event['item_id']}").json()["categories"]
    ]
    assert (favourite["count"], favourite["by"]) == (len(of_it), "purchases")
    assert favourite["share"] == pytest.approx(len(of_it) / len(bought))
    assert all(1 <= body["rfm"][score] <= 5 for score in ("recency", "frequency", "monetary"))
    segments = {each["kind"]: each for each in body["segments"]}
    assert {"kmeans", "rfm", "taste"} <= segments.keys()
    assert segments["rfm"]["name"] == body["rfm"]["group"]
    theirs = open_shop.get(f"/v1/users/{user_id}/segments").json()["segments"]
    assert {each["segment_id"] for each in theirs} == {each["segment_id"] for each in body["segments"]}
    told = open_shop.get(f"/v1/users/{user_id}/predictions").json()
    for name, short in body["predictions"].items():
        assert short == {field: told["predictions"][name][field] for field in short}
        assert short["because"]
    assert told["missing"].items() <= body["missing"].items()
    assert (body["as_of"], body["model_version"]) == (told["as_of"], told["model_version"])
    recommended = open_shop.get(f"/v1/users/{user_id}/recommendations").json()["items"]
    assert [item["item_id"] for item in body["recommendations"]] == [item["item_id"] for item in recommended]
    assert all(item["reason"]["text"] and item["item"]["title"] for item in body["recommendations"])
    assert body["warnings"] == []


def test_a_complaint_counts_at_once(shop: TestClient) -> None:
    user_id = some_buyer(shop)
    before = glance(shop, user_id)
    for kind in ("complaint", "complaint", "question", "praise"):
        sent(shop, user_id=user_id, event="service_contact", context={"type": kind})
    sent(shop, user_id=user_id, event="service_contact")
    after = glance(shop, user_id)
    counts, former = after["service"]["by_type"], before["service"]["by_type"]
    assert {name: counts[name] - former[name] for name in counts} == {
        "complaint": 2,
        "question": 1,
        "return": 0,
        "other": 2,
    }
    assert after["service"]["contacts"] == before["service"]["contacts"] + 5
    assert after["service"]["latest"] == after["interactions"][0]["occurred_at"]
    old, new = before["features"], after["features"]
    assert new["complaints"]["value"] == old["complaints"]["value"] + 2
    assert new["service_contacts"]["value"] == old["service_contacts"]["value"] + 5
    assert new["service_recency_days"] == {"value": 0, "unit": "days"}
    assert after["totals"]["money"] == before["totals"]["money"]


def test_saved_filters_are_among_the_segments(shop: TestClient) -> None:
    made = shop.put("/v1/segment-rules/buyers", json={"name": "Buyers", "filter": "frequency > 0"})
    assert made.status_code in (200, 201), made.text
    for user_id, is_in in ((some_buyer(shop), True), ("looks", False)):
        sent(shop, user_id=user_id, event="search")
        listed = {entry["segment_id"]: entry for entry in glance(shop, user_id)["segments"]}
        found = listed.get("rule-buyers", {})
        assert (found.get("name"), found.get("filter")) == (
            ("Buyers", "frequency > 0") if is_in else (None, None)
        )


def test_orders_refunds_and_currencies(shop: TestClient) -> None:
    at = "2026-10-05T10:00:00Z"
    line = {"user_id": "new/ana", "event": "purchase", "occurred_at": at}
    sent(shop, **line, item_id="a", order_id="1", price=10, quantity=2, currency="EUR")
    sent(shop, **line, item_id="b", order_id="1", price=5, currency="EUR")
    sent(shop, **line, item_id="c", price=3, currency="USD")
    sent(shop, **line, item_id="d")
    sent(shop, **line | {"event": "refund"}, item_id="b", price=5, currency="EUR")
    body = glance(shop, "new/ana")
    totals = body["totals"]
    assert (totals["interactions"], totals["orders"], totals["purchases"], totals["refunds"]) == (5, 2, 4, 1)
    assert totals["money"] == [
        {"currency": "EUR", "spent": 25, "refunded": 5, "without_price": 0},
        {"currency": "USD", "spent": 3, "refunded": 0, "without_price": 0},
        {"currency": None, "spent": 0, "refunded": 0, "without_price": 1},
    ]
    assert totals["favourite_categories"] == [], "items that nobody described"
    assert body["rfm"]["group"]
    assert body["predictions"]["lifetime"]["alive"] == 1


def test_who_did_nothing(shop: TestClient) -> None:
    assert shop.put("/v1/users/silent", json={"attributes": {"vip": True}}).status_code == 200
    body = glance(shop, "silent")
    assert body["attributes"] == {"vip": True}
    assert (body["totals"]["interactions"], body["totals"]["money"]) == (0, [])
    assert (body["totals"]["first_seen"], body["service"]["latest"]) == (None, None)
    assert (body["rfm"]["recency"], body["rfm"]["why"]) == (None, "The customer has not bought yet.")
    assert [each["kind"] for each in body["segments"]] == []
    assert all(short["why"] for short in body["predictions"].values())
    assert len(body["recommendations"]) == 10
    assert any("no interactions" in warning for warning in body["warnings"])
    assert_problem(shop.get("/v1/users/nobody/profile"), 404, "not_found")


def test_before_the_first_training(client: TestClient) -> None:
    item = {"title": "Mug", "categories": ["Kitchen > Mugs", "Gifts"], "price": 9.5}
    assert client.put("/v1/items/mug", json=item).status_code == 200
    sent(client, user_id="ana", item_id="mug", event="view_item")
    sent(client, user_id="ana", event="service_contact", context={"type": "return"})
    body = glance(client, "ana")
    assert (body["model_version"], body["rfm"], body["segments"], body["predictions"]) == (None, None, [], {})
    assert (body["features"], body["missing"]) == ({}, {})
    assert body["totals"]["interactions"] == 2
    assert [event["event"] for event in body["interactions"]] == ["service_contact", "view_item"]
    assert body["totals"]["favourite_categories"] == [
        {"category": path, "by": "interactions", "count": 1, "share": 1}
        for path in ("Gifts", "Kitchen > Mugs")
    ]
    assert body["service"]["by_type"]["return"] == 1
    assert any("training run" in warning for warning in body["warnings"])
    sent(client, user_id="bo", item_id="mug", event="view_item")
    assert client.put("/v1/items/tea", json={"title": "Tea"}).status_code == 200
    assert [each["item_id"] for each in glance(client, "ana")["recommendations"]] == ["tea"]
    assert_problem(client.get("/v1/users/nobody/profile"), 404, "not_found")


def test_without_end_only_the_latest_count(client: TestClient) -> None:
    lines = [
        f'{{"user_id": "robot", "item_id": "i{n % 50}", "event": "view_item", "event_id": "e{n}"}}'
        for n in range(20_001)
    ]
    sending = {"content": "\n".join(lines), "headers": {"Content-Type": "application/x-ndjson"}}
    assert client.post("/v1/import/interactions", **sending).json()["accepted"] == 20_001  # type: ignore[arg-type]
    body = glance(client, "robot")
    assert body["totals"]["interactions"] == 20_000
    assert "Only the latest 20,000 interactions of the user count." in body["warnings"]
