"""Corrections of taste, and the events that they take out of it."""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from app.db.rows import AnyRow
from app.db.tables import corrected_interactions, corrections, event_names, interactions, items

NOT_INTERESTED = "not_interested"


def taken_out() -> ColumnElement[bool]:
    """Whether a row of `interactions` says nothing of its user's taste."""
    return exists().where(corrected_interactions.c.interaction_id == interactions.c.id)


def matching_interactions(
    connection: Connection, user: int, event_id: str | None, item: int | None, event: int | None
) -> list[AnyRow]:
    """`(id, item_id)` of a user's events that have all that is given.

    An event without an id of the shop's own is known by its key in hexadecimal, as it is answered. They are
    kept from being removed until the transaction ends.
    """
    chosen = select(interactions.c.id, interactions.c.item_id).where(interactions.c.user_id == user)
    if event_id is not None:
        named = interactions.c.event_id == event_id
        key = _key_of(event_id)
        if key is not None:
            named = or_(named, (interactions.c.event_key == key) & interactions.c.event_id.is_(None))
        chosen = chosen.where(named)
    if item is not None:
        chosen = chosen.where(interactions.c.item_id == item)
    if event is not None:
        chosen = chosen.where(interactions.c.event == event)
    held = chosen.order_by(interactions.c.id).with_for_update(read=True, key_share=True)
    return list(connection.execute(held))


def event_code(connection: Connection, name: str) -> int | None:
    """Code of an event's name; None if there never was such an event."""
    code: int | None = connection.execute(
        select(event_names.c.id).where(event_names.c.name == name)
    ).scalar_one_or_none()
    return code


def _key_of(event_id: str) -> bytes | None:
    try:
        key = bytes.fromhex(event_id)
    except ValueError:
        return None
    return key if len(key) == 16 and key.hex() == event_id else None


def find_same(connection: Connection, values: dict[str, Any]) -> int | None:
    """Key of a user's correction of the same kind for the same events."""
    same = [corrections.c[name].is_not_distinct_from(value) for name, value in values.items()]
    found: int | None = connection.execute(select(corrections.c.id).where(*same)).scalar_one_or_none()
    return found


def insert_correction(connection: Connection, values: dict[str, Any]) -> int:
    """Store a correction; its key."""
    stored = insert(corrections).values(values).returning(corrections.c.id)
    return int(connection.execute(stored).scalar_one())


def update_note(connection: Connection, correction: int, note: str) -> None:
    """Say something else of a correction."""
    connection.execute(update(corrections).where(corrections.c.id == correction).values(note=note))


def take_out(connection: Connection, correction: int, interaction_keys: list[int]) -> None:
    """Let a correction have events, besides those that it has."""
    has = select(corrected_interactions.c.interaction_id)
    known = set(connection.execute(has.where(corrected_interactions.c.correction_id == correction)).scalars())
    new = [
        {"correction_id": correction, "interaction_id": key} for key in interaction_keys if key not in known
    ]
    if new:
        connection.execute(insert(corrected_interactions), new)


def find_correction(connection: Connection, user: int, correction: int) -> AnyRow | None:
    """One of a user's corrections, as `list_corrections` gives them."""
    chosen = _corrections(user).where(corrections.c.id == correction)
    return connection.execute(chosen).first()


def list_corrections(connection: Connection, user: int, after: int, limit: int) -> list[AnyRow]:
    """A user's corrections with names and number of events, in order of their keys, beginning after one."""
    chosen = _corrections(user).where(corrections.c.id > after)
    return list(connection.execute(chosen.order_by(corrections.c.id).limit(limit)))


def _corrections(user: int) -> Select[Any]:
    number = (
        select(func.count())
        .select_from(corrected_interactions)
        .where(corrected_interactions.c.correction_id == corrections.c.id)
        .scalar_subquery()
    )
    return (
        select(
            corrections,
            items.c.external_id.label("item_external_id"),
            event_names.c.name.label("event_name"),
            number.label("interactions"),
        )
        .join(items, items.c.id == corrections.c.item_id)
        .outerjoin(event_names, event_names.c.id == corrections.c.event)
        .where(corrections.c.user_id == literal(user))
    )


def delete_correction(connection: Connection, user: int, correction: int) -> bool:
    """Take a correction back: its events count again unless another one has them; whether there was one."""
    gone = delete(corrections).where(corrections.c.user_id == user, corrections.c.id == correction)
    return connection.execute(gone).rowcount > 0
