"""Model versions that learned from erased persons: replaced in time, and deleted when it is over."""

from pathlib import Path

import structlog
from sqlalchemy import Connection

from app.core.clock import now_ms
from app.db.queries import models, privacy, training_runs
from app.db.queries.revisions import hold_revision
from app.db.session import Database
from app.learning.artifacts import wipe_version

log = structlog.get_logger(__name__)

COUNTER = "erasures"
LEAD_MS = 86_400_000
"""How long before a deadline the training begins that replaces the version in question."""


def is_pressing(connection: Connection, now: int) -> bool:
    """Whether the active version holds somebody erased and must be replaced by now."""
    deadline = privacy.active_deadline(connection)
    return deadline is not None and deadline - LEAD_MS <= now


def list_late(connection: Connection, version: str, erasures_to: int) -> None:
    """Put a version on the receipts of all who were erased after its snapshot (which saw `erasures_to`)."""
    # An erasure that is under way either ends before, and is seen here, or sees the new version.
    hold_revision(connection, COUNTER)
    for receipt in privacy.receipts_after(connection, erasures_to):
        privacy.insert_held(connection, receipt.receipt_id, version, receipt.deadline)


def settle(database: Database, artifacts: Path) -> None:
    """Delete the artifacts of versions whose time is over, and note in the receipts what is gone."""
    with database.read() as connection:
        now = now_ms()
        waits = privacy.overdue(connection, now) or privacy.pruned_unreleased(connection)
        if not waits and _expired(connection, now) is None:
            return
    with database.write() as connection:
        expired = _expired(connection, now)
        if expired is not None and models.deactivate(connection, expired):
            log.warning("version_withdrawn", version=expired, reason="an erasure's deadline is over")
        for version in privacy.overdue(connection, now):
            models.mark_pruned(connection, version, now)
        gone = privacy.pruned_unreleased(connection)
    for version in gone:
        wipe_version(artifacts, version)
        log.info("version_released", version=version)
    with database.write() as connection:
        for version in gone:
            privacy.release(connection, version, now_ms())


def _expired(connection: Connection, now: int) -> str | None:
    """The active version, if its deadline is over and a training failed to replace it; else None."""
    active = models.active_version(connection)
    asked = None if active is None else privacy.first_request(connection, active, now)
    if asked is None or any(training_runs.find_in_state(connection, state) for state in training_runs.OPEN):
        return None
    last = training_runs.last_finished(connection)
    tried = last is not None and last.state == "failed" and (last.started_at or 0) >= asked
    return active if tried else None
