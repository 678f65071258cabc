"""All that is held of one person, page by page."""

from typing import Any

from sqlalchemy import Connection, Select, and_, or_, select, tuple_

from app.db.queries.interactions import named_events
from app.db.rows import AnyRow
from app.db.tables import (
    interactions,
    relations,
    session_owners,
    sessions,
    users,
)


def events_of_user(
    connection: Connection, user: int, after: tuple[int, int] | None, limit: int
) -> list[AnyRow]:
    """A user's events, oldest first, beginning after `(occurred_at, id)`."""
    place = (interactions.c.occurred_at, interactions.c.id)
    statement = named_events().where(interactions.c.user_id == user)
    if after is not None:
        statement = statement.where(tuple_(*place) > tuple_(*after))
    return list(connection.execute(statement.order_by(*place).limit(limit)))


def anonymous_events(
    connection: Connection, user: int, after: tuple[int, int, int] | None, limit: int
) -> list[AnyRow]:
    """Events without a user in the sessions in which this user, and nobody else, was logged in.

    By session, oldest first, beginning after `(session_id, occurred_at, id)`.
    """
    other = interactions.alias("other")
    same = other.c.session_id == interactions.c.session_id
    others = select(other.c.id).where(same, other.c.user_id != user)
    place = (interactions.c.session_id, interactions.c.occurred_at, interactions.c.id)
    statement = named_events().where(
        interactions.c.session_id.in_(_sessions_of(user)), interactions.c.user_id.is_(None), ~others.exists()
    )
    if after is not None:
        statement = statement.where(tuple_(*place) > tuple_(*after))
    return list(connection.execute(statement.order_by(*place).limit(limit)))


def sessions_of_user(connection: Connection, user: int, after: int, limit: int) -> list[AnyRow]:
    """`(id, external_id, owner)` of a user's sessions in order of their keys; no owner: it was only used."""
    owned = and_(session_owners.c.session_id == sessions.c.id, session_owners.c.user_id == user)
    statement = (
        select(sessions.c.id, sessions.c.external_id, session_owners.c.user_id.label("owner"))
        .outerjoin(session_owners, owned)
        .where(
            sessions.c.id > after,
            or_(session_owners.c.user_id.is_not(None), sessions.c.id.in_(_sessions_of(user))),
        )
    )
    return list(connection.execute(statement.order_by(sessions.c.id).limit(limit)))


def ties_of_user(connection: Connection, user: int, after: tuple[int, int], limit: int) -> list[AnyRow]:
    """Ties that a user or the other one has named, with both ids, beginning after `(user_id, other_id)`."""
    one, other = users.alias("one"), users.alias("other")
    place = (relations.c.user_id, relations.c.other_id)
    statement = (
        select(relations, one.c.external_id.label("one"), other.c.external_id.label("other"))
        .join(one, one.c.id == relations.c.user_id)
        .join(other, other.c.id == relations.c.other_id)
        .where(
            or_(relations.c.user_id == user, relations.c.other_id == user), tuple_(*place) > tuple_(*after)
        )
    )
    return list(connection.execute(statement.order_by(*place).limit(limit)))


def _sessions_of(user: int) -> Select[Any]:
    used = interactions.alias("used")
    return select(used.c.session_id).where(used.c.user_id == user, used.c.session_id.is_not(None))
