"""Interactions that have become older than the shop wants to keep them."""

import structlog

from app.core.clock import now_ms
from app.db.queries import privacy
from app.db.session import Database

log = structlog.get_logger(__name__)

DAY_MS = 86_400_000
STEP = 5_000
"""Rows of one transaction: SQLite has one writer at a time, and events keep coming."""
STEPS = 20
"""Transactions at a time, between two looks at the queue."""


def remove_old(database: Database, days: int, step: int = STEP, steps: int = STEPS) -> int:
    """Remove interactions older than so many days, with the sessions that are left empty; how many went.

    The oldest first, and no more than `step * steps`.
    """
    before = now_ms() - days * DAY_MS
    removed = 0
    for _ in range(steps):
        with database.write() as connection:
            old = privacy.oldest(connection, before, step)
            keys = sorted({row.session_id for row in old if row.session_id is not None})
            privacy.lock_sessions(connection, keys)
            removed += privacy.delete_interactions(connection, [row.id for row in old])
            privacy.delete_unused(connection, keys)
        if len(old) < step:
            break
    if removed:
        log.info("old_interactions_removed", interactions=removed, older_than_days=days)
    return removed
