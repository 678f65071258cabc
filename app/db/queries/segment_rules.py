"""Saved filters, and what they need of the users."""

from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from app.db.rows import AnyRow
from app.db.tables import segment_rules, users


def list_rules(connection: Connection) -> list[AnyRow]:
    """All saved filters, by their segment's id."""
    return list(connection.execute(select(segment_rules).order_by(segment_rules.c.segment)))


def find_rule(connection: Connection, segment: str) -> AnyRow | None:
    """One saved filter."""
    return connection.execute(select(segment_rules).where(segment_rules.c.segment == segment)).first()


def count_rules(connection: Connection) -> int:
    """How many are saved."""
    return int(connection.execute(select(func.count()).select_from(segment_rules)).scalar_one())


def insert_rule(connection: Connection, values: dict[str, Any]) -> None:
    """Save a new filter."""
    connection.execute(insert(segment_rules).values(values))


def update_rule(connection: Connection, segment: str, values: dict[str, Any]) -> bool:
    """Set columns of a filter; whether there is one."""
    changed = update(segment_rules).where(segment_rules.c.segment == segment).values(values)
    return connection.execute(changed).rowcount > 0


def delete_rule(connection: Connection, segment: str) -> bool:
    """Remove a filter; whether there was one."""
    gone = delete(segment_rules).where(segment_rules.c.segment == segment)
    return connection.execute(gone).rowcount > 0


def users_stamp(connection: Connection) -> tuple[int, ...]:
    """Changes whenever a user is written or erased: number, latest change and highest key."""
    row = connection.execute(select(func.count(), func.max(users.c.updated_at), func.max(users.c.id))).one()
    return tuple(int(value or 0) for value in row)
