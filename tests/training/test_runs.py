"""The queue, the lease and the heartbeat."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from app.core.clock import now_ms
from app.db.queries import leases, training_runs
from app.db.session import Database
from app.services import training_runs as service
from app.training import runs
from app.training.progress import Interrupted
from app.training.runs import LEASE, Claim, Heartbeat, claim_run, end_run, give_back
from tests.training.shops import queue, run_row

START = datetime(2026, 11, 5, tzinfo=UTC)


@pytest.fixture
def moment() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def claim(database: Database, holder: str = "one", max_attempts: int = 3) -> Claim | None:
    return claim_run(database, holder, 30.0, max_attempts)


def claimed(database: Database, holder: str = "one", max_attempts: int = 3) -> Claim:
    found = claim(database, holder, max_attempts)
    assert found is not None
    return found


def wait_for(condition: Callable[[], object], seconds: float = 8.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_BEAT_SECONDS", 0.02)


def test_without_a_run_there_is_nothing_to_claim(database: Database) -> None:
    assert claim(database) is None
    with database.read() as connection:
        assert leases.lease_holder(connection, LEASE, now_ms()) is None


def test_one_trainer_gets_the_run(database: Database, moment: time_machine.Traveller) -> None:
    run_id = queue(database)
    first = claimed(database)
    assert (first.run_id, first.attempt) == (run_id, 1)
    assert claim(database, "two") is None
    row = run_row(database, run_id)
    assert (row.state, row.stage, row.progress, row.attempt) == ("running", "snapshot", 0.0, 1)
    assert row.started_at == now_ms()


def test_of_many_trainers_at_once_one_gets_the_run(database: Database) -> None:
    queue(database)
    found: list[Claim | None] = []
    ready = threading.Barrier(4)

    def race(holder: str) -> None:
        ready.wait()
        found.append(claim(database, holder))

    threads = [threading.Thread(target=race, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len([one for one in found if one is not None]) == 1


def test_a_second_run_waits_for_the_first(database: Database) -> None:
    queue(database)
    first = claimed(database)
    second = queue(database)
    assert claim(database, "two") is None
    with database.write() as connection:
        end_run(connection, first.run_id, "succeeded", {})
        leases.release_lease(connection, LEASE, first.fence)
    assert claimed(database, "two").run_id == second


def test_a_dead_trainers_run_is_taken_up_again(database: Database, moment: time_machine.Traveller) -> None:
    run_id = queue(database)
    first = claimed(database)
    moment.shift(29)
    assert claim(database, "two") is None
    moment.shift(2)
    second = claimed(database, "two")
    assert (second.run_id, second.attempt) == (run_id, 2)
    assert second.fence > first.fence
    started = run_row(database, run_id).started_at
    assert started == round(START.timestamp() * 1000)


def test_a_run_that_kills_its_trainers_fails(database: Database, moment: time_machine.Traveller) -> None:
    run_id = queue(database)
    for attempt in (1, 2):
        assert claimed(database, max_attempts=2).attempt == attempt
        moment.shift(31)
    following = queue(database)
    # The dead run is ended and the next one taken in one step.
    assert claimed(database, max_attempts=2).run_id == following
    row = run_row(database, run_id)
    assert row.state == "failed"
    assert row.error == "the trainer died 2 times during this run, last at stage 'snapshot'"
    assert row.finished_at == now_ms()


def test_a_cancelled_run_of_a_dead_trainer_just_ends(
    database: Database, moment: time_machine.Traveller
) -> None:
    run_id = queue(database)
    claimed(database)
    with database.write() as connection:
        assert service.cancel_run(connection, str(run_id))["state"] == "running"
    moment.shift(31)
    assert claim(database) is None
    assert run_row(database, run_id).state == "cancelled"
    assert claim(database) is None  # and the lease was not kept
    queue(database)
    claimed(database)


def test_a_queued_run_is_cancelled_at_once(database: Database) -> None:
    run_id = queue(database)
    with database.write() as connection:
        assert service.cancel_run(connection, str(run_id))["state"] == "cancelled"
    assert claim(database) is None


def test_a_run_that_is_given_back_costs_no_attempt(database: Database) -> None:
    queue(database)
    for _ in range(5):
        found = claimed(database)
        assert found.attempt == 1
        with database.write() as connection:
            give_back(connection, found)


def test_the_heartbeat_writes_progress_and_keeps_the_lease(database: Database, quick: None) -> None:
    queue(database)
    found = claim_run(database, "one", 0.4, 3)
    assert found is not None
    with Heartbeat(database, found, 0.4) as heartbeat:
        heartbeat.tell("fit", 0.6)
        wait_for(lambda: run_row(database, found.run_id).stage == "fit")
        assert run_row(database, found.run_id).progress == 0.6
        time.sleep(0.6)
        assert claim(database, "two") is None
        heartbeat.check()


def test_the_heartbeat_learns_of_a_cancellation(database: Database, quick: None) -> None:
    run_id = queue(database)
    with Heartbeat(database, claimed(database), 30.0) as heartbeat:
        with database.write() as connection:
            service.cancel_run(connection, str(run_id))
        wait_for(lambda: heartbeat.stop_reason)
        with pytest.raises(Interrupted, match="cancelled"):
            heartbeat.tell("fit", 0.5)


def test_the_heartbeat_learns_that_the_lease_is_lost(
    database: Database, moment: time_machine.Traveller, quick: None
) -> None:
    queue(database)
    found = claimed(database)
    moment.shift(31)
    claimed(database, "two")
    with Heartbeat(database, found, 30.0) as heartbeat:
        heartbeat.tell("fit", 0.5)
        wait_for(lambda: heartbeat.stop_reason)
        with pytest.raises(Interrupted, match="lost"):
            heartbeat.check()
    assert run_row(database, found.run_id).stage == "snapshot"  # nothing was written over the other's work


def test_the_heartbeat_survives_a_database_error(
    database: Database, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(database)
    failures: list[int] = []
    renew = leases.renew_lease

    def shaky(connection: Connection, *arguments: Any) -> bool:
        if len(failures) < 3:
            failures.append(1)
            raise OperationalError("UPDATE leases", {}, Exception("server closed the connection"))
        return renew(connection, *arguments)

    monkeypatch.setattr(leases, "renew_lease", shaky)
    found = claimed(database)
    with Heartbeat(database, found, 30.0) as heartbeat:
        heartbeat.tell("evaluate", 0.3)
        wait_for(lambda: run_row(database, found.run_id).stage == "evaluate")
        heartbeat.check()
    assert len(failures) == 3


def test_no_two_runs_are_in_the_same_open_state(database: Database) -> None:
    queue(database)
    with database.write() as connection:
        assert training_runs.insert_queued(connection, "api", now_ms()) is None
