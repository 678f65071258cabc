"""Scenarios: every version of each, of which the newest is in force."""

from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, select

from app.db.rows import AnyRow
from app.db.tables import scenarios


def newest(connection: Connection, name: str) -> AnyRow | None:
    """The version in force of one scenario, which may be a deletion."""
    found = select(scenarios).where(scenarios.c.name == name).order_by(scenarios.c.version.desc()).limit(1)
    return connection.execute(found).first()


def list_newest(connection: Connection) -> list[AnyRow]:
    """The newest version of every name, deletions among them, by name."""
    last = (
        select(scenarios.c.name, func.max(scenarios.c.version).label("version"))
        .group_by(scenarios.c.name)
        .subquery()
    )
    same = and_(scenarios.c.name == last.c.name, scenarios.c.version == last.c.version)
    rows = connection.execute(select(scenarios).join(last, same))
    # By code points: the order of the database's language differs between engines.
    return sorted(rows, key=lambda row: row.name)


def find_version(connection: Connection, name: str, version: int) -> AnyRow | None:
    """One version of a scenario."""
    wanted = and_(scenarios.c.name == name, scenarios.c.version == version)
    return connection.execute(select(scenarios).where(wanted)).first()


def list_versions(connection: Connection, name: str) -> list[AnyRow]:
    """All versions of a scenario that are kept, the newest first."""
    found = select(scenarios).where(scenarios.c.name == name).order_by(scenarios.c.version.desc())
    return list(connection.execute(found))


def insert_version(connection: Connection, values: dict[str, Any]) -> None:
    """Keep another version."""
    connection.execute(insert(scenarios).values(values))


def forget_versions(connection: Connection, name: str, until: int) -> None:
    """Remove the versions of a scenario up to one."""
    gone = delete(scenarios).where(and_(scenarios.c.name == name, scenarios.c.version <= until))
    connection.execute(gone)
