"""What a trainer does: look for runs, do them one at a time, publish."""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.core.clock import from_ms, now_ms
from app.db.queries import leases, models, training_runs
from app.db.session import Database
from app.learning.artifacts import ArtifactError, clean_temporary, delete_version, list_versions
from app.learning.recommenders.base import NotEnoughData
from app.training import erasures, schedule
from app.training.audit import remove_entries
from app.training.pipeline import Former, Recipe, Trained, train
from app.training.progress import Interrupted, Progress
from app.training.retention import STEP, STEPS, remove_old
from app.training.runs import LEASE, Claim, Heartbeat, claim_run, end_run, give_back
from app.training.shown import remove_shown

log = structlog.get_logger(__name__)

HOUSE_SECONDS = 10.0
"""Between two looks for what is not to be held any longer."""


@dataclass(frozen=True)
class TrainerOptions:
    """Settings of a trainer."""

    artifacts: Path
    recipe: Recipe
    lease_seconds: float
    max_attempts: int
    keep_versions: int
    interval_hours: float
    after_interactions: int
    retention_days: int = 0
    """Age in days from which interactions are removed; 0: they are kept."""
    shown_days: int = 90
    """Age in days from which records of what was shown are removed."""
    audit_days: int = 400
    """Age in days from which entries of the audit log are removed."""


