"""Training runs, as the API sees them: queued, watched, cancelled."""

from typing import Any

from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import Conflict, NotFound
from app.db.queries import training_runs
from app.db.rows import AnyRow
from app.services.paging import decode_cursor, page


def queue_run(connection: Connection, trigger: str) -> dict[str, Any]:
    """Queue a run; the one that is queued already, if there is one."""
    run_id = training_runs.insert_queued(connection, trigger, now_ms())
    row = (
        training_runs.find_in_state(connection, "queued")
        if run_id is None
        else training_runs.find_run(connection, run_id)
    )
    if row is None:
        raise Conflict("A run was queued and taken up at this moment; ask again.")
    return answer(row)


def list_runs(connection: Connection, cursor: str | None, limit: int) -> dict[str, Any]:
    """A page of runs, newest first."""
    place = decode_cursor(cursor, int)
    rows = training_runs.list_runs(connection, place[0] if place else None, limit + 1)
    found = page(rows, limit, lambda row: [row.id])
    return {"training_runs": [answer(row) for row in found.rows], "next_cursor": found.next_cursor}


def get_run(connection: Connection, run_id: str) -> dict[str, Any]:
    """One run; raises NotFound."""
    return answer(_find(connection, run_id))


def cancel_run(connection: Connection, run_id: str) -> dict[str, Any]:
    """Cancel a run, at once if it waits, at its next step if it works; raises NotFound, Conflict."""
    row = _find(connection, run_id)
    cancelled = training_runs.update_run(
        connection, row.id, {"state": "cancelled", "finished_at": now_ms()}, ("queued",)
    ) or training_runs.update_run(connection, row.id, {"cancel_requested": True}, ("running",))
    if not cancelled:
        raise Conflict(f"Run {run_id} has ended: {row.state}.")
    return get_run(connection, run_id)


def answer(row: AnyRow) -> dict[str, Any]:
    """A run's row on the wire."""
    return {
        "run_id": str(row.id),
        "state": row.state,
        "trigger": row.trigger,
        "stage": row.stage,
        "progress": row.progress,
        "attempt": row.attempt,
        "cancel_requested": row.cancel_requested,
        "queued_at": rfc3339(row.queued_at),
        "started_at": None if row.started_at is None else rfc3339(row.started_at),
        "finished_at": None if row.finished_at is None else rfc3339(row.finished_at),
        "model_version": row.model_version,
        "metrics": row.metrics,
        "error": row.error,
    }


def _find(connection: Connection, run_id: str) -> AnyRow:
    fits = run_id.isascii() and run_id.isdigit() and len(run_id) < 19
    row = training_runs.find_run(connection, int(run_id)) if fits else None
    if row is None:
        raise NotFound(f"There is no training run '{run_id}'.")
    return row
