"""Model versions and which of them is active."""

from typing import Any

from sqlalchemy import Connection, insert, select, update

from app.db.rows import AnyRow
from app.db.tables import models


def insert_model(connection: Connection, values: dict[str, Any]) -> None:
    """Enter a version."""
    connection.execute(insert(models).values(values))


def find_model(connection: Connection, version: str) -> AnyRow | None:
    """One version."""
    return connection.execute(select(models).where(models.c.version == version)).first()


def active_version(connection: Connection) -> str | None:
    """The version that is served."""
    return connection.execute(select(models.c.version).where(models.c.active)).scalar_one_or_none()


def served_before(connection: Connection) -> list[str]:
    """Versions with artifacts that are or were active, the latest first."""
    statement = (
        select(models.c.version)
        .where(models.c.pruned_at.is_(None), models.c.activated_at.is_not(None))
        .order_by(models.c.activated_at.desc(), models.c.version.desc())
    )
    return list(connection.execute(statement).scalars())


def activate(connection: Connection, version: str, now: int) -> bool:
    """Make a version the active one, unless its artifacts were pruned; whether it is."""
    kept = models.c.pruned_at.is_(None)
    row = select(models.c.version).where(models.c.version == version, kept).with_for_update()
    if connection.execute(row).first() is None:
        return False
    connection.execute(update(models).where(models.c.active).values(active=False))
    chosen = update(models).where(models.c.version == version)
    connection.execute(chosen.values(active=True, activated_at=now))
    return True


def deactivate(connection: Connection, version: str) -> bool:
    """Serve no version any more, if this is the active one; whether it was."""
    withdrawn = update(models).where(models.c.version == version, models.c.active)
    return connection.execute(withdrawn.values(active=False)).rowcount == 1


def list_models(connection: Connection, before: tuple[int, str] | None, limit: int) -> list[AnyRow]:
    """Versions, newest first."""
    statement = select(models).order_by(models.c.created_at.desc(), models.c.version.desc()).limit(limit)
    if before is not None:
        created_at, version = before
        statement = statement.where(
            (models.c.created_at < created_at)
            | ((models.c.created_at == created_at) & (models.c.version < version))
        )
    return list(connection.execute(statement))


def prunable(connection: Connection, keep: int) -> list[str]:
    """Versions with artifacts that are neither active nor among the newest `keep`."""
    statement = (
        select(models.c.version, models.c.active)
        .where(models.c.pruned_at.is_(None))
        .order_by(models.c.created_at.desc(), models.c.version.desc())
    )
    kept = [row for row in connection.execute(statement) if not row.active]
    room = max(0, keep - 1)
    return [row.version for row in kept[room:]]


def mark_pruned(connection: Connection, version: str, now: int) -> bool:
    """Note that a version's artifacts are gone, unless it has become the active one; whether it is noted."""
    statement = update(models).where(models.c.version == version, models.c.active.is_(False))
    return connection.execute(statement.values(pruned_at=now)).rowcount == 1
