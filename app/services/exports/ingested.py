"""What was ingested, in the wire format: an import takes it back."""

from collections.abc import Iterator
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from app.core.clock import rfc3339
from app.db.queries import exports
from app.db.queries.items import FIELDS
from app.db.queries.snapshot import table_sizes
from app.services.exports.table import Object, Table, frequent_names
from app.services.interactions import key_of_facts

_ITEM_FIELDS: Final = tuple(name for name in FIELDS if name != "attributes")
_ITEM_TIMES: Final = ("available_from", "expires_at")
_INTERACTION_FIELDS: Final = (
    *("user_id", "session_id", "item_id", "event", "value", "quantity", "price", "currency"),
    *("order_id", "recommendation_id"),
)


def users_table(connection: Connection, flat: bool) -> Table:
    """All users; `flat`: their attributes are going to be columns."""
    notes: list[str] = []
    names = frequent_names(exports.stream_user_attributes(connection), notes) if flat else []

    def rows() -> Iterator[dict[str, Any]]:
        for row in exports.stream_users(connection):
            user = {"user_id": row.external_id, "created_at": rfc3339(row.created_at)}
            yield user | _object("attributes", row.attributes)

    total = table_sizes(connection)["users"]
    return Table(("user_id", "created_at"), rows(), total, {"attributes": Object("attribute", names)}, notes)


def items_table(connection: Connection, flat: bool) -> Table:
    """All items. Deleted ones that interactions name come as out of stock: an import would revive them."""
    notes: list[str] = []
    names = frequent_names(exports.stream_item_attributes(connection), notes) if flat else []
    in_use = exports.deleted_in_use(connection)
    if in_use:
        notes.append(f"Deleted items that interactions name, written as out of stock: {len(in_use):,}.")

    def rows() -> Iterator[dict[str, Any]]:
        for row in exports.stream_items(connection):
            if row.deleted_at is not None and row.id not in in_use:
                continue
            item = {name: value for name in _ITEM_FIELDS if (value := getattr(row, name)) not in (None, [])}
            item |= {name: rfc3339(item[name]) for name in _ITEM_TIMES if name in item}
            if row.deleted_at is not None:
                item["availability"] = "out_of_stock"
            yield {"item_id": row.external_id, **item} | _object("attributes", row.attributes)

    total = table_sizes(connection)["items"]
    objects = {"attributes": Object("attribute", names)}
    return Table(("item_id", *_ITEM_FIELDS), rows(), total, objects, notes)


def interactions_table(connection: Connection) -> Table:
    """All interactions, in the order in which they came."""

    def rows() -> Iterator[dict[str, Any]]:
        for row in exports.stream_interactions(connection):
            event = {name: value for name in _INTERACTION_FIELDS if (value := getattr(row, name)) is not None}
            event["occurred_at"] = rfc3339(row.occurred_at)
            if row.event_id is not None:
                event["event_id"] = row.event_id
            else:
                facts = (row.user_id, row.session_id, row.item_id, row.event, row.occurred_at, row.order_id)
                key = bytes(row.event_key)
                # Lines of an order and events without a time may share all their facts: each stays itself.
                if key != key_of_facts(*facts):
                    event["event_id"] = key.hex()
            yield event | _object("context", row.context)

    total = table_sizes(connection)["interactions"]
    return Table((*_INTERACTION_FIELDS, "occurred_at", "event_id", "context"), rows(), total)


def _object(name: str, given: dict[str, Any] | None) -> dict[str, Any]:
    """An object of the shop's own, its names in order: engines keep them in orders of their own."""
    if not given:
        return {}
    return {name: orjson.loads(orjson.dumps(given, option=orjson.OPT_SORT_KEYS))}
