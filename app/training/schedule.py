"""When a training is due without anybody asking for it."""

from sqlalchemy import Connection

from app.core.clock import now_ms
from app.db.queries import interactions, training_runs
from app.training.erasures import is_pressing

_HOUR_MS = 3_600_000
LEAST_PAUSE_MS = 600_000
"""Between two trainings that nobody asked for."""
RETRY_MS = _HOUR_MS
"""After a training that was to replace a version with erased persons and did not."""


def due(connection: Connection, interval_hours: float, after_interactions: int) -> str | None:
    """Why a training should be queued now: `interactions`, `erasure` or `schedule`; None if it should not."""
    if any(training_runs.find_in_state(connection, state) for state in training_runs.OPEN):
        return None
    last = training_runs.last_finished(connection)
    now = now_ms()
    since = None if last is None else now - (last.finished_at or last.queued_at)
    if since is not None and since < LEAST_PAUSE_MS:
        return None
    failed = last is not None and last.state in ("failed", "cancelled")
    if is_pressing(connection, now) and (since is None or not failed or since >= RETRY_MS):
        return "erasure"
    # What a run saw that was rejected or failed is no reason to run again.
    new = interactions.highest_key(connection) - ((last.trained_to or 0) if last is not None else 0)
    if after_interactions and new >= after_interactions:
        return "interactions"
    old = since is not None and since >= interval_hours * _HOUR_MS
    if interval_hours and old and new > 0:
        return "schedule"
    return None
