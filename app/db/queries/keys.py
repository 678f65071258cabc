"""API keys, by the hash of their secret."""

from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Text, bindparam, cast, insert, select, update

from app.db.prepared import Prepared
from app.db.rows import AnyRow
from app.db.tables import api_keys


def insert_key(connection: Connection, values: dict[str, Any]) -> None:
    """Store a new key."""
    connection.execute(insert(api_keys).values(values))


class HeldKey(NamedTuple):
    """What a key allows, and until when."""

    key_id: str
    secret_hash: bytes
    scopes: list[str]
    expires_at: int | None
    revoked_at: int | None


def find_by_hash(connection: Connection, secret_hash: bytes) -> HeldKey | None:
    """The key with this hash, revoked and expired ones included."""
    found = _BY_HASH.rows(connection, secret_hash=secret_hash)
    for key_id, stored, scopes, expires_at, revoked_at in found:
        return HeldKey(key_id, bytes(stored), orjson.loads(scopes), expires_at, revoked_at)
    return None


_BY_HASH = Prepared(
    select(
        api_keys.c.key_id,
        api_keys.c.secret_hash,
        cast(api_keys.c.scopes, Text),
        api_keys.c.expires_at,
        api_keys.c.revoked_at,
    ).where(api_keys.c.secret_hash == bindparam("secret_hash"))
)


def find_key(connection: Connection, key_id: str) -> AnyRow | None:
    """The key with this id, revoked and expired ones included."""
    return connection.execute(select(api_keys).where(api_keys.c.key_id == key_id)).first()


def lock_key(connection: Connection, key_id: str) -> AnyRow | None:
    """The same, which no other transaction can change until the end of this one."""
    statement = select(api_keys).where(api_keys.c.key_id == key_id).with_for_update()
    return connection.execute(statement).first()


def set_successor(connection: Connection, key_id: str, successor: str, expires_at: int) -> None:
    """Name the key that takes a key's place, and when the key ends."""
    statement = update(api_keys).where(api_keys.c.key_id == key_id)
    connection.execute(statement.values(successor=successor, expires_at=expires_at))


def any_key(connection: Connection) -> bool:
    """Whether a key was ever made."""
    return _ANY.value(connection) is not None


_ANY = Prepared(select(api_keys.c.key_id).limit(1))


def list_keys(connection: Connection) -> list[AnyRow]:
    """All keys, oldest first."""
    return list(connection.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.key_id)))


def revoke_key(connection: Connection, key_id: str, now: int) -> bool:
    """Revoke a key; whether there was one that was not revoked yet."""
    statement = (
        update(api_keys)
        .where(api_keys.c.key_id == key_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return connection.execute(statement).rowcount > 0
