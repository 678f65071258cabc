"""What a user has seen is left out, however long ago."""

from starlette.testclient import TestClient

from app.services.histories import MAX_EVENTS


def test_items_seen_before_the_latest_events_that_count(client: TestClient) -> None:
    event = {"user_id": "heavy", "event": "view_item"}
    old = event | {"item_id": "old", "occurred_at": "2025-01-01T00:00:00Z"}
    entries = [old, *[event | {"item_id": "recent"} for _ in range(MAX_EVENTS)]]
    client.post("/v1/interactions/batch", json={"interactions": entries})
    client.put("/v1/items/new", json={})

    def shown(exclude_seen: bool) -> set[str]:
        request = {"user_id": "heavy", "exclude_seen": exclude_seen}
        answer = client.post("/v1/recommendations", json=request).json()
        return {item["item_id"] for item in answer["items"]}

    assert shown(exclude_seen=True) == {"new"}
    assert shown(exclude_seen=False) == {"new", "old", "recent"}
