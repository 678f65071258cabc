"""Erasure: what is held of a person goes at once, and a receipt says what still holds it until when."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import Conflict, NotFound
from app.db.bulk import keys_by_external_id
from app.db.queries import merging, privacy, users
from app.db.queries.revisions import next_revision
from app.db.rows import AnyRow
from app.db.tables import sessions
from app.services.paging import decode_cursor, page

DAY_MS = 86_400_000
COUNTER = "erasures"


def erase_user(connection: Connection, user_id: str, days: float) -> dict[str, Any]:
    """Remove the person; the receipt, with the only copy of its proof. Raises NotFound.

    Versions that learned from the person are to be replaced within `days`.
    """
    row = users.lock_user(connection, user_id)
    if row is None:
        raise NotFound(f"There is no user '{user_id}'.")
    removed, lowest = privacy.erase_user(connection, row.id)
    held = {"user": row.id, "lowest": lowest}
    return {"user_id": user_id} | _receipt(connection, "user", user_id, removed, held, days)


def erase_session(connection: Connection, session_id: str, days: float) -> dict[str, Any]:
    """Remove what an anonymous visitor did in a session; the receipt, as `erase_user` gives it.

    What users did in it, logged in, stays theirs. Raises NotFound, or Conflict for a session that became a
    user's own.
    """
    key = keys_by_external_id(connection, sessions, [session_id], "FOR UPDATE").get(session_id)
    if key is None:
        raise NotFound(f"There is no session '{session_id}'.")
    if merging.owner_of(connection, key) is not None:
        raise Conflict(f"Session '{session_id}' became a user's own: it goes when the user is erased.")
    removed, lowest = privacy.erase_sessions(connection, [key])
    held = {"user": None, "lowest": lowest}
    return {"session_id": session_id} | _receipt(connection, "session", session_id, removed, held, days)


def get_receipt(connection: Connection, receipt_id: str) -> dict[str, Any]:
    """One receipt; raises NotFound."""
    row = privacy.find_receipt(connection, receipt_id)
    if row is None:
        raise NotFound(f"There is no receipt '{receipt_id}'.")
    return _answer(row, privacy.versions_of(connection, [receipt_id]))


def list_receipts(connection: Connection, cursor: str | None, limit: int) -> dict[str, Any]:
    """A page of receipts, newest first."""
    (before,) = decode_cursor(cursor, int) or (None,)
    found = page(privacy.list_receipts(connection, before, limit + 1), limit, lambda row: [row.revision])
    versions: dict[str, list[AnyRow]] = {row.receipt_id: [] for row in found.rows}
    for version in privacy.versions_of(connection, list(versions)):
        versions[version.receipt_id].append(version)
    return {
        "receipts": [_answer(row, versions[row.receipt_id]) for row in found.rows],
        "next_cursor": found.next_cursor,
    }


def fingerprint(proof: str, external_id: str) -> str:
    """What a receipt holds of an erased id: without the proof it leads to nobody."""
    return hmac.new(proof.encode(), external_id.encode(), hashlib.sha256).hexdigest()


def receipt_of(erasure: Mapping[str, Any]) -> str:
    """The id of the receipt that an erasure answers."""
    return str(erasure["receipt_id"])


def _receipt(
    connection: Connection,
    kind: str,
    external_id: str,
    removed: dict[str, int],
    held: dict[str, int | None],
    days: float,
) -> dict[str, Any]:
    receipt_id, proof = "er_" + secrets.token_urlsafe(16), secrets.token_urlsafe(32)
    # Held until the end of the transaction, as who publishes a version holds it: either the version is
    # listed here, or it sees this receipt.
    revision = next_revision(connection, COUNTER)
    now = now_ms()
    deadline = now + round(days * DAY_MS)
    values = {
        "receipt_id": receipt_id,
        "revision": revision,
        "kind": kind,
        "fingerprint": fingerprint(proof, external_id),
        "requested_at": now,
        "deadline": deadline,
        "removed": removed,
    }
    privacy.insert_receipt(connection, values)
    for version in privacy.holding(connection, **held):
        privacy.insert_held(connection, receipt_id, version, deadline)
    return get_receipt(connection, receipt_id) | {"proof": proof}


def _answer(row: AnyRow, versions: list[AnyRow]) -> dict[str, Any]:
    released = [version.released_at for version in versions]
    ends = [row.requested_at, *(moment for moment in released if moment is not None)]
    return {
        "receipt_id": row.receipt_id,
        "kind": row.kind,
        "fingerprint": row.fingerprint,
        "requested_at": rfc3339(row.requested_at),
        "deadline": rfc3339(row.deadline),
        "completed_at": None if None in released else rfc3339(max(ends)),
        "removed": row.removed,
        "versions": [
            {
                "version": version.version,
                "deadline": rfc3339(version.deadline),
                "released_at": None if version.released_at is None else rfc3339(version.released_at),
            }
            for version in versions
        ],
    }
