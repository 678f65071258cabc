"""When a training is due without anybody asking for it."""

from sqlalchemy import Connection

from app.core.clock import now_ms
from app.db.queries import interactions, training_runs

_HOUR_MS = 3_600_000
LEAST_PAUSE_MS = 600_000
"""Between two trainings that nobody asked for."""


def due(connection: Connection, interval_hours: float, after_interactions: int) -> str | None:
    """Why a training should be queued now (`interactions` or `schedule`), None if it should not."""
    if any(training_runs.find_in_state(connection, state) for state in training_runs.OPEN):
        return None
    last = training_runs.last_finished(connection)
    now = now_ms()
    if last is not None and now - (last.finished_at or last.queued_at) < LEAST_PAUSE_MS:
        return None
    # What a run saw that was rejected or failed is no reason to run again.
    new = interactions.highest_key(connection) - ((last.trained_to or 0) if last is not None else 0)
    if after_interactions and new >= after_interactions:
        return "interactions"
    old = last is not None and now - (last.finished_at or last.queued_at) >= interval_hours * _HOUR_MS
    if interval_hours and old and new > 0:
        return "schedule"
    return None
