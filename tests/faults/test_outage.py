"""The database goes away, hangs, and comes back: asked in this process, on a server of our own."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.api import edge, reach
from app.db.session import Database
from app.services import remembered_keys
from app.services.keys import Access, Caller
from app.training.worker import Trainer
from tests.api.serving import assert_problem, serving
from tests.e2e.processes import metric, wait_for
from tests.faults.cluster import Cluster, cluster
from tests.faults.service import prepare
from tests.training.shops import queue, trainer

EVENT = {"user_id": "u01", "item_id": "i01", "event": "view_item"}
ADMIN = "an-admin-key-of-the-tests"
ASKED = "/v1/users/u01/recommendations?n=4"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Path]]:
    """A server with a shop whose model is trained, and the model's folder."""
    artifacts = tmp_path_factory.mktemp("outage") / "artifacts"
    with cluster() as made:
        prepare(made.url, plain=True)
        database = Database(made.url)
        queue(database)
        worker: Trainer = trainer(database, artifacts)
        assert worker.work_once()
        database.close()
        yield made, artifacts


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with shorter pauses, and with the service's own patience."""
    monkeypatch.setattr(edge, "ROOM_SECONDS", 1.0)
    monkeypatch.setattr(reach, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(edge, "READ_SECONDS", 0.5)


@pytest.fixture
def client(server: tuple[Cluster, Path], quick: None) -> Iterator[TestClient]:
    with serving(server[0].url, server[1], admin_key=ADMIN) as opened:
        opened.headers["X-API-Key"] = ADMIN
        yield opened


def warned(answer: Any) -> bool:
    assert answer.status_code == 200, answer.text
    return any("database does not answer in time" in said for said in answer.json()["warnings"])


def test_recommendations_go_on_without_the_database(server: tuple[Cluster, Path], client: TestClient) -> None:
    there, _ = server
    key = client.post("/v1/keys", json={"name": "shop", "scopes": ["query"]}).json()["key"]
    known = {"X-API-Key": key}
    asked = {"item_ids": ["i01"], "session": {"events": [{"item_id": "i02", "event": "view_item"}]}, "n": 4}
    before = client.post("/v1/recommendations", json=asked, headers=known).json()
    valued = asked | {"value": {"field": "attributes.points", "weight": 0.5}}
    assert "effects" in client.post("/v1/recommendations", json=valued, headers=known).json()
    assert not warned(client.get(ASKED, headers=known))
    there.kill()
    try:
        away = client.get(ASKED, headers=known)
        assert warned(away)
        assert away.json()["model_version"] == before["model_version"]
        assert len(away.json()["items"]) == 4
        # What the request itself says counts as it does with the database.
        rich = client.post("/v1/recommendations", json=asked, headers=known).json()
        assert rich["items"] == before["items"]
        assert rich["as_of"] < before["as_of"]
        page = {"requests": [asked, asked], "distinct": True}
        results = client.post("/v1/recommendations/batch", json=page, headers=known).json()["results"]
        shown = [item["item_id"] for result in results for item in result["items"]]
        assert len(shown) == len(set(shown))
        # What the shop has ruled and this process has not read is not passed over.
        moved = client.post("/v1/recommendations", json=valued, headers=known)
        assert warned(moved)
        assert "effects" not in moved.json()
        unread = asked | {"value": {"field": "margin", "weight": 0.5}}
        assert_problem(client.post("/v1/recommendations", json=unread, headers=known), 503, "unavailable")
        filtered = asked | {"filter": "price <= 50"}
        assert_problem(client.post("/v1/recommendations", json=filtered, headers=known), 503, "unavailable")
        placed = asked | {"scenario": "home"}
        assert_problem(client.post("/v1/recommendations", json=placed, headers=known), 503, "unavailable")
        # Nobody gets in who was not let in before, and nothing but reading goes on.
        assert_problem(client.get(ASKED, headers={"X-API-Key": "vt_guess"}), 503, "unavailable")
        nobody = {"X-API-Key": ""}
        assert_problem(client.get(ASKED, headers=nobody), 503, "unavailable")
        refused = client.post("/v1/interactions", json=EVENT, headers=known)
        assert_problem(refused, 503, "unavailable")
        assert refused.headers["retry-after"] == "1"
        assert_problem(client.get("/v1/segments", headers=known), 503, "unavailable")
        ready = client.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        text = client.get("/metrics", headers=known).text
        assert metric(text, "vitrine_database_reachable") == 0
        assert metric(text, "vitrine_lists_without_database_total") >= 4
    finally:
        there.start()
    wait_for("healing", lambda: not warned(client.get(ASKED, headers=known)), 5)
    assert client.get("/health/ready").json()["status"] == "ready"
    assert metric(client.get("/metrics", headers=known).text, "vitrine_database_reachable") == 1


def test_a_worker_that_starts_meanwhile_waits(server: tuple[Cluster, Path], quick: None) -> None:
    there, artifacts = server
    there.kill()
    began = threading.Timer(0.3, there.start)
    began.start()
    try:
        with serving(there.url, artifacts, admin_key=ADMIN) as client:
            assert not warned(client.get(ASKED, headers={"X-API-Key": ADMIN}))
    finally:
        began.join()


def test_without_the_setting_they_fail(server: tuple[Cluster, Path], quick: None) -> None:
    there, artifacts = server
    with serving(there.url, artifacts, without_database_seconds=0, admin_key=ADMIN) as client:
        client.headers["X-API-Key"] = ADMIN
        assert client.get(ASKED).status_code == 200
        there.kill()
        try:
            assert_problem(client.get(ASKED), 503, "unavailable")
            assert client.get("/health/ready").status_code == 503
        finally:
            there.start()
        wait_for("healing", lambda: client.get(ASKED).status_code == 200, 5)


def test_a_server_that_hangs_holds_nothing_up(server: tuple[Cluster, Path], client: TestClient) -> None:
    there, _ = server
    assert not warned(client.get(ASKED))
    there.freeze()
    try:
        began = time.monotonic()
        assert warned(client.get(ASKED))
        first = time.monotonic() - began
        # The first call finds it out; who comes next does not wait, or is the one that asks again.
        began = time.monotonic()
        assert all(warned(client.get(ASKED)) for _ in range(5))
        rest = time.monotonic() - began
        assert_problem(client.post("/v1/interactions", json=EVENT), 503, "unavailable")
    finally:
        there.thaw()
    assert first < 5
    assert rest < 15
    wait_for("healing", lambda: not warned(client.get(ASKED)), 10)
    assert client.post("/v1/interactions", json=EVENT).status_code == 201


def test_connections_that_the_server_ended_are_no_failure(
    server: tuple[Cluster, Path], client: TestClient
) -> None:
    there, _ = server
    for path in (ASKED, "/v1/items", ASKED):
        assert client.get(path).status_code == 200
        database = Database(there.url)
        with database.read() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        database.close()
        assert not warned(client.get(ASKED))
        assert client.post("/v1/interactions", json=EVENT).status_code == 201


def test_a_busy_pool_answers_in_time(
    server: tuple[Cluster, Path], quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, artifacts = server
    monkeypatch.setattr(edge, "WAIT_SECONDS", 0.3)
    locker = Database(there.url)
    with (
        serving(there.url, artifacts, database_pool=1, admin_key=ADMIN) as client,
        locker.write() as connection,
    ):
        client.headers["X-API-Key"] = ADMIN
        assert not warned(client.get(ASKED))
        connection.exec_driver_sql("LOCK TABLE items, users, api_keys IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        assert warned(client.get(ASKED))
        assert_problem(client.get("/v1/items"), 503, "unavailable")
        assert time.monotonic() - began < 5
        connection.rollback()
        wait_for("healing", lambda: not warned(client.get(ASKED)), 5)
    locker.close()


def test_keys_are_remembered_for_a_while_alone() -> None:
    now = 100.0
    keys = remembered_keys.RememberedKeys(60, lambda: now)
    shop = Caller("vt_shop", "10.0.0.1", "shop.example", None)
    keys.remember(shop, Access("key_1", frozenset({"query"})))
    assert keys.recall(Caller("vt_shop", "10.0.0.2", "other", None)) is not None
    assert keys.recall(Caller("vt_other", "10.0.0.1", "shop.example", None)) is None
    assert keys.recall(Caller(None, "10.0.0.1", "shop.example", None)) is None
    now = 161.0
    assert keys.recall(shop) is None
    keys.remember(shop, Access("key_1", frozenset({"query"}), expires_at=1))
    assert keys.recall(shop) is None
    keys.remember(shop, Access("key_1", frozenset({"query"})))
    keys.forget(shop)
    assert keys.recall(shop) is None
