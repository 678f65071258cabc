"""The audit log: who did what to the service, written in the transaction of the deed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import AppError
from app.db.queries import audit
from app.db.rows import AnyRow
from app.services.paging import decode_cursor, page

Result = TypeVar("Result")
CLI = "cli"


@dataclass(frozen=True)
class Deed:
    """What is about to be done, and by whom."""

    actor: str
    """A key's id, `settings` (the key of VITRINE_ADMIN_KEY), `local` (no key exists yet) or `cli`."""
    action: str
    target: str | Callable[[Any], str]
    """To what; where the deed itself makes it, how its result tells."""
    request_id: str | None = None


def do_recorded(connection: Connection, deed: Deed, function: Callable[..., Result], *args: Any) -> Result:
    """Do it and write it down: both or neither."""
    result = function(connection, *args)
    target = deed.target if isinstance(deed.target, str) else deed.target(result)
    _write(connection, deed, target, "done")
    return result


def record_refusal(connection: Connection, deed: Deed, error: AppError) -> None:
    """Write down that it was asked for, and why it was not done."""
    _write(connection, deed, deed.target if isinstance(deed.target, str) else "", error.code)


def list_entries(connection: Connection, cursor: str | None, limit: int) -> dict[str, Any]:
    """A page of the log, newest first."""
    place = decode_cursor(cursor, int)
    rows = audit.list_entries(connection, place[0] if place else None, limit + 1)
    found = page(rows, limit, lambda row: [row.id])
    return {"entries": [_answer(row) for row in found.rows], "next_cursor": found.next_cursor}


def _write(connection: Connection, deed: Deed, target: str, outcome: str) -> None:
    values = {
        "at": now_ms(),
        "actor": deed.actor,
        "action": deed.action,
        "target": target,
        "outcome": outcome,
        "request_id": deed.request_id,
    }
    audit.insert_entry(connection, values)


def _answer(row: AnyRow) -> dict[str, Any]:
    return {
        "at": rfc3339(row.at),
        "actor": row.actor,
        "action": row.action,
        "target": row.target,
        "outcome": row.outcome,
        "request_id": row.request_id,
    }
