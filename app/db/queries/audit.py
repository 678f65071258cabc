"""The audit log."""

from typing import Any

from sqlalchemy import Connection, delete, insert, select

from app.db.rows import AnyRow
from app.db.tables import audit_log


def insert_entry(connection: Connection, values: dict[str, Any]) -> None:
    """Write one entry."""
    connection.execute(insert(audit_log).values(values))


def list_entries(connection: Connection, before: int | None, limit: int) -> list[AnyRow]:
    """Entries, newest first, from before the given key on."""
    statement = select(audit_log).order_by(audit_log.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(audit_log.c.id < before)
    return list(connection.execute(statement))


def any_before(connection: Connection, at: int) -> bool:
    """Whether there are entries from before a time."""
    return connection.execute(select(audit_log.c.id).where(audit_log.c.at < at).limit(1)).first() is not None


def delete_before(connection: Connection, at: int) -> int:
    """Remove the entries from before a time; how many."""
    return connection.execute(delete(audit_log).where(audit_log.c.at < at)).rowcount
