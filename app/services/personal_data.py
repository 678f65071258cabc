"""All that is held of a person: a beginning, and lists that are read page by page."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import ModelNotReady, NotFound
from app.db.queries import corrections, personal_data, shown, users
from app.services.corrections import answer_of as correction_of
from app.services.customers import judge_customer
from app.services.finite import finite
from app.services.interactions import answer_of as event_of
from app.services.live import Live
from app.services.predictions import foretell
from app.services.segments import memberships

AT_ONCE: Final = 2_000
"""Rows of a page: what is held in memory of somebody with a long history."""

Place = tuple[int, ...] | None


class Person(NamedTuple):
    """Whose data are read."""

    key: int
    user_id: str


class Part(NamedTuple):
    """Some entries of a list, and where it goes on; None: that was all."""

    entries: list[dict[str, Any]]
    after: Place


def begin(connection: Connection, live: Live, user_id: str) -> tuple[Person, dict[str, Any]]:
    """The person, and what is held beside the lists; raises NotFound."""
    row = users.find_user(connection, user_id)
    if row is None:
        raise NotFound(f"There is no user '{user_id}'.")
    return Person(row.id, user_id), {
        "user_id": user_id,
        "exported_at": rfc3339(now_ms()),
        "attributes": row.attributes,
        "created_at": rfc3339(row.created_at),
        "updated_at": rfc3339(row.updated_at),
        "learned": _learned(connection, live, user_id),
    }


def _learned(connection: Connection, live: Live, user_id: str) -> dict[str, Any] | None:
    try:
        customer = judge_customer(connection, live, user_id)
    except ModelNotReady:
        return None
    table = customer.judged.features
    return {
        "model_version": customer.model.name,
        "as_of": rfc3339(customer.as_of),
        "segments": memberships(connection, customer)[0],
        "predictions": foretell(customer),
        "features": {
            name: finite(value) for name, value in zip(table.names, table.values[0].tolist(), strict=True)
        },
    }


def _relations(connection: Connection, person: Person, after: Place) -> Part:
    place = (0, 0) if after is None else (after[0], after[1])
    rows = personal_data.ties_of_user(connection, person.key, place, AT_ONCE)
    entries = [
        {
            "user_id": row.one,
            "other_id": row.other,
            "kind": row.kind,
            "weight": row.weight,
            "updated_at": rfc3339(row.updated_at),
        }
        for row in rows
    ]
    return Part(entries, (rows[-1].user_id, rows[-1].other_id) if len(rows) == AT_ONCE else None)


def _corrections(connection: Connection, person: Person, after: Place) -> Part:
    rows = corrections.list_corrections(connection, person.key, (after or (0,))[0], AT_ONCE)
    entries = [correction_of(row, person.user_id) for row in rows]
    return Part(entries, (rows[-1].id,) if len(rows) == AT_ONCE else None)


def _sessions(connection: Connection, person: Person, after: Place) -> Part:
    rows = personal_data.sessions_of_user(connection, person.key, (after or (0,))[0], AT_ONCE)
    entries = [{"session_id": row.external_id, "own": row.owner is not None} for row in rows]
    return Part(entries, (rows[-1].id,) if len(rows) == AT_ONCE else None)


def _interactions(connection: Connection, person: Person, after: Place) -> Part:
    before = None if after is None else (after[0], after[1])
    rows = personal_data.events_of_user(connection, person.key, before, AT_ONCE)
    place = (rows[-1].occurred_at, rows[-1].id) if len(rows) == AT_ONCE else None
    return Part([_event(row) for row in rows], place)


def _anonymous(connection: Connection, person: Person, after: Place) -> Part:
    before = None if after is None else (after[0], after[1], after[2])
    rows = personal_data.anonymous_events(connection, person.key, before, AT_ONCE)
    last = rows[-1] if len(rows) == AT_ONCE else None
    place = None if last is None else (last.session_id, last.occurred_at, last.id)
    return Part([_event(row) for row in rows], place)


def _event(row: Any) -> dict[str, Any]:
    return event_of(row) | {"received_at": rfc3339(row.received_at)}


def _shown(connection: Connection, person: Person, after: Place) -> Part:
    rows = shown.shown_of_user(connection, person.key, (after or (0,))[0], AT_ONCE)
    entries = [
        {name: value for name, value in row.items() if name != "key"} | {"shown_at": rfc3339(row["shown_at"])}
        for row in rows
    ]
    return Part(entries, (rows[-1]["key"],) if len(rows) == AT_ONCE else None)


LISTS: Final[dict[str, Callable[[Connection, Person, Place], Part]]] = {
    "relations": _relations,
    "corrections": _corrections,
    "sessions": _sessions,
    "interactions": _interactions,
    "anonymous_interactions": _anonymous,
    "shown_recommendations": _shown,
}
"""The lists in the order in which they are sent; each is read from a place on."""
