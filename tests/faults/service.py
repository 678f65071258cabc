"""The whole service as processes that may be killed at any moment and are started again."""

import os
import random
import signal
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2

from app.db import migrate
from app.db.session import Database
from app.simulation.shop import simulate
from tests.e2e.processes import Process, free_port, wait_for, wait_ready
from tests.training.shops import SMALL, ingest, ingest_shop, views


def prepare(url: str, plain: bool = False) -> None:
    """A migrated database with a shop that trains within a few seconds, or a plain one for less than one."""
    database = Database(url)
    migrate.upgrade(database)
    if plain:
        ingest(database, interactions=views(12, 8))
    else:
        ingest_shop(database, simulate(SMALL))
    database.close()


class Service:
    """Replicas of the API, each with its workers, and trainers, on one database."""

    def __init__(
        self, folder: Path, url: str, *, workers: int = 2, replicas: int = 1, trainers: int = 1
    ) -> None:
        self.folder = folder
        self.url = url
        self.key: str | None = None
        """Sent with each call, if the service asks for one."""
        self.embedded = url.startswith("sqlite")
        self.ports = [free_port() for _ in range(replicas)]
        self.artifacts = folder / "artifacts"
        self._workers = workers
        self._trainers = trainers
        self._started = 0
        self._settings = {
            "DATABASE_URL": url,
            "ARTIFACTS": str(self.artifacts),
            "METRICS_DIR": str(folder / "metrics"),
            "MODEL_POLL_SECONDS": "0.2",
            "LEASE_SECONDS": "2",
            "MAX_ATTEMPTS": "20",
            "TRAIN_INTERVAL_HOURS": "0",
            "TRAIN_AFTER_INTERACTIONS": "0",
        }
        self.apis = [self._api(replica) for replica in range(replicas)]
        self.trainers = [self._trainer() for _ in range(0 if self.embedded else trainers)]

    def address(self, replica: int = 0) -> str:
        return f"http://127.0.0.1:{self.ports[replica]}"

    def wait_ready(self) -> None:
        for replica, process in enumerate(self.apis):
            with httpx2.Client(base_url=self.address(replica), timeout=10) as client:
                wait_ready(client, process, 180)

    def kill_worker(self, chance: random.Random) -> None:
        """Kill one of the API's workers; the others answer on, and it is started again."""
        workers = [pid for pid, line in self.apis[0].tree().items() if "spawn_main" in line]
        if workers:
            _kill(chance.choice(sorted(workers)))

    def kill_trainer(self) -> None:
        """Kill a trainer. `vitrine serve` starts its own again by itself."""
        if self.embedded:
            child = self.apis[0].child("app.cli trainer")
            if child is not None:
                _kill(child)
            return
        self.trainers[0].kill()
        self.trainers.append(self._trainer())
        del self.trainers[0]

    def kill_api(self, replica: int = 0) -> None:
        """Kill a replica with all that belongs to it, and start it again."""
        self.stop_api(replica)
        self.start_api(replica)

    def stop_api(self, replica: int) -> None:
        everyone = self.apis[replica].tree()
        self.apis[replica].kill()
        for pid in everyone:
            _kill(pid)

    def start_api(self, replica: int) -> None:
        self.apis[replica] = self._api(replica)

    def keep_trainers(self) -> None:
        """Start trainers again that ended because the database was away at their start, as compose does."""
        self.trainers = [one if one.is_running() else self._trainer() for one in self.trainers]

    def train(self) -> str:
        """Ask for a training, unless one is queued; its id."""
        return str(self._answer("POST", "/v1/training-runs")["run_id"])

    def run(self, run_id: str) -> dict[str, object]:
        """A run as it is now."""
        return self._answer("GET", f"/v1/training-runs/{run_id}")

    def _answer(self, method: str, path: str) -> dict[str, object]:
        """What is answered, asked again while a worker finds no database: another one may be ready."""
        headers = {} if self.key is None else {"X-API-Key": self.key}

        def asked() -> dict[str, object] | None:
            with (
                suppress(httpx2.TransportError),
                httpx2.Client(base_url=self.address(), headers=headers, timeout=30) as client,
            ):
                answer = client.request(method, path)
                if answer.status_code != 503:
                    found: dict[str, object] = answer.raise_for_status().json()
                    return found
            return None

        return wait_for(f"{method} {path}", asked, 30)

    def wait_trained(self, run_id: str, seconds: float = 90.0) -> dict[str, object]:
        """The run once it has ended."""

        def ended() -> dict[str, object] | None:
            run = self.run(run_id)
            return None if run["state"] in ("queued", "running") else run

        return wait_for("the end of the run", ended, seconds)

    def close(self) -> None:
        with ExitStack() as stack:
            for process in [*self.apis, *self.trainers]:
                stack.callback(process.terminate)

    def log(self) -> str:
        """The end of what each process last said."""
        return "\n".join(
            f"--- {process.output.name}\n" + process.output.read_text(errors="replace")[-3_000:]
            for process in [*self.apis, *self.trainers]
        )

    def _api(self, replica: int) -> Process:
        self._started += 1
        arguments = ["serve", "--workers", str(self._workers), "--port", str(self.ports[replica])]
        arguments += [] if self.embedded and self._trainers else ["--no-trainer"]
        return Process(self.folder, f"api-{replica}-{self._started}", *arguments, **self._settings)

    def _trainer(self) -> Process:
        self._started += 1
        return Process(self.folder, f"trainer-{self._started}", "trainer", **self._settings)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
