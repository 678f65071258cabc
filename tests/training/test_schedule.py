"""When a training is due."""

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from app.core.clock import now_ms
from app.db.queries import models, training_runs
from app.db.session import Database
from app.training import schedule
from app.training.runs import end_run
from tests.training.shops import ingest, queue, views

NOW = datetime(2026, 11, 5, tzinfo=UTC)
HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def _fixed_time() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


def due(database: Database, interval_hours: float = 24.0, after_interactions: int = 50) -> str | None:
    with database.read() as connection:
        return schedule.due(connection, interval_hours, after_interactions)


def finish(database: Database, hours_ago: float, state: str = "succeeded", trained_to: int = 0) -> None:
    """A run that ended, with its version."""
    run_id = queue(database)
    ended = now_ms() - round(hours_ago * HOUR_MS)
    with database.write() as connection:
        end_run(connection, run_id, state, {"finished_at": ended, "trained_to": trained_to})
        if state == "succeeded":
            values = {"version": f"v{run_id}", "run_id": run_id, "created_at": ended, "evaluation": {}}
            models.insert_model(
                connection, values | {"content": {}, "trained_to": trained_to, "active": False}
            )


def test_nothing_is_due_in_an_empty_shop(database: Database) -> None:
    assert due(database) is None


def test_enough_interactions_are_a_reason(database: Database) -> None:
    ingest(database, interactions=views(8, 5))
    assert due(database, after_interactions=48) == "interactions"
    assert due(database, after_interactions=49) is None
    assert due(database, after_interactions=0) is None


def test_only_those_count_that_the_last_run_has_not_seen(database: Database) -> None:
    ingest(database, interactions=views(8, 5))
    finish(database, 5, trained_to=40)
    assert due(database, after_interactions=9) is None
    assert due(database, after_interactions=8) == "interactions"


def test_time_is_a_reason_where_something_is_new(database: Database) -> None:
    ingest(database, interactions=views(8, 5))
    finish(database, 24, trained_to=47)
    assert due(database) == "schedule"
    assert due(database, interval_hours=24.1) is None
    assert due(database, interval_hours=0) is None


def test_time_is_no_reason_where_nothing_is_new(database: Database) -> None:
    ingest(database, interactions=views(8, 5))
    finish(database, 100, trained_to=48)
    assert due(database) is None


def test_a_first_training_waits_for_somebody_to_ask_or_for_data(database: Database) -> None:
    ingest(database, interactions=views(2, 5))
    assert due(database) is None


@pytest.mark.parametrize("state", ["succeeded", "failed", "rejected", "cancelled"])
def test_there_is_a_pause_after_each_run(database: Database, state: str) -> None:
    ingest(database, interactions=views(20, 5))
    finish(database, 0.1, state)
    assert due(database) is None
    with time_machine.travel(NOW.timestamp() + 4 * 60 + 1, tick=False):
        assert due(database) == "interactions"


@pytest.mark.parametrize("state", training_runs.OPEN)
def test_nothing_is_due_while_a_run_is_open(database: Database, state: str) -> None:
    ingest(database, interactions=views(20, 5))
    run_id = queue(database)
    with database.write() as connection:
        training_runs.update_run(connection, run_id, {"state": state})
    assert due(database) is None
