"""What is removed of persons, its receipts, and the model versions that still hold them."""

from typing import Any

from sqlalchemy import Connection, delete, exists, func, insert, or_, select, update

from app.db.rows import AnyRow
from app.db.tables import (
    corrections,
    interactions,
    models,
    receipt_versions,
    receipts,
    relations,
    session_owners,
    sessions,
    shown_recommendations,
    users,
)

_AT_ONCE = 5_000
"""Keys in one statement: engines bound the number of parameters."""


def erase_user(connection: Connection, key: int) -> tuple[dict[str, int], int | None]:
    """Remove a user with all that is held of the person; rows of each kind, lowest key of its interactions.

    Sessions in which the person was logged in, or that became the person's, go with their anonymous part.
    """
    whose = interactions.c.user_id == key
    theirs = select(interactions.c.session_id).where(whose, interactions.c.session_id.is_not(None))
    owned = select(session_owners.c.session_id).where(session_owners.c.user_id == key)
    session_ids = sorted(connection.execute(theirs.union(owned)).scalars())
    lock_sessions(connection, session_ids)
    lowest = [_lowest(connection, whose)]
    removed = connection.execute(delete(interactions).where(whose)).rowcount
    shown = _delete_shown(connection, shown_recommendations.c.user_id == key)
    connection.execute(delete(session_owners).where(session_owners.c.user_id == key))
    removed_sessions = 0
    for first in range(0, len(session_ids), _AT_ONCE):
        counts, low = erase_sessions(connection, session_ids[first : first + _AT_ONCE])
        removed, shown = removed + counts["interactions"], shown + counts["shown_recommendations"]
        removed_sessions += counts["sessions"]
        lowest.append(low)
    tied = or_(relations.c.user_id == key, relations.c.other_id == key)
    counts = {
        "users": 1,
        "interactions": removed,
        "sessions": removed_sessions,
        "shown_recommendations": shown,
        "relations": connection.execute(delete(relations).where(tied)).rowcount,
        "corrections": connection.execute(delete(corrections).where(corrections.c.user_id == key)).rowcount,
    }
    connection.execute(delete(users).where(users.c.id == key))
    return counts, min((low for low in lowest if low is not None), default=None)


def erase_sessions(connection: Connection, keys: list[int]) -> tuple[dict[str, int], int | None]:
    """Remove what happened in (locked) sessions without a user, and those that are unused then.

    Answers how many rows of each kind went, and the lowest key of the interactions.
    """
    anonymous = interactions.c.session_id.in_(keys) & interactions.c.user_id.is_(None)
    lowest = _lowest(connection, anonymous)
    removed = connection.execute(delete(interactions).where(anonymous)).rowcount
    nobodys = shown_recommendations.c.session_id.in_(keys) & shown_recommendations.c.user_id.is_(None)
    shown = _delete_shown(connection, nobodys)
    counts = {
        "interactions": removed,
        "sessions": delete_unused(connection, keys),
        "shown_recommendations": shown,
    }
    return counts, lowest


def lock_sessions(connection: Connection, keys: list[int]) -> None:
    """Keep new events of sessions from being stored until the transaction ends: they would go with them.

    Before events are removed: who stores them again holds the sessions and waits for the removal.
    """
    for first in range(0, len(keys), _AT_ONCE):
        wanted = sessions.c.id.in_(keys[first : first + _AT_ONCE])
        connection.execute(select(sessions.c.id).where(wanted).order_by(sessions.c.id).with_for_update())


def delete_unused(connection: Connection, keys: list[int]) -> int:
    """Remove those of the (locked) sessions of which nothing is left; how many went.

    One that is a user's own stays, for the events to come, and one in which lists were shown.
    """
    names = (table.c.session_id for table in (interactions, session_owners, shown_recommendations))
    unused = [~exists().where(name == sessions.c.id) for name in names]
    return connection.execute(delete(sessions).where(sessions.c.id.in_(keys), *unused)).rowcount


def oldest(connection: Connection, before: int, limit: int) -> list[AnyRow]:
    """`(id, session_id)` of up to `limit` of the oldest interactions before a time."""
    old = select(interactions.c.id, interactions.c.session_id).where(interactions.c.occurred_at < before)
    return list(connection.execute(old.order_by(interactions.c.occurred_at).limit(limit)))


def delete_interactions(connection: Connection, keys: list[int]) -> int:
    """Remove interactions, locked in the order of their keys; how many went. Their sessions are locked."""
    chosen = interactions.c.id.in_(keys)
    connection.execute(select(interactions.c.id).where(chosen).order_by(interactions.c.id).with_for_update())
    return connection.execute(delete(interactions).where(chosen)).rowcount


