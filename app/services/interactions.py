"""Interactions: stored once each, in bulk."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson
import structlog
from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import InvalidInput, NotFound
from app.core.events import DEFAULT_WEIGHTS
from app.db.queries import identities, interactions, merging, users
from app.db.rows import AnyRow
from app.schemas.interactions import Interaction, Order
from app.services.paging import decode_cursor, page

log = structlog.get_logger(__name__)

MAX_EVENT_NAMES = 1_000
"""Distinct names of events that one shop may use."""


@dataclass(frozen=True)
class Recorded:
    """What became of a batch, entry by entry."""

    event_ids: list[str]
    accepted: list[bool]
    """False: a duplicate."""
    warnings: list[str]


def record(
    connection: Connection,
    entries: Sequence[Interaction],
    event_keys: Sequence[bytes] | None = None,
    public: bool = False,
) -> Recorded:
    """Store interactions, creating the users, sessions and items that they name for the first time.

    `event_keys` says what identifies each, where it is not what the entry says of itself. Those of a `public`
    key have ids of their own: nobody takes the shop's ids ahead of it.

    Raises InvalidInput if the shop would come to use more than MAX_EVENT_NAMES names of events.
    """
    now = now_ms()
    codes, new_names = identities.event_codes(connection, {entry.event for entry in entries})
    if len(codes) > MAX_EVENT_NAMES:
        raise InvalidInput(
            f"More than {MAX_EVENT_NAMES} names of events: an event's name is its kind, not an id."
        )
    user_keys = identities.user_keys(connection, _named(entries, "user_id"), now)
    merging.hold_owners(connection, _named([e for e in entries if e.user_id is None], "session_id"))
    session_keys = identities.session_keys(connection, _named(entries, "session_id"))
    item_keys = identities.item_keys(connection, _named(entries, "item_id"), now)
    rows = []
    for place, entry in enumerate(entries):
        occurred_at = now if entry.occurred_at is None else entry.occurred_at
        rows.append(
            (
                event_keys[place] if event_keys is not None else _event_key(entry, occurred_at, public),
                entry.event_id,
                None if entry.user_id is None else user_keys[entry.user_id],
                None if entry.session_id is None else session_keys[entry.session_id],
                None if entry.item_id is None else item_keys[entry.item_id],
                codes[entry.event],
                entry.value,
                entry.quantity,
                entry.price,
                entry.currency,
                entry.order_id,
                entry.recommendation_id,
                orjson.dumps(entry.context).decode() if entry.context else None,
                occurred_at,
                now,
            )
        )
    new = interactions.insert_interactions(connection, rows)
    accepted = []
    for row in rows:
        accepted.append(row[0] in new)
        new.discard(row[0])
    return Recorded(
        [row[1] or row[0].hex() for row in rows],
        accepted,
        _warnings(name for name in new_names if name not in DEFAULT_WEIGHTS),
    )


def record_order(connection: Connection, order: Order) -> dict[str, Any]:
    """Store an order as one purchase for each line; an order that is known already changes nothing."""
    keys = [_digest(f"order\x1f{order.order_id}\x1f{number}") for number in range(len(order.items))]
    if interactions.event_key_exists(connection, keys[0]):
        return {"order_id": order.order_id, "status": "duplicate", "lines": 0}
    recorded = record(
        connection,
        [
            Interaction.model_construct(
                user_id=order.user_id,
                session_id=order.session_id,
                item_id=line.item_id,
                event="purchase",
                value=None,
                quantity=line.quantity,
                price=line.price,
                currency=order.currency,
                order_id=order.order_id,
                occurred_at=order.occurred_at,
                event_id=None,
                recommendation_id=order.recommendation_id,
                context=None,
            )
            for line in order.items
        ],
        keys,
    )
    stored = sum(recorded.accepted)
    return {
        "order_id": order.order_id,
        "status": "accepted" if stored else "duplicate",
        "lines": stored,
    }


def list_of_user(connection: Connection, user_id: str, cursor: str | None, limit: int) -> dict[str, Any]:
    """A page of a user's events, newest first; raises NotFound."""
    key = users.user_key(connection, user_id)
    if key is None:
        raise NotFound(f"There is no user '{user_id}'.")
    place = decode_cursor(cursor, int, int)
    before = (place[0], place[1]) if place else None
    found = page(
        interactions.list_of_user(connection, key, before, limit + 1),
        limit,
        lambda row: [row.occurred_at, row.id],
    )
    return {"interactions": [answer_of(row) for row in found.rows], "next_cursor": found.next_cursor}


def answer_of(row: AnyRow) -> dict[str, Any]:
    """A stored event as it is answered."""
    return {
        "event_id": row.event_id or bytes(row.event_key).hex(),
        "session_id": row.session_external_id,
        "item_id": row.item_external_id,
        "event": row.event_name,
        "value": row.value,
        "quantity": row.quantity,
        "price": row.price,
        "currency": row.currency,
        "order_id": row.order_id,
        "recommendation_id": row.recommendation_id,
        "context": row.context,
        "occurred_at": rfc3339(row.occurred_at),
    }


def _named(entries: Sequence[Interaction], field: str) -> set[str]:
    named = {getattr(entry, field) for entry in entries}
    named.discard(None)
    return named


def _event_key(entry: Interaction, occurred_at: int, public: bool) -> bytes:
    """16 bytes that identify the event: by its event_id, by its facts if it is dated, else at random."""
    if entry.event_id is not None:
        return _digest(f"{'public' if public else 'id'}\x1f{entry.event_id}")
    if entry.occurred_at is not None:
        named = (entry.user_id, entry.session_id, entry.item_id)
        return key_of_facts(*named, entry.event, occurred_at, entry.order_id)
    return secrets.token_bytes(16)


def key_of_facts(
    user_id: str | None,
    session_id: str | None,
    item_id: str | None,
    event: str,
    occurred_at: int,
    order_id: str | None,
) -> bytes:
    """What identifies a dated event without an event_id."""
    return _digest(
        f"facts\x1f{user_id or ''}\x1f{session_id or ''}\x1f{item_id or ''}"
        f"\x1f{event}\x1f{occurred_at}\x1f{order_id or ''}"
    )


def _digest(facts: str) -> bytes:
    return blake2b(facts.encode(), digest_size=16).digest()


def _warnings(names: Iterable[str]) -> list[str]:
    found = []
    for name in names:
        found.append(
            f"Event '{name}' is new here; it weighs 0 unless VITRINE_EVENT_WEIGHTS gives it a weight."
        )
        log.warning("new_event_name", event_name=name)
    return found
