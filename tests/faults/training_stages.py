"""Trainers that die at each place of a training, as processes that come warm from a fork server."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from app.core.settings import Settings
from app.db.queries import models
from app.db.session import Database
from app.learning.artifacts import ArtifactError, list_versions, read_version
from app.trainer import options_of
from app.training.worker import Trainer
from tests.faults import dying_trainer
from tests.faults.service import prepare
from tests.training.shops import queue, run_row

_MODULES = ["tests.faults.dying_trainer", "app.trainer", "sklearn.cluster", "psycopg"]


class Trainers:
    """Trainer processes on one database, that need no second to start."""

    def __init__(self, url: str, artifacts: Path, keep_versions: int = 2) -> None:
        self._made = multiprocessing.get_context("forkserver")
        self._made.set_forkserver_preload(_MODULES)
        self.database = Database(url)
        self.artifacts = artifacts
        self._values: dict[str, Any] = {
            "database_url": url,
            "artifacts": artifacts,
            "search_seconds": 0,
            "lease_seconds": 1,
            "keep_versions": keep_versions,
            "train_interval_hours": 0,
            "train_after_interactions": 0,
        }

    def start(self, place: str, number: int, before: Callable[[], None] | None = None) -> BaseProcess:
        """A trainer that sends itself a signal at a place (`nowhere`: it works until it is ended)."""
        process = self._made.Process(target=_run, args=(place, number, self._values, before), daemon=True)
        process.start()
        return process

    def finish(self, run_id: int, seconds: float = 60) -> Any:
        """Have an ordinary trainer, in this process, work until a run has ended; the run."""
        worker = Trainer(self.database, options_of(Settings(**self._values)))
        until = time.monotonic() + seconds
        while True:
            row = run_row(self.database, run_id)
            if row.state not in ("queued", "running"):
                worker.keep_house()
                return row
            assert time.monotonic() < until, f"run {run_id} did not end: {row}"
            if not worker.work_once():  # a lease that has not ended yet
                time.sleep(0.05)

    def active(self) -> str | None:
        with self.database.read() as connection:
            return models.active_version(connection)

    def check_whole(self) -> list[str]:
        """Versions in the database that are not whole on disk."""
        with self.database.read() as connection:
            rows = models.list_models(connection, None, 100)
        wrong = [] if sum(row.active for row in rows) == 1 else ["not one active version"]
        for row in rows:
            if row.pruned_at is None:
                try:
                    read_version(self.artifacts, row.version, verify=True)
                except ArtifactError as error:
                    wrong.append(str(error))
        return wrong

    def die(self, place: str) -> list[str]:
        """Kill a trainer at a place of its run, and have another one take it up; what is wrong then."""
        before = self.active()
        run_id = queue(self.database)
        process = self.start(place, signal.SIGKILL)
        process.join(60)
        wrong = []
        if process.exitcode != -signal.SIGKILL:
            wrong.append(f"{place}: ended with {process.exitcode}")
        published = place in ("published", "pruning")
        if (self.active() == before) == published:
            wrong.append(f"{place}: active {self.active()}, before {before}")
        wrong += [f"{place}: {said}" for said in self.check_whole()]
        row = self.finish(run_id)
        if row.state != "succeeded" or row.attempt != (1 if published else 2):
            wrong.append(f"{place}: {row.state} at attempt {row.attempt}: {row.error}")
        wrong += [f"{place} and after: {said}" for said in self.check_whole()]
        return wrong

    def check_left(self) -> list[str]:
        """What dead trainers left on disk after the last one has kept house."""
        with self.database.read() as connection:
            rows = models.list_models(connection, None, 100)
        kept = {row.version for row in rows if row.pruned_at is None}
        extra = set(list_versions(self.artifacts)) - kept
        aside = [path.name for path in self.artifacts.glob(".tmp-*")]
        return [f"left behind: {sorted(extra)} {aside}"] if extra or aside else []

    def close(self) -> None:
        self.database.close()


def die_everywhere(folder: Path) -> tuple[list[str], int]:
    """One death at each place on SQLite: a summary, and how much was wrong."""
    url = f"sqlite:///{folder}/vitrine.db"
    prepare(url, plain=True)
    trainers = Trainers(url, folder / "artifacts")
    wrong: list[str] = []
    trainers.finish(queue(trainers.database))
    for place in dying_trainer.PLACES:
        wrong += trainers.die(place)
    trainers.finish(queue(trainers.database))
    wrong += trainers.check_left()
    trainers.close()
    said = f"trainers killed at {len(dying_trainer.PLACES)} places, failures {len(wrong)}"
    return [said, *wrong], len(wrong)


def _run(place: str, number: int, values: dict[str, Any], before: Callable[[], None] | None) -> None:
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)
    if before is not None:
        before()
    dying_trainer.run(place, number, Settings(**values))
