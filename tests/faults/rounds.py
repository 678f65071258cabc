"""Rounds in which something is killed while clients send events; afterwards everything must be there once."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from app.db.queries import interactions, models
from app.db.session import Database
from app.learning.artifacts import ArtifactError, read_version
from tests.faults.cluster import Cluster
from tests.faults.ingesting import Clients, check_stored, settle, stored
from tests.faults.service import Service

ANYWHERE = {"worker": 4, "trainer": 4, "api": 1}
"""What may be killed, and how often: a whole API takes a while to start again."""
ON_A_SERVER = ANYWHERE | {"server": 5, "backend": 3}


@dataclass
class Figures:
    """What many rounds came to."""

    rounds: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    acknowledged: int = 0
    """At once, without a repeat after the fault."""
    found: int = 0
    trainings: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """A summary for people."""
        listed = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        answered = ", ".join(f"{name} {count}" for name, count in sorted(self.answers.items()))
        trained = ", ".join(f"{name} {count}" for name, count in sorted(self.trainings.items())) or "none"
        return [
            f"rounds {self.rounds} (killed: {listed})",
            f"events sent {self.sent}, acknowledged at once {self.acknowledged}, found {self.found}",
            f"answers: {answered}",
            f"trainings: {trained}",
            f"failures {len(self.failures)}",
            *(f"  {failure}" for failure in self.failures[:20]),
        ]


class Rounds:
    """Rounds on one service, one after the other."""

    def __init__(self, service: Service, cluster: Cluster | None, seed: int) -> None:
        self.figures = Figures()
        self._service = service
        self._cluster = cluster
        self._chance = random.Random(seed)
        self._seed = seed
        self._run_id: str | None = None

    @property
    def url(self) -> str:
        """Of the database."""
        return self._service.url

    def play(self, fault: str | None = None) -> None:
        """One round with a fault (default: by chance)."""
        figures, chance, service = self.figures, self._chance, self._service
        kinds = ANYWHERE if self._cluster is None else ON_A_SERVER
        fault = fault or chance.choices(list(kinds), list(kinds.values()))[0]
        figures.rounds += 1
        figures.faults[fault] += 1
        database = Database(service.url)
        try:
            with database.read() as connection:
                before = interactions.highest_key(connection)
            if fault == "trainer" or chance.random() < 0.3:
                self._train()
            addresses = [service.address()]
            name = f"{self._seed}-{figures.rounds}"
            with Clients(addresses, name, seed=figures.rounds * 1_000 + self._seed) as clients:
                time.sleep(chance.uniform(0.1, 0.6))
                self._break(fault)()
                time.sleep(chance.uniform(0.1, 0.4))
            acknowledged = sum(len(sent.events) for sent in clients.told.sent if sent.acknowledged)
            # Before anything is sent again: whole or not at all.
            wrong = check_stored(clients.told, *stored(database, before))
            service.wait_ready()
            settle(clients, addresses, lambda: time.sleep(0.25))
            counts, values = stored(database, before)
            wrong += check_stored(clients.told, counts, values)
            wrong += self._check_models(database)
        finally:
            database.close()
        figures.sent += sum(len(sent.events) for sent in clients.told.sent)
        figures.acknowledged += acknowledged
        figures.found += len(counts)
        figures.answers += clients.told.answers
        figures.failures += [
            f"round {figures.rounds} ({fault}): {said}" for said in [*clients.told.failures, *wrong]
        ]

    def end(self) -> None:
        """Whatever was killed, a training comes to its end."""
        self._train()
        assert self._run_id is not None
        self._note(self._service.wait_trained(self._run_id))

    def _break(self, fault: str) -> Callable[[], None]:
        service, cluster = self._service, self._cluster
        if cluster is not None and fault == "server":
            return cluster.crash
        if cluster is not None and fault == "backend":
            return cluster.kill_backend
        if fault == "worker":
            return lambda: service.kill_worker(self._chance)
        return service.kill_trainer if fault == "trainer" else service.kill_api

    def _train(self) -> None:
        """Ask for a training, unless the one before still works."""
        self._service.keep_trainers()
        if self._run_id is not None:
            run = self._service.run(self._run_id)
            if run["state"] in ("queued", "running"):
                return
            self._note(run)
        self._run_id = self._service.train()

    def _note(self, run: dict[str, object]) -> None:
        if run["state"] == "failed" and str(run["error"]).startswith("the trainer died"):
            # As often as a run may be taken up: it is given up with the reason, as promised.
            self.figures.trainings["given up"] += 1
            return
        self.figures.trainings[str(run["state"])] += 1
        if run["state"] not in ("succeeded", "rejected"):
            self.figures.failures.append(f"training: {run}")

    def _check_models(self, database: Database) -> list[str]:
        """Every version that anybody may ask for is whole on disk."""
        artifacts: Path = self._service.artifacts
        wrong = []
        with database.read() as connection:
            rows = models.list_models(connection, None, 100)
        for row in rows:
            if row.pruned_at is None:
                try:
                    read_version(artifacts, row.version, verify=True)
                except ArtifactError as error:
                    with database.read() as connection:
                        again = models.find_model(connection, row.version)
                    if again is not None and again.pruned_at is None:
                        wrong.append(f"half visible: {error}")
        if sum(row.active for row in rows) > 1:
            wrong.append("two active versions")
        return wrong