class Trainer:
    """One trainer; any number of them may share a database, and one run works at a time."""

    def __init__(self, database: Database, options: TrainerOptions) -> None:
        self.holder = f"{socket.gethostname()}:{os.getpid()}"
        self._database = database
        self._options = options
        self._heartbeat: Heartbeat | None = None
        # Not an Event: its lock could already be held by the code that a signal handler interrupts.
        self._stopping = False
        self._kept_house_at: float | None = None

    def stop(self) -> None:
        """End soon: a run that works is handed back. May be called from a signal handler."""
        self._stopping = True
        if self._heartbeat is not None:
            self._heartbeat.shut_down()

    def work(self, poll_seconds: float = 1.0, still_wanted: Callable[[], bool] = lambda: True) -> None:
        """Do runs as they come, until `stop()` or until it is no longer wanted."""
        log.info("trainer_started", holder=self.holder)
        while not self._stopping and still_wanted():
            try:
                self._queue_if_due()
                worked = self.work_once()
                self.keep_house()
            except SQLAlchemyError as error:
                log.warning("trainer_waits", error=str(error))
                worked = False
            if not worked and not self._stopping:
                time.sleep(poll_seconds)
        log.info("trainer_stopped", holder=self.holder)

    def work_once(self) -> bool:
        """Do one run, if there is one and no other trainer works; whether there was."""
        claim = claim_run(
            self._database, self.holder, self._options.lease_seconds, self._options.max_attempts
        )
        if claim is None:
            return False
        structlog.contextvars.bind_contextvars(run_id=claim.run_id)
        try:
            self._run(claim)
        finally:
            structlog.contextvars.unbind_contextvars("run_id")
        return True

    def keep_house(self) -> None:
        """Remove what is not to be held any longer: a step, and only if the last was some time ago."""
        if self._kept_house_at is not None and time.monotonic() - self._kept_house_at < HOUSE_SECONDS:
            return
        try:
            erasures.settle(self._database, self._options.artifacts)
        except (ArtifactError, OSError) as error:
            log.warning("version_not_deleted", error=str(error))
        days = self._options.retention_days
        more = days > 0 and remove_old(self._database, days) >= STEP * STEPS
        more = remove_shown(self._database, self._options.shown_days) or more
        remove_entries(self._database, self._options.audit_days)
        self._kept_house_at = None if more else time.monotonic()

    def _queue_if_due(self) -> None:
        with self._database.read() as connection:
            if self._due(connection) is None:
                return
        with self._database.write() as connection:
            trigger = self._due(connection)  # another trainer may have been faster
            if trigger is not None:
                training_runs.insert_queued(connection, trigger, now_ms())

    def _due(self, connection: Connection) -> str | None:
        return schedule.due(connection, self._options.interval_hours, self._options.after_interactions)

    def _run(self, claim: Claim) -> None:
        log.info("run_started", attempt=claim.attempt)
        try:
            with Heartbeat(self._database, claim, self._options.lease_seconds) as heartbeat:
                self._heartbeat = heartbeat
                if self._stopping:
                    heartbeat.shut_down()
                self._train_and_publish(claim, heartbeat)
        except Interrupted as reason:
            self._interrupted(claim, str(reason))
        except (NotEnoughData, ArtifactError, OSError, MemoryError) as error:
            log.warning("run_failed", error=str(error))
            self._end(claim, "failed", str(error) or type(error).__name__)
        except SQLAlchemyError:
            # The database is away: the run stays as it is, and is taken up again when the lease ends.
            log.exception("run_left")
        except Exception as error:
            log.exception("run_failed")
            self._end(claim, "failed", f"{type(error).__name__}: {error}")
        else:
            self._release(claim)
        finally:
            self._heartbeat = None

    def _train_and_publish(self, claim: Claim, heartbeat: Heartbeat) -> None:
        artifacts = self._options.artifacts
        artifacts.mkdir(parents=True, exist_ok=True)
        clean_temporary(artifacts)
        with self._database.read() as connection:
            active = models.active_version(connection)
            row = models.find_model(connection, active) if active else None
            insist = erasures.is_pressing(connection, now_ms())
        # The fence makes the name unlike that of any other attempt.
        version = f"{from_ms(now_ms()):%Y%m%dT%H%M%SZ}-{claim.run_id}-{claim.fence}"
        former = Former(active, row.content) if active is not None and row is not None else None
        trained = train(
            self._database, artifacts, self._options.recipe, version, former, Progress(heartbeat.tell), insist
        )
        self._publish(claim, trained)
        self._prune(claim)

    def _publish(self, claim: Claim, trained: Trained) -> None:
        """Make the version visible and active, or end the run as rejected; under the fence."""
        with self._database.write() as connection:
            if not leases.holds_lease(connection, LEASE, claim.fence):
                if trained.rejected is None:
                    delete_version(self._options.artifacts, trained.version)
                raise Interrupted("lost")
            if trained.rejected is None:
                self._enter(connection, claim, trained)
                end_run(
                    connection,
                    claim.run_id,
                    "succeeded",
                    {
                        "stage": "publish",
                        "progress": 1.0,
                        "model_version": trained.version,
                        "metrics": trained.evaluation,
                    },
                )
            else:
                values = {
                    "stage": "gate",
                    "progress": 1.0,
                    "metrics": trained.evaluation,
                    "error": trained.rejected,
                }
                end_run(connection, claim.run_id, "rejected", values)
        log.info("run_ended", version=trained.version, rejected=trained.rejected)

    def _enter(self, connection: Connection, claim: Claim, trained: Trained) -> None:
        now = now_ms()
        models.insert_model(
            connection,
            {
                "version": trained.version,
                "run_id": claim.run_id,
                "created_at": now,
                "evaluation": trained.evaluation,
                "content": trained.content,
                "trained_to": trained.trained_to,
                "users_to": trained.users_to,
                "active": False,
            },
        )
        erasures.list_late(connection, trained.version, trained.erasures_to)
        models.activate(connection, trained.version, now)

    def _prune(self, claim: Claim) -> None:
        """Delete the artifacts of old versions, and of such as were never published."""
        # Listed before the lease is looked at: what another trainer may be writing from then on is not here.
        stored = list_versions(self._options.artifacts)
        with self._database.write() as connection:
            if not leases.holds_lease(connection, LEASE, claim.fence):
                return
            for version in models.prunable(connection, self._options.keep_versions):
                models.mark_pruned(connection, version, now_ms())
            rows = {version: models.find_model(connection, version) for version in stored}
        for version, row in rows.items():
            if row is None or row.pruned_at is not None:
                delete_version(self._options.artifacts, version)
                log.info("version_pruned", version=version)

    def _release(self, claim: Claim) -> None:
        """Give the lease back, once no heartbeat can renew it any more."""
        with self._database.write() as connection:
            leases.release_lease(connection, LEASE, claim.fence)

    def _interrupted(self, claim: Claim, reason: str) -> None:
        log.warning("run_interrupted", reason=reason)
        if reason == "cancelled":
            self._end(claim, "cancelled", None)
        elif reason == "shutdown":
            with self._database.write() as connection:
                if leases.holds_lease(connection, LEASE, claim.fence):
                    give_back(connection, claim)

    def _end(self, claim: Claim, state: str, error: str | None) -> None:
        with self._database.write() as connection:
            if leases.holds_lease(connection, LEASE, claim.fence):
                end_run(connection, claim.run_id, state, {"error": error})
                leases.release_lease(connection, LEASE, claim.fence)
