"""Visitors who never log in: they are served by what other visits chose."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.api.own_shops import event, serving_own

ITEMS = 20


def _visits(count: int) -> list[dict[str, Any]]:
    rows = []
    for visit in range(count):
        start = int(np.random.default_rng(visit).integers(ITEMS))
        for step in range(3):
            row = event(0, (start + step) % ITEMS, 30 + visit / 4 + step / 500, "view_item")
            rows.append({**row, "user_id": None, "session_id": f"v{visit}"})
    return rows


def _next(client: TestClient, **who: Any) -> list[str]:
    viewed = [{"item_id": f"i{item}", "event": "view_item"} for item in (5, 6)]
    wanted = {**who, "session": {"events": viewed}, "n": 3}
    answer = client.post("/v1/recommendations", json=wanted)
    assert answer.status_code == 200, answer.text
    return [item["item_id"] for item in answer.json()["items"]]


def _scores(client: TestClient, **who: Any) -> dict[str, float]:
    wanted = {**who, "item_ids": [f"i{item}" for item in range(ITEMS)]}
    if not who:
        wanted["session"] = {"events": [{"item_id": f"i{item}", "event": "view_item"} for item in (5, 6)]}
    answer = client.post("/v1/rankings", json=wanted)
    assert answer.status_code == 200, answer.text
    return {item["item_id"]: item["score"] for item in answer.json()["items"]}


def test_a_shop_where_nobody_logs_in(database_url: str, tmp_path: Path) -> None:
    with serving_own(database_url, tmp_path, interactions=_visits(320)) as client:
        version = client.get("/v1/models").json()["models"][0]["version"]
        figures = client.get(f"/v1/models/{version}").json()["evaluation"]
        assert figures["protocol"]["split"] == "sessions"
        assert "0 users and 320 anonymous sessions" in figures["protocol"]["reason"]
        top = figures["top_n"]
        assert top["new"]["ndcg"] > 2 * top["popularity"]["ndcg"]
        assert "i7" in _next(client)[:2]


def test_visitors_are_served_by_what_visits_chose(database_url: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    bought = [
        event(user, int(item), float(day))
        for user in range(60)
        for item, day in zip(rng.permutation(ITEMS)[:6], rng.permutation(110), strict=False)
    ]
    with serving_own(database_url, tmp_path, interactions=[*bought, *_visits(320)]) as client:
        version = client.get("/v1/models").json()["models"][0]["version"]
        weights = client.get(f"/v1/models/{version}").json()["content"]["session"]
        assert sum(weights.values()) == pytest.approx(1)
        assert "i7" in _next(client)[:2]
        rows = [event(0, item, 120.0, "view_item") | {"user_id": "known"} for item in (5, 6)]
        assert client.post("/v1/interactions/batch", json={"interactions": rows}).status_code == 200
        visitor, user = (_scores(client, **who) for who in ({}, {"user_id": "known"}))
        assert visitor != user, "who logs in is served as a customer"
