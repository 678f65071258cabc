"""A trainer's work, from the queue to a version that is served."""

import time
from pathlib import Path
from typing import Any

import pytest
import time_machine

from app.db.queries import leases, models
from app.db.rows import AnyRow
from app.db.session import Database
from app.learning import artifacts as store
from app.learning.artifacts import list_versions, read_version
from app.services import training_runs as service
from app.training import pipeline, runs, worker
from app.training.pipeline import Trained
from app.training.progress import Progress
from app.training.runs import LEASE, claim_run
from app.training.worker import Trainer
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


def before_publish(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Call `act(trained)` once a training has written its artifacts, before they are published."""
    whole = pipeline.train

    def train(*arguments: Any) -> Trained:
        trained = whole(*arguments)
        monkeypatch.setattr(worker, "train", whole)
        act(trained)
        return trained

    monkeypatch.setattr(worker, "train", train)


def test_a_run_becomes_the_active_version(shop: Database, artifacts: Path) -> None:
    run_id = queue(shop)
    assert trainer(shop, artifacts).work_once()
    row, (version,) = run_row(shop, run_id), versions(shop)
    assert (row.state, row.progress, row.stage) == ("succeeded", 1.0, row.stage)
    assert row.model_version == version.version == active(shop)
    assert row.metrics == version.evaluation
    assert version.trained_to == 72
    assert version.run_id == run_id
    content, _ = read_version(artifacts, version.version, verify=True)
    assert content == version.content
    with shop.read() as connection:
        assert leases.lease_holder(connection, LEASE, 0) is not None  # the row stays …
    queue(shop)
    assert trainer(shop, artifacts).work_once()  # … and is free at once


def test_without_a_run_nothing_is_done(shop: Database, artifacts: Path) -> None:
    assert not trainer(shop, artifacts).work_once()


def test_too_little_data_fails_with_a_reason(database: Database, artifacts: Path) -> None:
    ingest(database, interactions=views(3, 3, per_user=3))
    run_id = queue(database)
    trainer(database, artifacts).work_once()
    row = run_row(database, run_id)
    assert row.state == "failed"
    assert row.error == "training needs at least 10 interactions with items, there are 9"
    assert versions(database) == []


def test_events_that_weigh_nothing_fail_with_a_reason(database: Database, artifacts: Path) -> None:
    ingest(database, interactions=[row | {"event": "my_own"} for row in views(4, 4)])
    run_id = queue(database)
    trainer(database, artifacts).work_once()
    row = run_row(database, run_id)
    assert row.state == "failed"
    assert "needs at least one event with a positive weight" in row.error


def test_a_trainer_that_wakes_up_late_does_not_publish(
    shop: Database, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = queue(shop)
    with time_machine.travel("2026-11-05T00:00:00Z") as moment:

        def asleep(trained: Trained) -> None:
            moment.shift(40)
            assert trainer(shop, artifacts).work_once()
            assert trained.version != active(shop)

        before_publish(monkeypatch, asleep)
        trainer(shop, artifacts).work_once()
    row, (version,) = run_row(shop, run_id), versions(shop)
    assert (row.state, row.attempt) == ("succeeded", 2)
    assert row.model_version == version.version == active(shop)
    assert list_versions(artifacts) == [version.version]


def test_a_trainer_that_fails_late_does_not_end_anothers_run(
    shop: Database, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = queue(shop)
    with time_machine.travel("2026-11-05T00:00:00Z") as moment:

        def fail_late(_trained: Trained) -> None:
            moment.shift(40)
            assert claim_run(shop, "other", 30.0, 3) is not None
            raise OSError("disk full")

        before_publish(monkeypatch, fail_late)
        trainer(shop, artifacts).work_once()
    row = run_row(shop, run_id)
    assert (row.state, row.error, row.attempt) == ("running", None, 2)


class Killed(BaseException):
    """As if the process had been killed: nothing that runs after it may write."""


def test_a_kill_before_publishing_leaves_nothing_to_see(
    shop: Database, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = queue(shop)

    def kill(_trained: Trained) -> None:
        raise Killed

    before_publish(monkeypatch, kill)
    with time_machine.travel("2026-11-05T00:00:00Z") as moment:
        with pytest.raises(Killed):
            trainer(shop, artifacts).work_once()
        (orphan,) = list_versions(artifacts)
        assert versions(shop) == []
        assert active(shop) is None
        assert run_row(shop, run_id).state == "running"
        moment.shift(40)
        assert trainer(shop, artifacts).work_once()
    (version,) = versions(shop)
    assert run_row(shop, run_id).attempt == 2
    assert list_versions(artifacts) == [version.version] != [orphan]


def test_a_kill_while_writing_leaves_nothing_to_see(
    shop: Database, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = artifacts / ".tmp-20261105T000000Z-1-1-ab"
    aside.mkdir(parents=True)
    (aside / "000-user_keys.npy").write_bytes(b"half")
    queue(shop)
    trainer(shop, artifacts).work_once()
    assert not aside.exists()
    assert len(list_versions(artifacts)) == 1


def test_a_full_disk_fails_the_run_with_its_reason(
    shop: Database, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_write_array", full)
    run_id = queue(shop)
    trainer(shop, artifacts).work_once()
    row = run_row(shop, run_id)
    assert (row.state, row.error) == ("failed", "[Errno 28] No space left on device")
    assert list(artifacts.iterdir()) == []
    queue(shop)
    monkeypatch.undo()
    assert trainer(shop, artifacts).work_once()  # the lease was given back


def stop_at(monkeypatch: pytest.MonkeyPatch, stage: str, act: Any) -> list[tuple[str, float]]:
    """Call `act()` when a training reaches a stage, and let the heartbeat look; what was told."""
    monkeypatch.setattr(runs, "_BEAT_SECONDS", 0.01)
    told: list[tuple[str, float]] = []
    tell = runs.Heartbeat.tell

    def telling(self: runs.Heartbeat, at: str, fraction: float) -> None:
        told.append((at, fraction))
        if at == stage and act is not None and told.count((at, fraction)) == 1:
            act()
            until = time.monotonic() + 5
            while self.stop_reason is None and time.monotonic() < until:
                time.sleep(0.01)
        tell(self, at, fraction)

    monkeypatch.setattr(runs.Heartbeat, "tell", telling)
    return told


def test_a_running_run_is_cancelled_at_its_next_step(
    shop: Database, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = queue(shop)

    def cancel() -> None:
        with shop.write() as connection:
            service.cancel_run(connection, str(run_id))

    told = stop_at(monkeypatch, "search", cancel)
    trainer(shop, artifacts).work_once()
    row = run_row(shop, run_id)
    assert (row.state, row.model_version, row.error) == ("cancelled", None, None)
    assert told[-1][0] == "search"
    assert list_versions(artifacts) == []


@pytest.mark.parametrize("stage", ["snapshot", "fit", "publish"])
def test_a_trainer_that_is_stopped_hands_its_run_back(
    shop: Database, artifacts: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    run_id = queue(shop)
    stopped: Trainer = trainer(shop, artifacts)
    stop_at(monkeypatch, stage, stopped.stop)
    stopped.work(poll_seconds=0.01)
    row = run_row(shop, run_id)
    assert (row.state, row.attempt) == ("running", 0)
    assert list_versions(artifacts) == []
    monkeypatch.undo()
    assert trainer(shop, artifacts).work_once()  # at once, without waiting for a lease to end
    row = run_row(shop, run_id)
    assert (row.state, row.attempt) == ("succeeded", 1)


def test_progress_only_grows_and_names_its_stages(
    shop: Database, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = stop_at(monkeypatch, "", None)
    queue(shop)
    trainer(shop, artifacts).work_once()
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert list(dict.fromkeys(stage for stage, _ in told)) == [
        *("snapshot", "analytics", "search", "gate", "fit", "publish")
    ]


def test_progress_of_parts_lies_within_the_whole() -> None:
    told: list[float] = []
    whole = Progress(lambda _stage, fraction: told.append(fraction))
    whole.part("a", 0.2, 0.6).part("b", 0.5, 1.0).done(7.0)
    assert told == pytest.approx([0.2, 0.4, 0.6])
