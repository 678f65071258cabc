"""Counters that grow with each change of something, so that a reader can ask for what it has not seen."""

from sqlalchemy import Connection, bindparam, select, update

from app.db.prepared import Prepared
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


def hold_revision(connection: Connection, name: str) -> None:
    """Keep others from raising the counter until the transaction ends.

    Who changes a row does this before it locks the row: writers that take the two in one order never wait
    for each other.
    """
    connection.execute(select(revisions.c.value).where(revisions.c.name == name).with_for_update())


def current_revision(connection: Connection, name: str) -> int:
    """The counter as committed."""
    return int(_CURRENT.value(connection, counter=name))


_CURRENT = Prepared(select(revisions.c.value).where(revisions.c.name == bindparam("counter")))
