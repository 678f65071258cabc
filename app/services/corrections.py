"""Corrections of taste: what happened, but tells nothing of what the person likes."""

from typing import Any

from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import InputError, InvalidInput, NotFound
from app.db.bulk import keys_by_external_id
from app.db.queries import corrections, identities, users
from app.db.queries.corrections import NOT_INTERESTED
from app.db.rows import AnyRow
from app.db.tables import items
from app.schemas.corrections import CorrectionFields
from app.services.paging import decode_cursor, page


def add_correction(
    connection: Connection, user_id: str, wanted: CorrectionFields
) -> tuple[dict[str, Any], bool]:
    """Take the events that fit out of taste; answer the correction, and whether it is new.

    The same again takes in what has happened since, and keeps the old note unless there is one. Who is not
    interested in an item need not have had to do with it, nor be known.

    Raises NotFound where nothing fits, InvalidInput for an event without an item.
    """
    hides = wanted.kind == NOT_INTERESTED and wanted.event_id is None and wanted.event is None
    if hides:
        user = identities.user_keys(connection, [user_id], now_ms(), "FOR UPDATE")[user_id]
    else:
        user = _lock(connection, user_id)
    item, event = _item(connection, wanted.item_id), _event(connection, wanted.event)
    fitting: list[AnyRow] = []
    if wanted.event is None or event is not None:
        fitting = corrections.matching_interactions(connection, user, wanted.event_id, item, event)
    if not fitting and not hides:
        raise NotFound(f"User '{user_id}' has no {_described(wanted)}.")
    if item is None:
        item = fitting[0].item_id
    if item is None:
        raise InvalidInput(
            "An event without an item says nothing of taste.",
            [InputError("/event_id", "no_item", "The event has no item")],
        )
    same = {
        "user_id": user,
        "kind": wanted.kind,
        "item_id": item,
        "event": event,
        "event_id": wanted.event_id,
    }
    known = corrections.find_same(connection, same)
    if known is None:
        rest = {"note": wanted.note, "created_at": now_ms()}
        key = corrections.insert_correction(connection, same | rest)
    else:
        key = known
        if wanted.note is not None:
            corrections.update_note(connection, key, wanted.note)
    corrections.take_out(connection, key, [row.id for row in fitting])
    stored = corrections.find_correction(connection, user, key)
    assert stored is not None  # noqa: S101 (this transaction wrote it and holds its user)
    return answer_of(stored, user_id), known is None


def list_corrections(connection: Connection, user_id: str, cursor: str | None, limit: int) -> dict[str, Any]:
    """A page of a user's corrections, in the order in which they came; raises NotFound."""
    user = users.user_key(connection, user_id)
    if user is None:
        raise _unknown(user_id)
    (after,) = decode_cursor(cursor, int) or (0,)
    found = page(
        corrections.list_corrections(connection, user, after, limit + 1), limit, lambda row: [row.id]
    )
    return {
        "corrections": [answer_of(row, user_id) for row in found.rows],
        "next_cursor": found.next_cursor,
    }


def delete_correction(connection: Connection, user_id: str, correction_id: str) -> None:
    """Take a correction back; raises NotFound."""
    user = _lock(connection, user_id)
    fits = correction_id.isascii() and correction_id.isdigit() and len(correction_id) < 19
    if not fits or not corrections.delete_correction(connection, user, int(correction_id)):
        raise NotFound(f"User '{user_id}' has no correction '{correction_id}'.")


def _lock(connection: Connection, user_id: str) -> int:
    """Key of the user; one correction at a time, so that the same one is not stored twice."""
    row = users.lock_user(connection, user_id)
    if row is None:
        raise _unknown(user_id)
    return int(row.id)


def _item(connection: Connection, item_id: str | None) -> int | None:
    if item_id is None:
        return None
    key = keys_by_external_id(connection, items, [item_id]).get(item_id)
    if key is None:
        raise NotFound(f"There is no item '{item_id}'.")
    return key


def _event(connection: Connection, name: str | None) -> int | None:
    return None if name is None else corrections.event_code(connection, name)


def _described(wanted: CorrectionFields) -> str:
    parts = ["event"]
    if wanted.event_id is not None:
        parts.append(f"'{wanted.event_id}'")
    if wanted.event is not None:
        parts.append(f"of the name '{wanted.event}'")
    if wanted.item_id is not None:
        parts.append(f"with item '{wanted.item_id}'")
    return " ".join(parts)


def answer_of(row: AnyRow, user_id: str) -> dict[str, Any]:
    """A correction as it is answered."""
    return {
        "correction_id": str(row.id),
        "user_id": user_id,
        "kind": row.kind,
        "item_id": row.item_external_id,
        "event": row.event_name,
        "event_id": row.event_id,
        "note": row.note,
        "interactions": row.interactions,
        "created_at": rfc3339(row.created_at),
    }


def _unknown(user_id: str) -> NotFound:
    return NotFound(f"There is no user '{user_id}'.")
