"""Streams of what was ingested, for files: rows pass through, they are not collected."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from app.db.bulk import is_sqlite
from app.db.queries.items import FIELDS
from app.db.rows import AnyRow
from app.db.tables import event_names, interactions, items, sessions, users

_AT_ONCE = 5_000


def stream_users(connection: Connection) -> Iterator[AnyRow]:
    """`(external_id, attributes, created_at)` of all users, in the order of their ids' bytes."""
    chosen = select(users.c.external_id, users.c.attributes, users.c.created_at)
    return _stream(connection, chosen.order_by(_by_bytes(connection, users.c.external_id)))


def stream_items(connection: Connection) -> Iterator[AnyRow]:
    """`(id, external_id, deleted_at)` and what the shop says of all items, deleted too, ordered likewise."""
    chosen = select(items.c.id, items.c.external_id, items.c.deleted_at, *(items.c[name] for name in FIELDS))
    return _stream(connection, chosen.order_by(_by_bytes(connection, items.c.external_id)))


def stream_interactions(connection: Connection) -> Iterator[AnyRow]:
    """All interactions with the shop's ids, in the order in which they came."""
    chosen = (
        select(
            interactions.c.event_key,
            interactions.c.event_id,
            users.c.external_id.label("user_id"),
            sessions.c.external_id.label("session_id"),
            items.c.external_id.label("item_id"),
            event_names.c.name.label("event"),
            interactions.c.value,
            interactions.c.quantity,
            interactions.c.price,
            interactions.c.currency,
            interactions.c.order_id,
            interactions.c.recommendation_id,
            interactions.c.occurred_at,
            interactions.c.context,
        )
        .join(event_names, event_names.c.id == interactions.c.event)
        .outerjoin(users, users.c.id == interactions.c.user_id)
        .outerjoin(sessions, sessions.c.id == interactions.c.session_id)
        .outerjoin(items, items.c.id == interactions.c.item_id)
        .order_by(interactions.c.id)
    )
    return _stream(connection, chosen)


def stream_user_attributes(connection: Connection) -> Iterator[AnyRow]:
    """`(attributes,)` of all users."""
    return _stream(connection, select(users.c.attributes))


def stream_item_attributes(connection: Connection) -> Iterator[AnyRow]:
    """`(attributes,)` of all items."""
    return _stream(connection, select(items.c.attributes))


def deleted_in_use(connection: Connection) -> set[int]:
    """Keys of the deleted items that interactions name."""
    named = select(items.c.id).join(interactions, interactions.c.item_id == items.c.id)
    return set(connection.execute(named.where(items.c.deleted_at.is_not(None)).distinct()).scalars())


def users_by_key(connection: Connection, keys: list[int]) -> dict[int, AnyRow]:
    """`(id, external_id, attributes)` of those users that (still) exist."""
    chosen = select(users.c.id, users.c.external_id, users.c.attributes).where(users.c.id.in_(keys))
    return {row.id: row for row in connection.execute(chosen)}


def user_ids(connection: Connection, after: int, limit: int) -> list[AnyRow]:
    """`(id, external_id)` of users in order of their keys, beginning after a key."""
    chosen = select(users.c.id, users.c.external_id).where(users.c.id > after)
    return list(connection.execute(chosen.order_by(users.c.id).limit(limit)))


def count_users(connection: Connection) -> int:
    """How many users there are."""
    return int(connection.execute(select(func.count()).select_from(users)).scalar_one())


def _by_bytes(connection: Connection, column: ColumnElement[str]) -> ColumnElement[str]:
    """An order that is the same on every engine; SQLite has no other."""
    return column if is_sqlite(connection) else column.collate("C")


def _stream(connection: Connection, statement: Any) -> Iterator[AnyRow]:
    yield from connection.execute(statement, execution_options={"yield_per": _AT_ONCE})
