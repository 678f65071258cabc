"""API keys: made, listed, revoked and checked."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import Forbidden, NotFound, Unauthorized
from app.db.queries import keys
from app.db.rows import AnyRow
from app.schemas.keys import KeyRequest

ALL_SCOPES = frozenset({"track", "ingest", "query", "admin"})
_OPEN_TO = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Caller:
    """What a request shows of who makes it."""

    secret: str | None
    host: str | None
    """Address of the peer; None where the server does not know."""
    asked_host: str
    """The `Host` header, without the port."""
    origin: str | None
    """The `Origin` header: which page a browser sends the request from."""


def create_key(connection: Connection, request: KeyRequest) -> dict[str, Any]:
    """Make a key; the answer is the only place where its secret is shown."""
    secret = "vt_" + secrets.token_urlsafe(32)
    secret_hash = _hash(secret)
    values = {
        "key_id": "key_" + secrets.token_hex(8),
        "name": request.name,
        "secret_hash": secret_hash,
        "scopes": sorted(set(request.scopes)),
        "created_at": now_ms(),
        "expires_at": request.expires_at,
        "revoked_at": None,
    }
    keys.insert_key(connection, values)
    created = keys.find_by_hash(connection, secret_hash)
    assert created is not None  # noqa: S101 (written in this transaction)
    return _answer(created) | {"key": secret}


def list_keys(connection: Connection) -> dict[str, Any]:
    """All keys, revoked ones included, without their secrets."""
    return {"keys": [_answer(row) for row in keys.list_keys(connection)]}


def revoke_key(connection: Connection, key_id: str) -> None:
    """Make a key worthless at once; raises NotFound."""
    if not keys.revoke_key(connection, key_id, now_ms()):
        raise NotFound(f"There is no key '{key_id}' that could be revoked.")


def authorize(
    connection: Connection, caller: Caller, needed: frozenset[str], admin_key: str | None
) -> frozenset[str]:
    """The scopes of the caller; raises Unauthorized or Forbidden unless one of the needed is among them.

    Until the first key exists, calls from this machine need none.
    """
    scopes = _scopes(connection, caller, admin_key)
    if scopes is None:
        raise Unauthorized("The key is not valid: unknown, expired or revoked.")
    if "admin" not in scopes and not scopes & needed:
        raise Forbidden(
            f"The key's scopes ({', '.join(sorted(scopes))}) do not allow this call: "
            f"it needs {' or '.join(sorted(needed))}."
        )
    return scopes


def _scopes(connection: Connection, caller: Caller, admin_key: str | None) -> frozenset[str] | None:
    if caller.secret is None:
        return _open_scopes(connection, caller, admin_key)
    if admin_key is not None and hmac.compare_digest(_hash(caller.secret), _hash(admin_key)):
        return ALL_SCOPES
    row = keys.find_by_hash(connection, _hash(caller.secret))
    if row is None or row.revoked_at is not None:
        return None
    if row.expires_at is not None and row.expires_at <= now_ms():
        return None
    return frozenset(row.scopes)


def _open_scopes(connection: Connection, caller: Caller, admin_key: str | None) -> frozenset[str]:
    if admin_key is not None or keys.any_key(connection):
        raise Unauthorized("Give a key: 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.")
    # A page of another site that the operator looks at, or a proxy in front, must not get in by this door.
    local = caller.host in _OPEN_TO and caller.asked_host in _OPEN_TO
    if not local or (caller.origin is not None and not _is_local_origin(caller.origin)):
        raise Unauthorized(
            "No key exists yet, so only calls from this machine are answered: "
            "make the first key there with 'vitrine keys create'."
        )
    return ALL_SCOPES


def _is_local_origin(origin: str) -> bool:
    host = origin.partition("://")[2].rpartition(":")[0] or origin.partition("://")[2]
    return host.strip("[]") in _OPEN_TO


def _hash(secret: str) -> bytes:
    # The secrets are 256 random bits: a fast hash is as hard to invert as a slow one.
    return hashlib.sha256(secret.encode()).digest()


def _answer(row: AnyRow) -> dict[str, Any]:
    return {
        "key_id": row.key_id,
        "name": row.name,
        "scopes": list(row.scopes),
        "created_at": rfc3339(row.created_at),
        "expires_at": None if row.expires_at is None else rfc3339(row.expires_at),
        "revoked_at": None if row.revoked_at is None else rfc3339(row.revoked_at),
    }
