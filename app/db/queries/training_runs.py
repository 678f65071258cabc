"""Training runs: the queue, the one that works, and those that ended."""

from typing import Any

from sqlalchemy import Connection, insert, select, update

from app.db.rows import AnyRow
from app.db.tables import training_runs

OPEN = ("queued", "running")
ENDED = ("succeeded", "rejected", "failed", "cancelled")


def insert_queued(connection: Connection, trigger: str, now: int) -> int | None:
    """Queue a run; None if one is queued already."""
    if find_in_state(connection, "queued") is not None:
        return None
    statement = insert(training_runs).values(state="queued", trigger=trigger, queued_at=now, progress=0.0)
    return int(connection.execute(statement.returning(training_runs.c.id)).scalar_one())


def find_run(connection: Connection, run_id: int) -> AnyRow | None:
    """One run."""
    return connection.execute(select(training_runs).where(training_runs.c.id == run_id)).first()


def find_in_state(connection: Connection, state: str) -> AnyRow | None:
    """The one run in an open state, or the newest in an ended one."""
    return connection.execute(
        select(training_runs)
        .where(training_runs.c.state == state)
        .order_by(training_runs.c.id.desc())
        .limit(1)
    ).first()


def list_runs(connection: Connection, before: int | None, limit: int) -> list[AnyRow]:
    """Runs, newest first, beginning before a key."""
    statement = select(training_runs).order_by(training_runs.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(training_runs.c.id < before)
    return list(connection.execute(statement))


def last_finished(connection: Connection) -> AnyRow | None:
    """The run that was queued last among those that ended."""
    return connection.execute(
        select(training_runs)
        .where(training_runs.c.state.in_(ENDED))
        .order_by(training_runs.c.id.desc())
        .limit(1)
    ).first()


def update_run(
    connection: Connection, run_id: int, values: dict[str, Any], states: tuple[str, ...] = OPEN
) -> bool:
    """Set columns of a run that is in one of the states; whether it was."""
    statement = (
        update(training_runs)
        .where(training_runs.c.id == run_id, training_runs.c.state.in_(states))
        .values(values)
    )
    return connection.execute(statement).rowcount == 1
