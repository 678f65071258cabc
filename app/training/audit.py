"""Entries of the audit log that have become older than they are kept."""

from app.core.clock import now_ms
from app.db.queries import audit
from app.db.session import Database

DAY_MS = 86_400_000


def remove_entries(database: Database, days: int) -> int:
    """Remove entries older than so many days; how many went."""
    before = now_ms() - days * DAY_MS
    with database.read() as connection:
        if not audit.any_before(connection, before):
            return 0
    with database.write() as connection:
        return audit.delete_before(connection, before)
