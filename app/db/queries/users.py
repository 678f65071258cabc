"""Users: one, many."""

from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from app.db.bulk import insert_rows
from app.db.prepared import Prepared
from app.db.rows import AnyRow
from app.db.tables import users

_COLUMNS = ("external_id", "attributes", "created_at", "updated_at")


def upsert_users(connection: Connection, rows: list[tuple[str, str, int | None, int]]) -> None:
    """Write users as `(external_id, attributes as JSON text, created_at or None, now)`; last of an id wins.

    Without `created_at` a user keeps the one it has.
    """
    latest = {row[0]: row for row in rows}
    # In one statement, and in one order: else two writers wait for each other. One who is known and is said
    # to be created in this very millisecond keeps what was known, too.
    insert_rows(
        connection,
        users,
        _COLUMNS,
        [
            (name, attributes, now if created_at is None else created_at, now)
            for name, attributes, created_at, now in (latest[name] for name in sorted(latest))
        ],
        "(external_id) DO UPDATE SET attributes = excluded.attributes, updated_at = excluded.updated_at, "
        "created_at = CASE WHEN excluded.created_at = excluded.updated_at THEN users.created_at "
        "ELSE excluded.created_at END",
    )


def find_user(connection: Connection, external_id: str) -> AnyRow | None:
    """One user's row."""
    return connection.execute(select(users).where(users.c.external_id == external_id)).first()


def lock_user(connection: Connection, external_id: str) -> AnyRow | None:
    """One user's row, kept from other writers until the transaction ends."""
    return connection.execute(
        select(users).where(users.c.external_id == external_id).with_for_update()
    ).first()


def update_user(connection: Connection, key: int, values: dict[str, Any]) -> None:
    """Set columns of one user."""
    connection.execute(update(users).where(users.c.id == key).values(values))


def list_users(connection: Connection, after: int, limit: int) -> list[AnyRow]:
    """Users in order of their keys, beginning after a key."""
    return list(connection.execute(select(users).where(users.c.id > after).order_by(users.c.id).limit(limit)))


def external_ids(connection: Connection, keys: list[int]) -> dict[int, str]:
    """The shop's ids of users that (still) exist."""
    rows = connection.execute(select(users.c.id, users.c.external_id).where(users.c.id.in_(keys)))
    return {row.id: row.external_id for row in rows}


def existing_keys(connection: Connection, low: int, high: int, expected: int) -> list[int] | None:
    """Keys from `low` to `high` of users that (still) exist; None if all of the expected number do."""
    between = users.c.id.between(low, high)
    if connection.execute(select(func.count()).select_from(users).where(between)).scalar_one() == expected:
        return None
    return list(connection.execute(select(users.c.id).where(between)).scalars())


def user_key(connection: Connection, external_id: str) -> int | None:
    """Key of a user, None if unknown."""
    key: int | None = _KEY.value(connection, user_id=external_id)
    return key


_KEY = Prepared(select(users.c.id).where(users.c.external_id == bindparam("user_id")))
