"""Records of what was shown that have become older than they are kept."""

import structlog

from app.core.clock import now_ms
from app.db.queries import privacy
from app.db.queries.shown import delete_shown, oldest_shown, shown_before
from app.db.session import Database

log = structlog.get_logger(__name__)

DAY_MS = 86_400_000
STEP = 5_000
"""Rows of one transaction: SQLite has one writer at a time, and events keep coming."""
STEPS = 20
"""Transactions at a time, between two looks at the queue."""


def remove_shown(database: Database, days: int, step: int = STEP, steps: int = STEPS) -> bool:
    """Remove lists that were shown more than so many days ago, the oldest first; whether there are more.

    No more than `step * steps` at a time.
    """
    before = now_ms() - days * DAY_MS
    with database.read() as connection:
        oldest = oldest_shown(connection)
    if oldest is None or oldest >= before:  # nothing to write, so nobody has to wait
        return False
    removed = 0
    for _ in range(steps):
        with database.write() as connection:
            old = shown_before(connection, before, step)
            keys = sorted({row.session_id for row in old if row.session_id is not None})
            privacy.lock_sessions(connection, keys)
            delete_shown(connection, [row.id for row in old])
            privacy.delete_unused(connection, keys)
        removed += len(old)
        if len(old) < step:
            break
    log.info("shown_lists_removed", lists=removed, older_than_days=days)
    return removed == step * steps
