"""Items: one, many, deleted."""

from typing import Any

import orjson
from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import InputError, InvalidInput, NotFound
from app.db.queries import items
from app.db.rows import AnyRow
from app.schemas.items import ItemEntry, ItemFields, ItemPatch
from app.services.paging import decode_cursor, page
from app.services.users import merged_attributes

_JSON = ("categories", "tags", "attributes")
_TIMES = ("available_from", "expires_at")
_CLEARED: dict[str, Any] = {"categories": [], "tags": [], "availability": "in_stock"}


def put_item(connection: Connection, item_id: str, fields: ItemFields) -> dict[str, Any]:
    """Create an item or replace all that is known of it."""
    put_items(connection, [ItemEntry.model_construct(item_id=item_id, **dict(fields))])
    return get_item(connection, item_id)


def put_items(connection: Connection, entries: list[ItemEntry]) -> None:
    """Create or replace many items."""
    items.upsert_items(
        connection,
        [
            (entry.item_id, *(_stored(getattr(entry, name), name) for name in items.FIELDS))
            for entry in entries
        ],
        now_ms(),
    )


def patch_item(connection: Connection, item_id: str, patch: ItemPatch) -> dict[str, Any]:
    """Change an item; raises NotFound."""
    row = items.lock_item(connection, item_id)
    if row is None:
        raise _unknown(item_id)
    values: dict[str, Any] = {"updated_at": now_ms()}
    for name in patch.model_fields_set:
        value = getattr(patch, name)
        if name == "attributes":
            value = merged_attributes(row.attributes, value)
        elif value is None:
            value = _CLEARED.get(name)
        values[name] = value
    starts = values.get("available_from", row.available_from)
    ends = values.get("expires_at", row.expires_at)
    if starts is not None and ends is not None and ends <= starts:
        raise InvalidInput(
            "expires_at must come after available_from.",
            [InputError("/expires_at", "expires_too_early", "expires_at must come after available_from")],
        )
    items.update_item(connection, row.id, values)
    return get_item(connection, item_id)


def get_item(connection: Connection, item_id: str) -> dict[str, Any]:
    """One item; raises NotFound."""
    row = items.find_item(connection, item_id)
    if row is None:
        raise _unknown(item_id)
    return answer(row)


def list_items(connection: Connection, cursor: str | None, limit: int) -> dict[str, Any]:
    """A page of items, in the order in which they were first seen."""
    (after,) = decode_cursor(cursor, int) or (0,)
    found = page(items.list_items(connection, after, limit + 1), limit, lambda row: [row.id])
    return {"items": [answer(row) for row in found.rows], "next_cursor": found.next_cursor}


def delete_item(connection: Connection, item_id: str) -> None:
    """Take an item out of the catalogue; its interactions stay as evidence. Raises NotFound."""
    row = items.lock_item(connection, item_id)
    if row is None:
        raise _unknown(item_id)
    now = now_ms()
    items.update_item(connection, row.id, {"deleted_at": now, "updated_at": now})


def answer(row: AnyRow) -> dict[str, Any]:
    """An item's row on the wire."""
    fields = {name: getattr(row, name) for name in items.FIELDS}
    for name in _TIMES:
        fields[name] = None if fields[name] is None else rfc3339(fields[name])
    return {
        "item_id": row.external_id,
        **fields,
        "created_at": rfc3339(row.created_at),
        "updated_at": rfc3339(row.updated_at),
    }


def _stored(value: Any, name: str) -> Any:
    return orjson.dumps(value).decode() if name in _JSON else value


def _unknown(item_id: str) -> NotFound:
    return NotFound(f"There is no item '{item_id}'.")
