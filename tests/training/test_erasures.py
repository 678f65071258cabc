"""Versions with erased persons: replaced in time, by whatever the training makes, and then deleted."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine

from app.core.events import DEFAULT_WEIGHTS
from app.db.queries import models, training_runs
from app.db.session import Database
from app.learning.artifacts import list_versions, read_version
from app.learning.recommenders.base import NotEnoughData
from app.services import privacy
from app.training import erasures, pipeline, schedule
from app.training.pipeline import Recipe
from app.training.trial import Trial, run_trial
from tests.training.shops import ingest, queue, run_row, trainer, views

START = datetime(2026, 11, 5, tzinfo=UTC).timestamp()
DAY = 86_400
LISTS_ALONE = Recipe(event_weights=DEFAULT_WEIGHTS, seed=7, search_seconds=0, analytics=None)


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def shop(database: Database) -> Database:
    ingest(database, interactions=views(12, 8))
    return database


def erase(database: Database, user: str, days: float = 7) -> str:
    with database.write() as connection:
        return str(privacy.erase_user(connection, user, days)["receipt_id"])


def receipt(database: Database, receipt_id: str) -> dict[str, Any]:
    with database.read() as connection:
        return privacy.get_receipt(connection, receipt_id)


def held(database: Database, receipt_id: str) -> dict[str, bool]:
    """Versions of a receipt, and whether they are still there."""
    return {one["version"]: one["released_at"] is None for one in receipt(database, receipt_id)["versions"]}


def due(database: Database) -> str | None:
    with database.read() as connection:
        return schedule.due(connection, 0.0, 0)


def train(database: Database, artifacts: Path) -> str | None:
    """The version that is active after a run."""
    queue(database)
    trainer(database, artifacts, recipe=LISTS_ALONE).work_once()
    with database.read() as connection:
        return models.active_version(connection)


def stand_in(database: Database, artifacts: Path, name: str) -> None:
    """A version as a training leaves it, without a training: active, and all that it learned from is old."""
    folder = artifacts / name
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    run_id = queue(database)
    with database.write() as connection:
        training_runs.update_run(connection, run_id, {"state": "succeeded", "finished_at": 1})
        row = {"version": name, "run_id": run_id, "created_at": run_id, "evaluation": {}, "content": {}}
        models.insert_model(connection, row | {"trained_to": 10**6, "users_to": 10**6, "active": False})
        models.activate(connection, name, 1)


def test_a_training_is_due_a_day_before_the_deadline(shop: Database, artifacts: Path) -> None:
    with time_machine.travel(START, tick=False) as clock:
        stand_in(shop, artifacts, "v1")
        erase(shop, "u01")
        clock.move_to(START + 5.9 * DAY)
        assert due(shop) is None
        clock.move_to(START + 6.1 * DAY)
        assert due(shop) == "erasure"
        run_id = queue(shop)
        with shop.write() as connection:
            training_runs.update_run(
                connection, run_id, {"state": "failed", "finished_at": round(1000 * (START + 6.1 * DAY))}
            )
        clock.move_to(START + 6.1 * DAY + 3_000)
        assert due(shop) is None, "what failed is tried again after an hour"
        clock.move_to(START + 6.1 * DAY + 3_601)
        assert due(shop) == "erasure"


def test_versions_go_at_the_deadline_and_receipts_say_so(shop: Database, artifacts: Path) -> None:
    with time_machine.travel(START, tick=False) as clock:
        stand_in(shop, artifacts, "v1")
        ana, bo = erase(shop, "u01"), erase(shop, "u02", days=9)
        with shop.write() as connection:
            assert not models.activate(connection, "gone", 1)
        stand_in(shop, artifacts, "v2")
        cy = erase(shop, "u03", days=30)
        clock.move_to(START + 6.9 * DAY)
        erasures.settle(shop, artifacts)
        assert list_versions(artifacts) == ["v1", "v2"]
        clock.move_to(START + 7 * DAY)
        (artifacts / f".tmp-v1-{'0' * 16}").mkdir()  # a deletion that broke off
        erasures.settle(shop, artifacts)
    assert [path.name for path in artifacts.iterdir()] == ["v2"]
    assert held(shop, ana) == held(shop, bo) == {"v1": False}
    assert held(shop, cy) == {"v1": False, "v2": True}
    assert receipt(shop, ana)["completed_at"] == "2026-11-12T00:00:00.000Z"
    assert receipt(shop, cy)["completed_at"] is None
    with shop.write() as connection:
        assert not models.activate(connection, "v1", 1), "nobody rolls back to it"


def test_an_active_version_is_withdrawn_if_it_cannot_be_replaced(shop: Database, artifacts: Path) -> None:
    def active() -> str | None:
        erasures.settle(shop, artifacts)
        with shop.read() as connection:
            return models.active_version(connection)

    with time_machine.travel(START, tick=False) as clock:
        stand_in(shop, artifacts, "v1")
        ana = erase(shop, "u01", days=0)
        assert active() == "v1", "a training has not been tried yet"
        clock.shift(60)
        run_id = queue(shop)
        assert active() == "v1", "a training is about to replace it"
        with shop.write() as connection:
            ended = {"state": "failed", "started_at": round(1000 * (START + 60)), "finished_at": 1}
            training_runs.update_run(connection, run_id, ended)
        assert active() is None
    assert list_versions(artifacts) == []
    assert held(shop, ana) == {"v1": False}


def test_a_training_replaces_what_it_must(
    shop: Database, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real trainings: the gate does not keep a person alive, and who goes meanwhile is on the list."""
    first = train(shop, artifacts)
    assert first is not None
    ana = erase(shop, "u01", days=0)
    late: list[str] = []

    def rejecting(*args: Any, **named: Any) -> Trial:
        late.append(erase(shop, "u02", days=0))
        return replace(run_trial(*args, **named), rejected="worse than popularity")

    monkeypatch.setattr(pipeline, "run_trial", rejecting)
    second = train(shop, artifacts)
    assert second not in (None, first), "published in spite of the gate"
    content, arrays = read_version(artifacts, second or "", verify=True)
    assert content["blends"]["usual"] == content["blends"]["new"] == {"popularity": 1.0}
    with shop.read() as connection:
        row = models.find_model(connection, second or "")
    assert row is not None
    assert row.evaluation["gate"]["rejected"] == "worse than popularity"
    assert row.users_to == int(arrays["user_keys"][-1])
    assert held(shop, ana) == {first: True}
    assert held(shop, late[0]) == {first: True, second: True}
    erasures.settle(shop, artifacts)
    assert held(shop, ana) == {first: False}
    assert held(shop, late[0]) == {first: False, second: True}
    assert list_versions(artifacts) == [second]
    monkeypatch.setattr(pipeline, "run_trial", lambda *_args, **_named: 1 / 0)
    run_id = queue(shop)
    one = trainer(shop, artifacts, recipe=LISTS_ALONE)
    one.work_once()
    assert run_row(shop, run_id).state == "failed"
    one.keep_house()
    assert held(shop, late[0]) == {first: False, second: False}
    assert list_versions(artifacts) == []


def test_without_an_erasure_the_gate_holds(
    shop: Database, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_args: Any, **_named: Any) -> Trial:
        raise NotEnoughData("nobody is left")

    stand_in(shop, artifacts, "v1")
    erase(shop, "u01", days=30)
    monkeypatch.setattr(
        pipeline, "run_trial", lambda *args, **named: replace(run_trial(*args, **named), rejected="worse")
    )
    assert train(shop, artifacts) == "v1"
    monkeypatch.setattr(pipeline, "run_trial", refusing)
    assert train(shop, artifacts) == "v1"
    assert list_versions(artifacts) == ["v1"]
