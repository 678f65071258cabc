"""Interactions: written in bulk, read by user, by session, and counted by item."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Integer, Select, bindparam, case, func, select, tuple_

from app.core.events import CONTACT
from app.db.bulk import insert_rows, is_sqlite
from app.db.prepared import Prepared
from app.db.queries.corrections import taken_out
from app.db.queries.merging import owners_of_sessions
from app.db.rows import AnyRow
from app.db.tables import event_names, interactions, items, sessions

COLUMNS = (
    "event_key",
    "event_id",
    "user_id",
    "session_id",
    "item_id",
    "event",
    "value",
    "quantity",
    "price",
    "currency",
    "order_id",
    "recommendation_id",
    "context",
    "occurred_at",
    "received_at",
)
"""The order of the rows that `insert_interactions` takes."""
_USER, _SESSION = COLUMNS.index("user_id"), COLUMNS.index("session_id")


def insert_interactions(connection: Connection, rows: list[tuple[Any, ...]]) -> set[bytes]:
    """Store rows whose `event_key` is new; answer the keys that were stored.

    What names a session alone becomes the event of the user to whom the session belongs, if it does.
    """
    if not rows:
        return set()
    rows = _with_owners(connection, rows)
    before = connection.execute(select(func.coalesce(func.max(interactions.c.id), 0))).scalar_one()
    stored = insert_rows(connection, interactions, COLUMNS, rows, "(event_key) DO NOTHING")
    keys = [row[0] for row in rows]
    if stored == len(rows):
        return set(keys)
    if is_sqlite(connection):
        # One writer at a time: what has a higher key now, this transaction stored.
        new = connection.execute(select(interactions.c.event_key).where(interactions.c.id > before))
        return {bytes(key) for (key,) in new}
    # Other writers may have added rows with higher keys, but not with these event keys: those would have
    # conflicted. xmin tells this transaction's rows from those that were there; rows that it stored by an
    # earlier call have lower keys.
    new = connection.exec_driver_sql(
        "SELECT event_key FROM interactions WHERE event_key = ANY(%s::bytea[]) "
        "AND id > %s AND xmin = pg_current_xact_id()::xid",
        (keys, before),
    )
    return {bytes(key) for (key,) in new}


def _with_owners(connection: Connection, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    owners = owners_of_sessions(connection, {row[_SESSION] for row in rows if row[_USER] is None})
    if not owners:
        return rows
    return [
        (*row[:_USER], owners.get(row[_SESSION]), *row[_USER + 1 :]) if row[_USER] is None else row
        for row in rows
    ]


def event_key_exists(connection: Connection, event_key: bytes) -> bool:
    """Whether an event is stored under this key."""
    found = select(interactions.c.id).where(interactions.c.event_key == event_key)
    return connection.execute(found).first() is not None


def recent_of_session(
    connection: Connection, external_id: str, limit: int, but_not_of: int | None = None
) -> list[tuple[Any, ...]]:
    """A session's latest events on items, newest first: item_id, name, value, quantity, occurred_at.

    Without those that a correction takes out of taste; `but_not_of` leaves out the events of a user who is
    asked about besides.
    """
    nobody = -1 if but_not_of is None else but_not_of
    return _RECENT_OF_SESSION.rows(connection, session=external_id, user=nobody, most=limit)


_RECENT_OF_SESSION = Prepared(
    select(
        interactions.c.item_id,
        event_names.c.name,
        interactions.c.value,
        interactions.c.quantity,
        interactions.c.occurred_at,
    )
    .join(event_names, event_names.c.id == interactions.c.event)
    .where(
        interactions.c.session_id
        == select(sessions.c.id).where(sessions.c.external_id == bindparam("session")).scalar_subquery(),
        interactions.c.user_id.is_distinct_from(bindparam("user")),
        interactions.c.item_id.is_not(None),
        ~taken_out(),
    )
    .order_by(interactions.c.occurred_at.desc(), interactions.c.id.desc())
    .limit(bindparam("most", type_=Integer))
)


def items_of_user(connection: Connection, user_key: int) -> list[int]:
    """Keys of all items that a user ever had an event with."""
    theirs = select(interactions.c.item_id).where(
        interactions.c.user_id == user_key, interactions.c.item_id.is_not(None)
    )
    return list(connection.execute(theirs.distinct()).scalars())


def named_events() -> Select[Any]:
    """Whole events, with `event_name`, `item_external_id` and `session_external_id`."""
    return (
        select(
            interactions,
            event_names.c.name.label("event_name"),
            items.c.external_id.label("item_external_id"),
            sessions.c.external_id.label("session_external_id"),
        )
        .join(event_names, event_names.c.id == interactions.c.event)
        .outerjoin(items, items.c.id == interactions.c.item_id)
        .outerjoin(sessions, sessions.c.id == interactions.c.session_id)
    )


def list_of_user(
    connection: Connection, user_key: int, before: tuple[int, int] | None, limit: int
) -> Sequence[AnyRow]:
    """A user's events, newest first, beginning before `(occurred_at, id)`."""
    statement = (
        named_events()
        .where(interactions.c.user_id == user_key)
        .order_by(interactions.c.occurred_at.desc(), interactions.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(tuple_(interactions.c.occurred_at, interactions.c.id) < tuple_(*before))
    return connection.execute(statement).all()


def counts_by_item(connection: Connection, since: int, until: int) -> list[tuple[int, str, int]]:
    """`(item_id, event name, number of events)` within a window of time."""
    statement = (
        select(interactions.c.item_id, event_names.c.name, func.count())
        .join(event_names, event_names.c.id == interactions.c.event)
        .where(
            interactions.c.occurred_at > since,
            interactions.c.occurred_at <= until,
            interactions.c.item_id.is_not(None),
        )
        .group_by(interactions.c.item_id, event_names.c.name)
    )
    return [(item, name, count) for item, name, count in connection.execute(statement)]


def highest_key(connection: Connection) -> int:
    """Highest key given to an interaction so far; 0 without any."""
    return int(connection.execute(select(func.coalesce(func.max(interactions.c.id), 0))).scalar_one())


def latest_time(connection: Connection) -> int | None:
    """Time of the latest event; None without any."""
    latest: int | None = connection.execute(select(func.max(interactions.c.occurred_at))).scalar_one()
    return latest


def history_of_user(connection: Connection, user_key: int, limit: int) -> Sequence[AnyRow]:
    """A user's latest events, with and without an item, oldest first: item_id, name, value, quantity, price,
    order_id, occurred_at, what a contact with the service was about (context `type`), and whether a
    correction takes it out of taste."""
    latest = (
        select(
            interactions.c.id,
            interactions.c.item_id,
            event_names.c.name,
            interactions.c.value,
            interactions.c.quantity,
            interactions.c.price,
            interactions.c.order_id,
            interactions.c.occurred_at,
            case(
                (event_names.c.name == CONTACT, interactions.c.context["type"].as_string()), else_=None
            ).label("contact_type"),
            taken_out().label("excluded"),
        )
        .join(event_names, event_names.c.id == interactions.c.event)
        .where(interactions.c.user_id == user_key)
        .order_by(interactions.c.occurred_at.desc(), interactions.c.id.desc())
        .limit(limit)
    )
    return list(reversed(connection.execute(latest).all()))


def ratings_of_user(connection: Connection, user_key: int, limit: int) -> Sequence[AnyRow]:
    """A user's latest ratings, newest first: item_id, value."""
    rate = select(event_names.c.id).where(event_names.c.name == "rate").scalar_subquery()
    return connection.execute(
        select(interactions.c.item_id, interactions.c.value)
        .where(
            interactions.c.user_id == user_key,
            interactions.c.event == rate,
            interactions.c.item_id.is_not(None),
            interactions.c.value.is_not(None),
            ~taken_out(),
        )
        .order_by(interactions.c.occurred_at.desc(), interactions.c.id.desc())
        .limit(limit)
    ).all()
