"""What trainers do beside their runs: prune, share the work, queue what is due."""

import threading
import time
from pathlib import Path

import pytest

from app.db.queries import models
from app.db.rows import AnyRow
from app.db.session import Database
from app.learning.artifacts import list_versions
from app.services import training_runs as service
from tests.training.shops import ingest, queue, run_row, trainer, views


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def shop(database: Database) -> Database:
    ingest(database, interactions=views(12, 8))
    return database


def versions(database: Database) -> list[AnyRow]:
    with database.read() as connection:
        return models.list_models(connection, None, 100)


def active(database: Database) -> str | None:
    with database.read() as connection:
        return models.active_version(connection)


def test_old_versions_are_pruned_but_never_the_active_one(shop: Database, artifacts: Path) -> None:
    def train() -> str:
        queue(shop)
        trainer(shop, artifacts, keep_versions=2).work_once()
        return active(shop) or ""

    first, second, third = train(), train(), train()
    assert list_versions(artifacts) == sorted([second, third])
    with shop.write() as connection:
        models.activate(connection, second, 1)
    (artifacts / "not-ours.txt").write_text("kept")
    fourth = train()
    fifth = train()
    assert list_versions(artifacts) == sorted([fourth, fifth])
    assert {row.version: row.pruned_at is None for row in versions(shop)} == {
        first: False,
        second: False,
        third: False,
        fourth: True,
        fifth: True,
    }
    assert (artifacts / "not-ours.txt").exists()


def test_pruning_spares_a_version_that_was_rolled_back_to(shop: Database, artifacts: Path) -> None:
    names = []
    for _ in range(3):
        queue(shop)
        trainer(shop, artifacts, keep_versions=5).work_once()
        names.append(active(shop) or "")
    with shop.write() as connection:
        models.activate(connection, names[0], 1)
        gone = models.prunable(connection, 2)
    assert gone == [names[1]]


def test_two_trainers_share_the_work(shop: Database, artifacts: Path) -> None:
    trainers = [trainer(shop, artifacts), trainer(shop, artifacts)]
    threads = [threading.Thread(target=one.work, args=(0.02,)) for one in trainers]
    for thread in threads:
        thread.start()
    ended = []
    for _ in range(3):
        run_id = queue(shop)
        until = time.monotonic() + 20
        while run_row(shop, run_id).state in ("queued", "running") and time.monotonic() < until:
            time.sleep(0.02)
        ended.append(run_row(shop, run_id))
    for one in trainers:
        one.stop()
    for thread in threads:
        thread.join(timeout=20)
    assert [(row.state, row.attempt) for row in ended] == [("succeeded", 1)] * 3
    assert len(versions(shop)) == 3


def test_a_due_training_is_queued_once(shop: Database, artifacts: Path) -> None:
    one = trainer(shop, artifacts, after_interactions=50)
    thread = threading.Thread(target=one.work, args=(0.02,))
    thread.start()
    until = time.monotonic() + 20
    while not versions(shop) and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.2)
    one.stop()
    thread.join(timeout=20)
    with shop.read() as connection:
        found = service.list_runs(connection, None, 10)["training_runs"]
    assert [(run["trigger"], run["state"]) for run in found] == [("interactions", "succeeded")]
