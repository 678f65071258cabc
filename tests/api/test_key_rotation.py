"""Keys that are replaced while they are used, over two workers, and the log of who did what."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import time_machine
from starlette.testclient import TestClient

from app.core.clock import from_ms, now_ms
from app.db.session import Database
from app.training.audit import remove_entries
from tests.api.serving import assert_problem, pages, serving

ADMIN = {"X-API-Key": "of the settings"}


@pytest.fixture
def workers(database_url: str, tmp_path: Path) -> Iterator[tuple[TestClient, TestClient]]:
    """Two processes' worth of the service on one database."""
    with (
        serving(database_url, tmp_path, admin_key="of the settings") as one,
        serving(database_url, tmp_path, admin_key="of the settings") as other,
    ):
        yield one, other


def _make(client: TestClient, **fields: Any) -> dict[str, Any]:
    made = client.post("/v1/keys", json={"name": "shop", "scopes": ["query"], **fields}, headers=ADMIN)
    body: dict[str, Any] = made.json()
    return body


def _rotate(client: TestClient, key_id: str, **asked: Any) -> Any:
    return client.post(f"/v1/keys/{key_id}/rotate", json=asked, headers=ADMIN)


def _status(client: TestClient, made: dict[str, Any]) -> int:
    return client.get("/v1/items", headers={"X-API-Key": made["key"]}).status_code


def test_both_keys_work_for_a_while_on_every_worker(workers: tuple[TestClient, TestClient]) -> None:
    one, other = workers
    old = _make(one, scopes=["query", "track"], expires_at="2999-01-01T00:00:00Z")
    assert _status(other, old) == 200
    rotated = _rotate(one, old["key_id"], overlap_seconds=3600)
    assert rotated.status_code == 201, rotated.text
    new = rotated.json()
    assert (new["name"], new["scopes"]) == (old["name"], old["scopes"])
    assert new["expires_at"] == old["expires_at"]
    assert new["key"] not in (old["key"], new["replaces"])
    assert new["replaces"]["successor"] == new["key_id"]
    for client in workers:
        assert (_status(client, old), _status(client, new)) == (200, 200)
    with time_machine.travel(from_ms(now_ms() + 3_601_000), tick=False):
        for client in workers:
            assert (_status(client, old), _status(client, new)) == (401, 200)
    assert one.delete(f"/v1/keys/{new['key_id']}", headers=ADMIN).status_code == 204
    assert _status(other, new) == 401
    at_once = _make(one)
    successor = _rotate(one, at_once["key_id"], overlap_seconds=0).json()
    assert (_status(other, at_once), _status(other, successor)) == (401, 200)


def test_a_key_is_rotated_once_while_it_is_valid(workers: tuple[TestClient, TestClient]) -> None:
    one, other = workers
    soon = _make(one, expires_at="2027-01-01T00:00:00Z")
    shortened = _rotate(one, soon["key_id"], expires_at="2900-01-01T00:00:00Z").json()
    assert shortened["replaces"]["expires_at"] == soon["expires_at"]  # a rotation prolongs nothing
    assert_problem(_rotate(other, soon["key_id"]), 409, "conflict")
    assert_problem(_rotate(one, "key_none"), 404, "not_found")
    dead = _make(one)
    one.delete(f"/v1/keys/{dead['key_id']}", headers=ADMIN)
    assert_problem(_rotate(one, dead["key_id"]), 409, "conflict")
    for asked in (
        {"overlap_seconds": -1},
        {"overlap_seconds": 10**9},
        {"overlap_seconds": 5, "expires_at": "2027-01-01T00:00:00Z"},
    ):
        assert _rotate(one, shortened["key_id"], **asked).status_code == 422
    raced = _make(one)["key_id"]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda client: _rotate(client, raced).status_code, [one, other] * 2))
    assert sorted(found) == [201, 409, 409, 409]
    keys = one.get("/v1/keys", headers=ADMIN).json()["keys"]
    assert len([key for key in keys if key["key_id"] == raced or key["successor"] == raced]) == 1


def test_deeds_are_written_down_without_secrets(client: TestClient, database_url: str) -> None:
    first = client.post("/v1/keys", json={"name": "ana@example.org", "scopes": ["admin"]}).json()
    headers = {"X-API-Key": first["key"], "X-Request-ID": "req-7"}
    run = client.post("/v1/training-runs", headers=headers).json()["run_id"]
    client.delete(f"/v1/training-runs/{run}", headers=headers)
    client.delete(f"/v1/training-runs/{run}", headers=headers)
    client.post("/v1/models/none/activate", headers=headers)
    client.put("/v1/users/ana@example.org", json={}, headers=headers)
    client.delete("/v1/users/ana@example.org", headers=headers)
    client.put("/v1/segment-rules/big", json={"name": "b", "filter": "monetary > 1"}, headers=headers)
    client.delete("/v1/segment-rules/big", headers=headers)
    client.put("/v1/scenarios/home", json={"settings": {"n": 3}}, headers=headers)
    successor = client.post(f"/v1/keys/{first['key_id']}/rotate", json={}, headers=headers).json()
    client.delete(f"/v1/keys/{successor['key_id']}", headers=headers)
    got = [
        entry
        for page in _pages(client, headers)
        for entry in page  # newest first
    ][::-1]
    person = next(entry["target"] for entry in got if entry["action"] == "user.erased")
    assert [(entry["actor"], entry["action"], entry["target"], entry["outcome"]) for entry in got] == [
        ("local", "key.created", first["key_id"], "done"),
        *[
            (first["key_id"], *deed)
            for deed in (
                ("training.queued", run, "done"),
                ("training.cancelled", run, "done"),
                ("training.cancelled", run, "conflict"),
                ("model.activated", "none", "not_found"),
                ("user.erased", person, "done"),
                ("segment_rule.saved", "big", "done"),
                ("segment_rule.deleted", "big", "done"),
                ("scenario.saved", "home", "done"),
                ("key.rotated", first["key_id"], "done"),
                ("key.revoked", successor["key_id"], "done"),
            )
        ],
    ]
    assert {entry["request_id"] for entry in got[1:]} == {"req-7"}
    written = str(got)
    assert first["key"] not in written
    assert successor["key"] not in written
    assert "ana@example.org" not in written
    assert person.startswith("er_")
    assert client.get(f"/v1/privacy/receipts/{person}", headers=headers).status_code == 200

    database = Database(database_url)
    assert remove_entries(database, 1) == 0
    with time_machine.travel(from_ms(now_ms() + 2 * 86_400_000), tick=False):
        assert remove_entries(database, 1) == len(got)
    database.close()
    assert client.get("/v1/audit-log", headers=headers).json()["entries"] == []


def _pages(client: TestClient, headers: dict[str, str]) -> list[list[Any]]:
    client.headers.update(headers)
    found = pages(client, "/v1/audit-log", "entries", 4)
    assert len(found) == 3
    return found


def test_what_is_not_done_leaves_no_entry_that_says_so(client: TestClient) -> None:
    assert client.post("/v1/keys", json={"name": "x", "scopes": ["root"]}).status_code == 422
    assert client.get("/v1/audit-log").json()["entries"] == []
