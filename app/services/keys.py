"""API keys: made, listed, rotated, revoked and checked."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import Conflict, Forbidden, NotFound, Unauthorized
from app.db.queries import keys
from app.db.rows import AnyRow
from app.schemas.keys import KeyRequest, RotationRequest

ALL_SCOPES = frozenset({"track", "ingest", "query", "admin"})
_OPEN_TO = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Access:
    """Who calls, and what they may."""

    actor: str
    """The key's id, `settings` (VITRINE_ADMIN_KEY) or `local` (no key exists yet)."""
    scopes: frozenset[str]
    expires_at: int | None = None
    """When the key ends, ms since the epoch."""

    @property
    def public(self) -> bool:
        """Whether anybody may hold the key: one with the scope `track` alone is in web pages."""
        return self.scopes == {"track"}


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
    return _create(connection, request.name, sorted(set(request.scopes)), request.expires_at)


def rotate_key(connection: Connection, key_id: str, request: RotationRequest) -> dict[str, Any]:
    """Make a successor with the same name, scopes and end; the key itself is valid a while longer.

    Raises NotFound, or Conflict if the key is not valid any more or was rotated already.
    """
    now = now_ms()
    row = keys.lock_key(connection, key_id)
    if row is None:
        raise NotFound(f"There is no key '{key_id}'.")
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        raise Conflict(f"Key '{key_id}' is not valid any more; make a new one.")
    if row.successor is not None:
        raise Conflict(f"Key '{key_id}' was rotated: its successor is '{row.successor}'.")
    until = request.expires_at
    if until is None:
        until = now + request.overlap_seconds * 1000
    if row.expires_at is not None:
        until = min(until, row.expires_at)
    created = _create(connection, row.name, row.scopes, row.expires_at)
    keys.set_successor(connection, key_id, created["key_id"], until)
    replaced = keys.find_key(connection, key_id)
    assert replaced is not None  # noqa: S101 (locked in this transaction)
    return created | {"replaces": _answer(replaced)}


def list_keys(connection: Connection) -> dict[str, Any]:
    """All keys, revoked ones included, without their secrets."""
    return {"keys": [_answer(row) for row in keys.list_keys(connection)]}


def revoke_key(connection: Connection, key_id: str) -> None:
    """Make a key worthless at once; raises NotFound."""
    if not keys.revoke_key(connection, key_id, now_ms()):
        raise NotFound(f"There is no key '{key_id}' that could be revoked.")


def authorize(
    connection: Connection, caller: Caller, needed: frozenset[str], admin_key: str | None
) -> Access:
    """What the caller may; raises Unauthorized, or Forbidden unless one of the needed scopes is among it.

    Until the first key exists, calls from this machine need none.
    """
    access = _access(connection, caller, admin_key)
    if access is None:
        raise Unauthorized("The key is not valid: unknown, expired or revoked.")
    return allowed(access, needed)


def allowed(access: Access, needed: frozenset[str]) -> Access:
    """The access, if one of the needed scopes is among its own; raises Forbidden."""
    if "admin" not in access.scopes and not access.scopes & needed:
        held, wanted = ", ".join(sorted(access.scopes)), " or ".join(sorted(needed))
        raise Forbidden(f"The key's scopes ({held}) do not allow this call: it needs {wanted}.")
    return access


def _access(connection: Connection, caller: Caller, admin_key: str | None) -> Access | None:
    if caller.secret is None:
        return _open_access(connection, caller, admin_key)
    given = _hash(caller.secret)
    if admin_key is not None and hmac.compare_digest(given, _hash(admin_key)):
        return Access("settings", ALL_SCOPES)
    row = keys.find_by_hash(connection, given)
    # What the index takes to find a hash tells nothing of a secret: nobody can choose the hash of a guess.
    if row is None or not hmac.compare_digest(given, row.secret_hash) or row.revoked_at is not None:
        return None
    if row.expires_at is not None and row.expires_at <= now_ms():
        return None
    return Access(row.key_id, frozenset(row.scopes), row.expires_at)


def _open_access(connection: Connection, caller: Caller, admin_key: str | None) -> Access:
    if admin_key is not None or keys.any_key(connection):
        raise Unauthorized("Give a key: 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.")
    # A page of another site that the operator looks at, or a proxy in front, must not get in by this door.
    local = caller.host in _OPEN_TO and caller.asked_host in _OPEN_TO
    if not local or (caller.origin is not None and not _is_local_origin(caller.origin)):
        raise Unauthorized(
            "No key exists yet, so only calls from this machine are answered: "
            "make the first key there with 'vitrine keys create'."
        )
    return Access("local", ALL_SCOPES)


def _create(connection: Connection, name: str, scopes: list[str], expires_at: int | None) -> dict[str, Any]:
    secret = "vt_" + secrets.token_urlsafe(32)
    values: dict[str, Any] = {
        "key_id": "key_" + secrets.token_hex(8),
        "name": name,
        "secret_hash": _hash(secret),
        "scopes": scopes,
        "created_at": now_ms(),
        "expires_at": expires_at,
        "revoked_at": None,
        "successor": None,
    }
    keys.insert_key(connection, values)
    created = keys.find_key(connection, values["key_id"])
    assert created is not None  # noqa: S101 (written in this transaction)
    return _answer(created) | {"key": secret}


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
        "successor": row.successor,
    }
