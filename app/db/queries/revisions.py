"""Counters that grow with each change of something, so that a reader can ask for what it has not seen."""

from sqlalchemy import Connection, select, update

from app.db.tables import revisions


def next_revision(connection: Connection, name: str) -> int:
    """Raise the counter and hold it until the transaction ends, so that revisions commit in order."""
    statement = (
        update(revisions)
        .where(revisions.c.name == name)
        .values(value=revisions.c.value + 1)
        .returning(revisions.c.value)
    )
    return int(connection.execute(statement).scalar_one())


def current_revision(connection: Connection, name: str) -> int:
    """The counter as committed."""
    return int(connection.execute(select(revisions.c.value).where(revisions.c.name == name)).scalar_one())
