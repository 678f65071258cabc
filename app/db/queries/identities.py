"""From the shop's ids to keys, creating what an event names for the first time.

Users and sessions are held until the transaction ends, so that nobody erases them before what names them is
there: users before sessions, and those that there are in the order of their keys, as whoever erases does.
"""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, Table

from app.db.bulk import Hold, insert_rows, keys_by_external_id
from app.db.queries.revisions import next_revision
from app.db.tables import event_names, items, sessions, users


def user_keys(
    connection: Connection, external_ids: Iterable[str], now: int, hold: Hold = "FOR KEY SHARE"
) -> dict[str, int]:
    """Keys of users, created where unknown."""
    columns = ("external_id", "created_at", "updated_at")
    return _ensure(connection, users, external_ids, columns, (now, now), hold)


def session_keys(
    connection: Connection, external_ids: Iterable[str], hold: Hold = "FOR KEY SHARE"
) -> dict[str, int]:
    """Keys of sessions, created where unknown."""
    return _ensure(connection, sessions, external_ids, ("external_id",), (), hold)


def item_keys(connection: Connection, external_ids: Iterable[str], now: int) -> dict[str, int]:
    """Keys of items, created (with nothing known but the id) where unknown."""
    wanted = set(external_ids)
    found = keys_by_external_id(connection, items, sorted(wanted))
    missing = sorted(wanted - found.keys())
    if missing:
        revision = next_revision(connection, "items")
        columns = ("external_id", "created_at", "updated_at", "revision")
        insert_rows(connection, items, columns, [(name, now, now, revision) for name in missing])
        found |= keys_by_external_id(connection, items, missing)
    return found


def known_events(connection: Connection, names: Collection[str]) -> set[str]:
    """Those of the names of events that are stored."""
    return set(names).intersection(_all_event_codes(connection)) if names else set()


def event_codes(connection: Connection, names: Iterable[str]) -> tuple[dict[str, int], list[str]]:
    """Codes of event names, and those among them that were never seen before."""
    wanted = set(names)
    known = _all_event_codes(connection)
    new = sorted(wanted - known.keys())
    if new:
        insert_rows(connection, event_names, ("name",), [(name,) for name in new])
        known = _all_event_codes(connection)
    return known, new


def _all_event_codes(connection: Connection) -> dict[str, int]:
    return {name: code for code, name in connection.exec_driver_sql("SELECT id, name FROM event_names")}


def _ensure(
    connection: Connection,
    table: Table,
    external_ids: Iterable[str],
    columns: tuple[str, ...],
    rest: tuple[Any, ...],
    hold: Hold,
) -> dict[str, int]:
    wanted = sorted(set(external_ids))
    found = keys_by_external_id(connection, table, wanted, hold)
    # Another writer may create the same ids meanwhile: insert what is still missing, then read again. What
    # is erased in between is missing then.
    while missing := [name for name in wanted if name not in found]:
        insert_rows(connection, table, columns, [(name, *rest) for name in missing])
        found |= keys_by_external_id(connection, table, missing, hold)
    return found
