"""Processes that die, and processes that are asked to end."""

import os
import signal
from pathlib import Path

import httpx2
import pytest

from app.db import migrate
from app.db.session import Database
from app.simulation.config import ShopConfig
from app.simulation.shop import simulate
from tests.e2e.processes import Process, alive, free_port, metric, running, wait_for, wait_ready
from tests.training.shops import ingest_shop

pytestmark = pytest.mark.processes


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """A shop on SQLite whose training takes a second or more."""
    url = f"sqlite:///{tmp_path}/vitrine.db"
    database = Database(url)
    migrate.upgrade(database)
    ingest_shop(database, simulate(ShopConfig(users=400, items=200, interactions=12_000)))
    database.close()
    return {"DATABASE_URL": url, "MODEL_POLL_SECONDS": "0.2", "LEASE_SECONDS": "2"}


def state_of(client: httpx2.Client, run_id: str) -> dict[str, object]:
    answer = client.get(f"/v1/training-runs/{run_id}")
    assert answer.status_code == 200
    found: dict[str, object] = answer.json()
    return found


def trainer_of(process: Process) -> int | None:
    return process.child("app.cli trainer")


def test_a_killed_trainers_run_is_taken_up_again(tmp_path: Path, settings: dict[str, str]) -> None:
    port = free_port()
    arguments = ("serve", "--workers", "2", "--port", str(port))
    with (
        running(tmp_path, "serve", *arguments, **settings) as process,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        wait_ready(client, process)
        killed = wait_for("a trainer", lambda: trainer_of(process), 40)
        run_id = client.post("/v1/training-runs").json()["run_id"]
        wait_for("a run that works", lambda: state_of(client, run_id)["state"] == "running", 40)
        os.kill(killed, signal.SIGKILL)
        assert state_of(client, run_id)["state"] == "running"
        # The API serves on, and starts another trainer.
        assert client.get("/v1/users/nobody/recommendations").status_code == 200
        wait_for("another trainer", lambda: trainer_of(process) not in (None, killed), 40)
        wait_for("the end of the run", lambda: state_of(client, run_id)["state"] != "running", 180)
        run = state_of(client, run_id)
        assert (run["state"], run["attempt"]) == ("succeeded", 2), run
        everyone = process.tree()
        assert len(everyone) >= 4
        assert process.terminate() == 0
        assert alive(everyone) == {}


def test_ending_one_worker_hands_the_run_back(tmp_path: Path, settings: dict[str, str]) -> None:
    port = free_port()
    arguments = ("serve", "--workers", "1", "--port", str(port))
    with (
        running(tmp_path, "serve", *arguments, **settings) as process,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        wait_ready(client, process)
        assert client.get("/v1/popular").status_code == 200
        text = client.get("/metrics").text
        assert metric(text, "vitrine_http_requests_total", route="/v1/popular", status="200") == 1
        wait_for("a trainer", lambda: trainer_of(process), 40)
        run_id = client.post("/v1/training-runs").json()["run_id"]
        wait_for("a run that works", lambda: state_of(client, run_id)["state"] == "running", 40)
        everyone = process.tree()
        assert len(everyone) == 2
        client.close()
        assert process.terminate() == 0
        assert alive(everyone) == {}
    database = Database(settings["DATABASE_URL"])
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT state, attempt FROM training_runs").all()
    database.close()
    assert rows == [("running", 0)]


def test_a_trainer_ends_with_the_service_that_started_it(tmp_path: Path, settings: dict[str, str]) -> None:
    port = free_port()
    with (
        running(tmp_path, "serve", "serve", "--port", str(port), **settings) as process,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        wait_ready(client, process)
        child = wait_for("a trainer", lambda: trainer_of(process), 40)
        everyone = process.tree()
        process.kill()
        wait_for("the end of the trainer", lambda: child not in alive(everyone), 40)
