"""How limits look over HTTP, and what wrong keys lead to."""

from pathlib import Path
from typing import Any

import time_machine
from starlette.testclient import TestClient

from app.core.clock import from_ms, now_ms
from tests.api.serving import assert_problem, serving

ADMIN = {"X-API-Key": "of the settings"}


def _key(client: TestClient, *scopes: str) -> dict[str, str]:
    made = client.post("/v1/keys", json={"name": "k", "scopes": scopes}, headers=ADMIN)
    return {"X-API-Key": made.json()["key"]}


def test_beyond_the_limit_is_429_until_the_window_ends(database_url: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"admin_key": "of the settings", "rate_limit": "5/minute"}
    with serving(database_url, tmp_path, **settings) as client:
        one, other = _key(client, "query"), _key(client, "query")
        with time_machine.travel(from_ms(now_ms()), tick=False) as clock:
            for left in (4, 3, 2, 1, 0):
                answered = client.get("/v1/items", headers=one)
                assert answered.status_code == 200
                assert answered.headers["ratelimit"] == f'"calls";r={left};t=60'
                assert answered.headers["ratelimit-policy"] == '"calls";q=5;w=60'
            clock.shift(20)
            refused = client.post("/v1/recommendations", content=b"{", headers=one)
            assert_problem(refused, 429, "too_many_requests")
            assert refused.headers["retry-after"] == "40"
            assert refused.headers["ratelimit"] == '"calls";r=0;t=40'
            assert client.get("/v1/items", headers=other).status_code == 200
            assert client.get("/metrics", headers=one).status_code == 200
            assert client.get("/health/ready").status_code == 200
            clock.shift(41)
            assert client.get("/v1/items", headers=one).status_code == 200


def test_guessing_ends_while_stored_keys_go_on(database_url: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"admin_key": "of the settings", "wrong_key_limit": "3/minute"}
    with serving(database_url, tmp_path, **settings) as client:
        shops = _key(client, "query")
        with time_machine.travel(from_ms(now_ms()), tick=False) as clock:
            for number in range(3):
                wrong = client.get("/v1/items", headers={"X-API-Key": f"guess {number}"})
                assert_problem(wrong, 401, "unauthorized")
            for guess in ("guess 4", "of the settings"):  # the right one is not told apart
                limited = client.get("/v1/items", headers={"Authorization": f"Bearer {guess}"})
                assert_problem(limited, 429, "too_many_requests")
                assert limited.headers["retry-after"] == "60"
            assert client.get("/v1/items", headers=shops).status_code == 200
            assert_problem(client.get("/v1/items"), 401, "unauthorized")
            with serving(database_url, tmp_path, peer="10.0.0.9", **settings) as elsewhere:
                assert elsewhere.get("/v1/items", headers=ADMIN).status_code == 200
            clock.shift(61)
            assert client.get("/v1/items", headers=ADMIN).status_code == 200
