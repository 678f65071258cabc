"""Runs: taken from the queue under a lease, kept alive by a heartbeat, ended under the fence."""

import threading
import time
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.core.clock import now_ms
from app.db.queries import interactions, leases, training_runs
from app.db.rows import AnyRow
from app.db.session import Database
from app.training.progress import Interrupted

log = structlog.get_logger(__name__)

LEASE = "training"
_BEAT_SECONDS = 1.0


@dataclass(frozen=True)
class Claim:
    """A run that this trainer holds."""

    run_id: int
    attempt: int
    fence: int


def claim_run(database: Database, holder: str, lease_seconds: float, max_attempts: int) -> Claim | None:
    """Take the lease and a run: one that a dead trainer left, else the queued one; None if there is none."""
    with database.read() as connection:
        waiting = [training_runs.find_in_state(connection, state) for state in training_runs.OPEN]
    if not any(waiting):
        return None
    with database.write() as connection:
        now = now_ms()
        fence = leases.take_lease(connection, LEASE, holder, now, now + round(lease_seconds * 1000))
        if fence is None:
            return None
        row = _left_behind(connection, max_attempts) or training_runs.find_in_state(connection, "queued")
        if row is None:
            leases.release_lease(connection, LEASE, fence)
            return None
        training_runs.update_run(
            connection,
            row.id,
            {
                "state": "running",
                "stage": "snapshot",
                "progress": 0.0,
                "attempt": row.attempt + 1,
                "started_at": row.started_at or now,
                "trained_to": interactions.highest_key(connection),
            },
        )
        return Claim(row.id, row.attempt + 1, fence)


def _left_behind(connection: Connection, max_attempts: int) -> AnyRow | None:
    """The run that a trainer no longer works on, to be taken up again; ended if that was asked for."""
    row = training_runs.find_in_state(connection, "running")
    if row is None:
        return None
    if row.cancel_requested:
        end_run(connection, row.id, "cancelled", {})
        return None
    if row.attempt >= max_attempts:
        error = f"the trainer died {row.attempt} times during this run, last at stage '{row.stage}'"
        end_run(connection, row.id, "failed", {"error": error})
        return None
    log.warning("run_taken_up_again", run_id=row.id, attempt=row.attempt + 1, stage=row.stage)
    return row


def end_run(connection: Connection, run_id: int, state: str, values: dict[str, Any]) -> None:
    """Put a run into an ended state."""
    training_runs.update_run(connection, run_id, {"state": state, "finished_at": now_ms()} | values)


def give_back(connection: Connection, claim: Claim) -> None:
    """Leave a run for the next trainer, as if this one had never taken it up."""
    training_runs.update_run(connection, claim.run_id, {"attempt": claim.attempt - 1, "progress": 0.0})
    leases.release_lease(connection, LEASE, claim.fence)


class Heartbeat:
    """Keeps a claim alive in a thread, writes its progress, and learns whether it must stop."""

    def __init__(self, database: Database, claim: Claim, lease_seconds: float) -> None:
        self.stop_reason: str | None = None
        """`cancelled`, `lost` (another trainer has the lease) or `shutdown`."""
        self._database = database
        self._claim = claim
        self._lease_seconds = lease_seconds
        self._told: tuple[str, float] = ("snapshot", 0.0)
        self._written: tuple[str, float] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def tell(self, stage: str, fraction: float) -> None:
        """Note the progress; raises Interrupted if the run must stop."""
        self._told = (stage, fraction)
        self.check()

    def check(self) -> None:
        """Raise Interrupted if the run must stop."""
        if self.stop_reason is not None:
            raise Interrupted(self.stop_reason)

    def shut_down(self) -> None:
        """Stop the run at the next step, because the trainer ends."""
        self.stop_reason = self.stop_reason or "shutdown"

    def _beat(self) -> None:
        renewed = time.monotonic()
        while not self._ended.wait(_BEAT_SECONDS):
            due = time.monotonic() - renewed > self._lease_seconds / 3
            try:
                if self._look(due or self._told != self._written):
                    renewed = time.monotonic()
            except SQLAlchemyError as error:
                # The lease outlives a short outage; if it does not, the fence stops what comes after.
                log.warning("heartbeat_failed", error=str(error))

    def _look(self, write: bool) -> bool:
        if not write:
            with self._database.read() as connection:
                self._take_cancel(connection)
            return False
        stage, fraction = told = self._told
        with self._database.write() as connection:
            until = now_ms() + round(self._lease_seconds * 1000)
            if not leases.renew_lease(connection, LEASE, self._claim.fence, until):
                self.stop_reason = "lost"
                return False
            training_runs.update_run(
                connection, self._claim.run_id, {"stage": stage, "progress": round(fraction, 4)}, ("running",)
            )
            self._take_cancel(connection)
        self._written = told
        return True

    def _take_cancel(self, connection: Connection) -> None:
        row = training_runs.find_run(connection, self._claim.run_id)
        if row is not None and row.cancel_requested:
            self.stop_reason = "cancelled"
