"""Streams of everything that training reads, by raw cursors: rows pass through, they are not collected."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection

from app.db.bulk import is_sqlite

Rows = list[tuple[Any, ...]]


def stream_users(connection: Connection, size: int = 50_000) -> Iterator[Rows]:
    """`(id, attributes)` of all users."""
    return _stream(connection, "SELECT id, attributes FROM users ORDER BY id", size)


def stream_items(connection: Connection, size: int = 20_000) -> Iterator[Rows]:
    """`(id, external_id, title, description, categories, brand, tags, price, attributes)`, deleted too."""
    columns = "id, external_id, title, description, categories, brand, tags, price, attributes"
    return _stream(connection, f"SELECT {columns} FROM items", size)


def stream_relations(connection: Connection, size: int = 50_000) -> Iterator[Rows]:
    """`(user_id, other_id, weight)` of all ties."""
    return _stream(connection, "SELECT user_id, other_id, weight FROM relations", size)


def stream_interactions(connection: Connection, size: int = 50_000) -> Iterator[Rows]:
    """Interactions as rows of user_id, session_id, item_id, event, value, quantity, price, occurred_at, id,
    excluded, order_id and type.

    Those with an item or a user; -1 stands for no user, no session and no item, "" for no order. `excluded`
    is 1 for what a correction takes out of taste, else 0. `type` is what a contact with the service was
    about; "" for all other events.
    """
    statement = (
        "SELECT coalesce(user_id, -1), coalesce(session_id, -1), coalesce(item_id, -1), event, value, "
        "quantity, price, occurred_at, id, "
        "CASE WHEN id IN (SELECT interaction_id FROM corrected_interactions) THEN 1 ELSE 0 END, "
        "coalesce(order_id, ''), "
        "CASE WHEN event IN (SELECT id FROM event_names WHERE name = 'service_contact') "
        "THEN coalesce(context ->> 'type', '') ELSE '' END "
        "FROM interactions WHERE item_id IS NOT NULL OR user_id IS NOT NULL"
    )
    return _stream(connection, statement, size)


def event_names(connection: Connection) -> dict[int, str]:
    """Event names by their codes."""
    return {row.id: row.name for row in connection.exec_driver_sql("SELECT id, name FROM event_names")}


def table_sizes(connection: Connection) -> dict[str, int]:
    """Rows that a training will read, by table."""
    return {
        name: connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one()
        for name in ("users", "items", "interactions")
    }


def _stream(connection: Connection, statement: str, size: int) -> Iterator[Rows]:
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 (a checked-out connection has one)
    # A named cursor keeps the result on the PostgreSQL server; SQLite steps through it anyway.
    cursor = driver.cursor() if is_sqlite(connection) else driver.cursor(name="snapshot")
    try:
        if not is_sqlite(connection):
            cursor.itersize = size
        cursor.execute(statement)
        while rows := cursor.fetchmany(size):
            yield rows
    finally:
        cursor.close()