def _delete_shown(connection: Connection, whose: Any) -> int:
    return connection.execute(delete(shown_recommendations).where(whose)).rowcount


def _lowest(connection: Connection, whose: Any) -> int | None:
    lowest: int | None = connection.execute(select(func.min(interactions.c.id)).where(whose)).scalar_one()
    return lowest


def holding(connection: Connection, user: int | None, lowest: int | None) -> list[str]:
    """Versions with artifacts that know a user's key, or learned from interactions of this key and above."""
    learned = []
    if user is not None:
        learned.append(or_(models.c.users_to.is_(None), models.c.users_to >= user))
    if lowest is not None:
        learned.append(models.c.trained_to >= lowest)
    if not learned:
        return []
    chosen = select(models.c.version).where(models.c.pruned_at.is_(None), or_(*learned))
    return list(connection.execute(chosen.order_by(models.c.created_at, models.c.version)).scalars())


def insert_receipt(connection: Connection, values: dict[str, Any]) -> None:
    """Enter a receipt."""
    connection.execute(insert(receipts).values(values))


def insert_held(connection: Connection, receipt_id: str, version: str, deadline: int) -> None:
    """Note that a version holds what a receipt says is removed."""
    values = {"receipt_id": receipt_id, "version": version, "deadline": deadline}
    connection.execute(insert(receipt_versions).values(values))


def find_receipt(connection: Connection, receipt_id: str) -> AnyRow | None:
    """One receipt."""
    return connection.execute(select(receipts).where(receipts.c.receipt_id == receipt_id)).first()


def list_receipts(connection: Connection, before: int | None, limit: int) -> list[AnyRow]:
    """Receipts, newest first, beginning before a revision."""
    statement = select(receipts).order_by(receipts.c.revision.desc()).limit(limit)
    if before is not None:
        statement = statement.where(receipts.c.revision < before)
    return list(connection.execute(statement))


def receipts_after(connection: Connection, revision: int) -> list[AnyRow]:
    """`(receipt_id, deadline)` of the receipts above a revision."""
    chosen = select(receipts.c.receipt_id, receipts.c.deadline).where(receipts.c.revision > revision)
    return list(connection.execute(chosen.order_by(receipts.c.revision)))


def versions_of(connection: Connection, receipt_ids: list[str]) -> list[AnyRow]:
    """`(receipt_id, version, deadline, released_at)` of receipts, in the order of the versions' making."""
    chosen = (
        select(receipt_versions)
        .join(models, models.c.version == receipt_versions.c.version)
        .where(receipt_versions.c.receipt_id.in_(receipt_ids))
        .order_by(models.c.created_at, models.c.version)
    )
    return list(connection.execute(chosen))


def active_deadline(connection: Connection) -> int | None:
    """The first deadline by which the active version must be replaced; None if it holds nobody erased."""
    chosen = (
        select(func.min(receipt_versions.c.deadline))
        .join(models, models.c.version == receipt_versions.c.version)
        .where(models.c.active, receipt_versions.c.released_at.is_(None))
    )
    deadline: int | None = connection.execute(chosen).scalar_one()
    return deadline


def first_request(connection: Connection, version: str, now: int) -> int | None:
    """When the first erasure was asked for whose deadline is over and which a version holds."""
    chosen = (
        select(func.min(receipts.c.requested_at))
        .join(receipt_versions, receipt_versions.c.receipt_id == receipts.c.receipt_id)
        .where(
            receipt_versions.c.version == version,
            receipt_versions.c.released_at.is_(None),
            receipt_versions.c.deadline <= now,
        )
    )
    asked: int | None = connection.execute(chosen).scalar_one()
    return asked


def overdue(connection: Connection, now: int) -> list[str]:
    """Versions that are not served and that hold somebody erased whose deadline is over."""
    return _held(
        connection, ~models.c.active, models.c.pruned_at.is_(None), receipt_versions.c.deadline <= now
    )


def pruned_unreleased(connection: Connection) -> list[str]:
    """Versions that hold somebody erased and whose artifacts are to be gone, or are gone already."""
    return _held(connection, models.c.pruned_at.is_not(None))


def _held(connection: Connection, *conditions: Any) -> list[str]:
    chosen = (
        select(models.c.version)
        .join(receipt_versions, receipt_versions.c.version == models.c.version)
        .where(receipt_versions.c.released_at.is_(None), *conditions)
    )
    return sorted(connection.execute(chosen.distinct()).scalars())


def release(connection: Connection, version: str, now: int) -> None:
    """Note in all receipts that a version's artifacts are gone."""
    held = (receipt_versions.c.version == version) & receipt_versions.c.released_at.is_(None)
    connection.execute(update(receipt_versions).where(held).values(released_at=now))
