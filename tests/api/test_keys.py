"""Who may call what: the open door of the first minutes, keys, their scopes, their end."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from app.db.session import Database
from tests.api.serving import assert_problem, serving

EVENT = {"session_id": "s", "item_id": "i", "event": "view_item"}
ROUTES: list[tuple[str, str, Any, set[str]]] = [
    ("PUT", "/v1/users/u", {}, {"ingest"}),
    ("PATCH", "/v1/users/u", {}, {"ingest"}),
    ("POST", "/v1/users/batch", {"users": []}, {"ingest"}),
    ("PUT", "/v1/users/u/relations/v", {}, {"ingest"}),
    ("PUT", "/v1/items/i", {}, {"ingest"}),
    ("POST", "/v1/items/batch", {"items": []}, {"ingest"}),
    ("POST", "/v1/import/items", {"item_id": "i"}, {"ingest"}),
    ("POST", "/v1/interactions", EVENT, {"ingest", "track"}),
    ("POST", "/v1/interactions/batch", {"interactions": [EVENT]}, {"ingest", "track"}),
    ("POST", "/v1/orders", {"order_id": "o", "user_id": "u", "items": [{"item_id": "i"}]}, {"ingest"}),
    ("GET", "/v1/users", None, {"ingest", "query"}),
    ("GET", "/v1/users/u", None, {"ingest", "query"}),
    ("GET", "/v1/users/u/interactions", None, {"ingest", "query"}),
    ("GET", "/v1/items/i", None, {"ingest", "query"}),
    ("GET", "/v1/users/u/recommendations", None, {"query", "track"}),
    ("POST", "/v1/recommendations", {}, {"query", "track"}),
    ("POST", "/v1/recommendations/batch", {"requests": [{}]}, {"query"}),
    ("POST", "/v1/rankings", {"user_id": "u", "item_ids": ["i"]}, {"query"}),
    ("GET", "/v1/items/i/similar", None, {"query", "track"}),
    ("GET", "/v1/users/u/similar", None, {"query"}),
    ("GET", "/v1/popular", None, {"query", "track"}),
    ("GET", "/v1/trending", None, {"query", "track"}),
    ("GET", "/v1/latest", None, {"query", "track"}),
    ("POST", "/v1/predictions/ratings", {"user_id": "u", "item_ids": ["i"]}, {"query"}),
    ("GET", "/v1/segments", None, {"query"}),
    ("GET", "/v1/segments/kmeans-1/users", None, {"query"}),
    ("GET", "/v1/users/u/segments", None, {"query"}),
    ("POST", "/v1/users/u/merge", {"session_id": "s"}, {"ingest"}),
    ("POST", "/v1/users/u/corrections", {"item_id": "i", "kind": "not_interested"}, {"ingest"}),
    ("GET", "/v1/users/u/corrections", None, {"ingest", "query"}),
    ("DELETE", "/v1/users/u/corrections/c", None, {"ingest"}),
    ("GET", "/v1/segment-rules", None, {"query"}),
    ("GET", "/v1/segment-rules/fields", None, {"query"}),
    ("GET", "/v1/segment-rules/r", None, {"query"}),
    ("PUT", "/v1/segment-rules/r", {"name": "r", "filter": "frequency > 1"}, set()),
    ("POST", "/v1/segment-rules/preview", {"filter": "frequency > 1"}, {"query"}),
    ("DELETE", "/v1/segment-rules/r", None, set()),
    ("GET", "/v1/users/u/predictions", None, {"query"}),
    ("GET", "/v1/users/u/profile", None, {"query"}),
    ("GET", "/v1/predictions", None, {"query"}),
    ("GET", "/v1/predictions/models", None, {"query"}),
    ("GET", "/v1/rules", None, {"query"}),
    ("GET", "/v1/items/i/bought-together", None, {"query", "track"}),
    ("POST", "/v1/bought-together", {"item_ids": ["i"]}, {"query", "track"}),
    ("GET", "/v1/forecasts/sales", None, {"query"}),
    ("GET", "/v1/forecasts/demand", None, {"query"}),
    ("GET", "/v1/items/i/forecast", None, {"query"}),
    ("GET", "/v1/reports/sales", None, {"query"}),
    ("GET", "/v1/reports/cohorts", None, {"query"}),
    ("GET", "/v1/reports/items", None, {"query"}),
    ("GET", "/v1/reports/categories", None, {"query"}),
    ("GET", "/v1/models", None, {"query"}),
    ("POST", "/v1/models/none/activate", None, set()),
    ("POST", "/v1/training-runs", None, set()),
    ("GET", "/v1/training-runs", None, set()),
    ("GET", "/v1/keys", None, set()),
    ("POST", "/v1/keys", {"name": "more", "scopes": ["admin"]}, set()),
    ("DELETE", "/v1/keys/key_none", None, set()),
    ("DELETE", "/v1/items/i", None, {"ingest"}),
    ("DELETE", "/v1/users/u", None, {"ingest"}),
    ("GET", "/metrics", None, {"query"}),
]


def _key(client: TestClient, *scopes: str, by: str | None = None, **fields: Any) -> dict[str, Any]:
    headers = {"X-API-Key": by} if by else {}
    response = client.post("/v1/keys", json={"name": "a key", "scopes": scopes, **fields}, headers=headers)
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created


def test_refusals_come_before_the_body_is_judged(client: TestClient) -> None:
    _key(client, "admin")
    refused = client.post("/v1/interactions", content=b"nope")
    assert_problem(refused, 401, "unauthorized")
    assert refused.headers["www-authenticate"] == "Bearer"
    refusable: list[Any] = [
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic dTpw"},
        {"Authorization": "Bearer vt_wrong"},
        {"X-API-Key": "vt_wrong"},
        {"X-API-Key": ""},
        {"X-API-Key": "x" * 10_000},
        {"X-API-Key": b"\xff\xfe"},
    ]
    for headers in refusable:
        assert_problem(client.get("/v1/items", headers=headers), 401, "unauthorized")


def test_either_header_carries_the_key(client: TestClient) -> None:
    secret = _key(client, "query")["key"]
    for headers in (
        {"Authorization": f"Bearer {secret}"},
        {"Authorization": f"bearer  {secret} "},
        {"X-API-Key": secret},
        {"X-API-Key": secret, "Authorization": "Basic dTpw"},
    ):
        assert client.get("/v1/items", headers=headers).status_code == 200


def test_the_secret_is_shown_once_and_not_stored(client: TestClient, database_url: str) -> None:
    made = _key(client, "admin", "track", "track")
    secret = made.pop("key")
    assert len(secret) > 40
    assert made["scopes"] == ["admin", "track"]
    listed = client.get("/v1/keys", headers={"X-API-Key": secret})
    assert listed.json() == {"keys": [made]}
    database = Database(database_url)
    with database.read() as connection:
        rows = [dict(row) for row in connection.execute(text("SELECT * FROM api_keys")).mappings()]
    database.close()
    assert len(rows) == 1
    assert secret not in str(rows)
    assert secret.removeprefix("vt_").encode() not in b"".join(
        bytes(value) for value in rows[0].values() if isinstance(value, bytes | memoryview)
    )


def test_revoked_keys_are_refused_at_once(client: TestClient) -> None:
    admin = {"X-API-Key": _key(client, "admin")["key"]}
    other = _key(client, "query", by=admin["X-API-Key"])
    with_other = {"X-API-Key": other["key"]}
    assert client.get("/v1/items", headers=with_other).status_code == 200
    assert client.delete(f"/v1/keys/{other['key_id']}", headers=admin).status_code == 204
    assert_problem(client.get("/v1/items", headers=with_other), 401, "unauthorized")
    again = client.delete(f"/v1/keys/{other['key_id']}", headers=admin)
    assert_problem(again, 404, "not_found")
    listed = client.get("/v1/keys", headers=admin).json()["keys"]
    assert [key["revoked_at"] is not None for key in listed if key["key_id"] == other["key_id"]] == [True]
    # Without any key left the door stays shut: it was open only until the first one.
    own = next(key["key_id"] for key in listed if key["key_id"] != other["key_id"])
    assert client.delete(f"/v1/keys/{own}", headers=admin).status_code == 204
    assert_problem(client.get("/v1/items"), 401, "unauthorized")


def test_expired_keys_are_refused(client: TestClient) -> None:
    admin = _key(client, "admin")["key"]
    past = _key(client, "admin", by=admin, expires_at="2020-01-01T00:00:00Z")
    assert past["expires_at"].startswith("2020-01-01T00:00:00")
    assert_problem(client.get("/v1/items", headers={"X-API-Key": past["key"]}), 401, "unauthorized")
    future = _key(client, "admin", by=admin, expires_at="2999-01-01T00:00:00Z")
    assert client.get("/v1/items", headers={"X-API-Key": future["key"]}).status_code == 200


def test_the_admin_key_of_the_settings(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path, admin_key="from outside") as client:
        assert_problem(client.get("/v1/keys"), 401, "unauthorized")
        right = {"Authorization": "Bearer from outside"}
        assert client.get("/v1/keys", headers=right).json() == {"keys": []}
        assert_problem(client.get("/v1/keys", headers={"X-API-Key": "from outsidE"}), 401, "unauthorized")
        made = _key(client, "query", by="from outside")["key"]
        assert client.get("/v1/items", headers={"X-API-Key": made}).status_code == 200
        assert client.get("/v1/keys", headers=right).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:8000", "[::1]:8000"])
@pytest.mark.parametrize("peer", ["127.0.0.1", "::1"])
def test_the_machine_itself_needs_no_key_at_first(
    database_url: str, tmp_path: Path, host: str, peer: str
) -> None:
    with serving(database_url, tmp_path, host=host, peer=peer) as client:
        assert client.get("/v1/keys").status_code == 200
        for origin in ("http://localhost:3000", "http://127.0.0.1", "http://[::1]:8000"):
            assert client.get("/v1/keys", headers={"Origin": origin}).status_code == 200, origin
        _key(client, "track")
        assert_problem(client.get("/v1/keys"), 401, "unauthorized")


@pytest.mark.parametrize(
    ("host", "peer"),
    [
        ("127.0.0.1", "10.0.0.7"),
        ("localhost", "2001:db8::1"),
        ("localhost", "testclient"),
        ("shop.example", "127.0.0.1"),
        ("127.0.0.1.evil.example", "127.0.0.1"),
        ("localhost.evil.example:8000", "127.0.0.1"),
    ],
)
def test_others_are_refused_from_the_start(database_url: str, tmp_path: Path, host: str, peer: str) -> None:
    with serving(database_url, tmp_path, host=host, peer=peer) as client:
        for method, path, body, _ in ROUTES:
            assert_problem(client.request(method, path, json=body), 401, "unauthorized")
        claim = client.post("/v1/keys", json={"name": "mine", "scopes": ["admin"]})
        assert_problem(claim, 401, "unauthorized")
        assert client.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
        "http://localhost@evil.example",
        "http://127.0.0.1.evil.example:8000",
        "http://evil.example:80",
        "",
    ],
)
def test_pages_of_other_sites_are_refused(steady: TestClient, origin: str) -> None:
    claim = steady.post(
        "/v1/keys", content=b'{"name": "mine", "scopes": ["admin"]}', headers={"Origin": origin}
    )
    assert_problem(claim, 401, "unauthorized")


def test_cross_origin_calls_only_from_the_origins_of_the_settings(database_url: str, tmp_path: Path) -> None:
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    with serving(database_url, tmp_path, cors_origins="https://shop.example") as client:
        assert client.put("/v1/items/i", json={}).status_code == 200
        secret = _key(client, "track")["key"]
        assert client.options("/v1/interactions", headers=asked).status_code == 200
        headers = {"Origin": "https://shop.example", "X-API-Key": secret}
        sent = client.post("/v1/interactions", json=EVENT, headers=headers)
        assert sent.status_code == 201
        assert sent.headers["access-control-allow-origin"] == "https://shop.example"
        foreign = client.post("/v1/interactions", json=EVENT, headers=headers | {"Origin": "https://a.b"})
        assert "access-control-allow-origin" not in foreign.headers
