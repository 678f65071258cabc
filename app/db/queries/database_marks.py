"""What a database was begun with."""

from sqlalchemy import Connection, exists, select

from app.db.bulk import insert_rows
from app.db.tables import database_marks, users


def find_mark(connection: Connection, name: str) -> str | None:
    """The value of a mark."""
    value: str | None = connection.execute(
        select(database_marks.c.value).where(database_marks.c.name == name)
    ).scalar_one_or_none()
    return value


def set_mark(connection: Connection, name: str, value: str) -> None:
    """Set a mark that is not set."""
    insert_rows(connection, database_marks, ("name", "value"), [(name, value)], "(name) DO NOTHING")


def has_users(connection: Connection) -> bool:
    """Whether any user is stored."""
    return bool(connection.execute(select(exists(select(users.c.id)))).scalar_one())
