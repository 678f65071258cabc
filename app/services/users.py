"""Users and their relations: one, many."""

from typing import Any

import orjson
from pydantic_core import PydanticCustomError
from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import InputError, InvalidInput, NotFound
from app.db.queries import identities, relations, users
from app.db.rows import AnyRow
from app.schemas.fields import storable
from app.schemas.users import RelationFields, UserEntry, UserFields, UserPatch
from app.services.paging import Page, decode_cursor, page


def put_user(connection: Connection, user_id: str, fields: UserFields) -> dict[str, Any]:
    """Create a user or replace all that is known of it; `created_at` is kept if not given."""
    put_users(connection, [UserEntry.model_construct(user_id=user_id, **dict(fields))])
    return get_user(connection, user_id)


def put_users(connection: Connection, entries: list[UserEntry]) -> None:
    """Create or replace many users."""
    now = now_ms()
    users.upsert_users(
        connection,
        [
            (
                entry.user_id,
                orjson.dumps(entry.attributes).decode() if entry.attributes else "{}",
                entry.created_at,
                now,
            )
            for entry in entries
        ],
    )


def patch_user(connection: Connection, user_id: str, patch: UserPatch) -> dict[str, Any]:
    """Change a user; raises NotFound."""
    row = users.lock_user(connection, user_id)
    if row is None:
        raise _unknown(user_id)
    values: dict[str, Any] = {"updated_at": now_ms()}
    if "attributes" in patch.model_fields_set:
        values["attributes"] = merged_attributes(row.attributes, patch.attributes)
    if patch.created_at is not None:
        values["created_at"] = patch.created_at
    users.update_user(connection, row.id, values)
    return get_user(connection, user_id)


def get_user(connection: Connection, user_id: str) -> dict[str, Any]:
    """One user; raises NotFound."""
    row = users.find_user(connection, user_id)
    if row is None:
        raise _unknown(user_id)
    return _answer(row)


def list_users(connection: Connection, cursor: str | None, limit: int) -> dict[str, Any]:
    """A page of users, in the order in which they were first seen."""
    (after,) = decode_cursor(cursor, int) or (0,)
    found: Page = page(users.list_users(connection, after, limit + 1), limit, lambda row: [row.id])
    return {"users": [_answer(row) for row in found.rows], "next_cursor": found.next_cursor}


def put_relation(
    connection: Connection, user_id: str, other_id: str, fields: RelationFields
) -> dict[str, Any]:
    """Write a tie; both users are created where unknown."""
    if user_id == other_id:
        raise InvalidInput(
            "A user cannot be related to itself.",
            [InputError("/path/other_id", "same_user", "other_id is the same as user_id")],
        )
    now = now_ms()
    keys = identities.user_keys(connection, [user_id, other_id], now)
    relations.upsert_relation(connection, keys[user_id], keys[other_id], fields.kind, fields.weight, now)
    return {
        "user_id": user_id,
        "other_id": other_id,
        "kind": fields.kind,
        "weight": fields.weight,
        "updated_at": rfc3339(now),
    }


def delete_relation(connection: Connection, user_id: str, other_id: str) -> None:
    """Remove a tie; raises NotFound."""
    user, other = users.user_key(connection, user_id), users.user_key(connection, other_id)
    if user is None or other is None or not relations.delete_relation(connection, user, other):
        raise NotFound(f"User '{user_id}' has no relation to '{other_id}'.")


def list_relations(connection: Connection, user_id: str, cursor: str | None, limit: int) -> dict[str, Any]:
    """A page of a user's ties; raises NotFound."""
    key = users.user_key(connection, user_id)
    if key is None:
        raise _unknown(user_id)
    (after,) = decode_cursor(cursor, int) or (0,)
    found = page(
        relations.list_relations(connection, key, after, limit + 1), limit, lambda row: [row.other_id]
    )
    return {
        "relations": [
            {
                "user_id": user_id,
                "other_id": row.external_id,
                "kind": row.kind,
                "weight": row.weight,
                "updated_at": rfc3339(row.updated_at),
            }
            for row in found.rows
        ],
        "next_cursor": found.next_cursor,
    }


def merged_attributes(old: dict[str, Any], patch: dict[str, Any] | None) -> dict[str, Any]:
    """Attributes after a patch; raises InvalidInput if they have become more than may be stored."""
    try:
        return storable(merged(old, patch))
    except PydanticCustomError as error:
        place = InputError("/attributes", error.type, error.message())
        raise InvalidInput(f"{place.detail} at /attributes.", [place]) from None


def merged(old: dict[str, Any], patch: dict[str, Any] | None) -> dict[str, Any]:
    """A JSON merge patch (RFC 7396) of one object: null removes; null for the whole clears it."""
    if patch is None:
        return {}
    result = dict(old)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            before = result.get(name)
            result[name] = merged(before if isinstance(before, dict) else {}, value)
        else:
            result[name] = value
    return result


def _answer(row: AnyRow) -> dict[str, Any]:
    return {
        "user_id": row.external_id,
        "attributes": row.attributes,
        "created_at": rfc3339(row.created_at),
        "updated_at": rfc3339(row.updated_at),
    }


def _unknown(user_id: str) -> NotFound:
    return NotFound(f"There is no user '{user_id}'.")
