"""All that a list has to know of a user, in one statement: each one is a round trip to a server."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    Integer,
    Select,
    Text,
    bindparam,
    cast,
    literal_column,
    null,
    select,
    union_all,
)

from app.db.prepared import Prepared
from app.db.queries.corrections import NOT_INTERESTED, taken_out
from app.db.tables import corrections, event_names, interactions, revisions, users

_ITEMS, _USER, _CORRECTED, _EVENT = range(4)
"""What a row tells: the counter `items`, the user, an item of a correction, an event."""


@dataclass
class Person:
    """A user as stored at one moment."""

    items_revision: int
    """Of that moment."""
    key: int | None = None
    """None for a user id that nobody has sent before."""
    events: list[tuple[Any, ...]] = field(default_factory=list)
    """Latest events on items, newest first: item_id, name, value, quantity, occurred_at; without those that a
    correction takes out of taste."""
    corrected: list[tuple[int, str]] = field(default_factory=list)
    """Item and kind of each correction."""

    def left_out(self, exclude_seen: bool) -> list[int]:
        """Keys of the items that recommendations leave out because of corrections.

        Always what the user is not interested in; with `exclude_seen` all that was corrected, for events that
        are taken out of taste still tell what the user has seen.
        """
        return [key for key, kind in self.corrected if exclude_seen or kind == NOT_INTERESTED]


def person_of(connection: Connection, external_id: str, most: int) -> Person:
    """A user with at most so many of the latest events."""
    (_, revision, *_), *rows = _PERSON.rows(connection, user=external_id, most=most)
    person = Person(revision)
    for kind, number, name, value, quantity, occurred_at, _ in rows:
        if kind == _EVENT:
            person.events.append((number, name, value, quantity, occurred_at))
        elif kind == _CORRECTED:
            person.corrected.append((number, name))
        else:
            person.key = number
    return person


def _row(kind: int, number: ColumnElement[Any], name: ColumnElement[Any] | None = None) -> Select[Any]:
    """A row that is no event, with the columns of one."""
    said = cast(null(), Text) if name is None else name
    nothing = [cast(null(), Double), cast(null(), Double), cast(null(), BigInteger), cast(null(), BigInteger)]
    return select(literal_column(str(kind)), cast(number, BigInteger), said, *nothing)


def _person() -> Prepared:
    named = users.c.external_id == bindparam("user")
    events = (
        select(
            literal_column(str(_EVENT)).label("kind"),
            interactions.c.item_id.label("number"),
            event_names.c.name,
            interactions.c.value,
            interactions.c.quantity,
            interactions.c.occurred_at,
            interactions.c.id.label("stored"),
        )
        .join(event_names, event_names.c.id == interactions.c.event)
        .where(
            interactions.c.user_id == select(users.c.id).where(named).scalar_subquery(),
            interactions.c.item_id.is_not(None),
            ~taken_out(),
        )
        .order_by(interactions.c.occurred_at.desc(), interactions.c.id.desc())
        .limit(bindparam("most", type_=Integer))
        .subquery()
    )
    rows = union_all(
        select(events),
        _row(_ITEMS, revisions.c.value).where(revisions.c.name == "items"),
        _row(_USER, users.c.id).where(named),
        _row(_CORRECTED, corrections.c.item_id, corrections.c.kind)
        .join(users, users.c.id == corrections.c.user_id)
        .where(named),
    ).subquery()
    return Prepared(select(rows).order_by(rows.c.kind, rows.c.occurred_at.desc(), rows.c.stored.desc()))


_PERSON = _person()
