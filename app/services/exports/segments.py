"""All segments, learned and saved."""

from typing import Any, Final

from sqlalchemy import Connection

from app.services.exports.table import Object, Table
from app.services.live import Live
from app.services.segments import RULE, list_segments

_FIELDS: Final = ("segment_id", "kind", "name", "meaning", "filter", "size", "share", "sets_apart")


def segments_table(connection: Connection, live: Live) -> Table:
    """A row for each segment, as HTTP has them; raises ModelNotReady."""
    found = list_segments(connection, live, None)
    rows: list[dict[str, Any]] = found["segments"]
    names = list(dict.fromkeys(name for row in rows for name in row["centre"] or ()))
    missing = {kind: why for kind, why in found["missing"].items() if kind != RULE}
    notes = [f"Segments by '{kind}' are not there: {why}." for kind, why in missing.items()]
    shown = [{name: row[name] for name in (*_FIELDS, "centre")} for row in rows]
    return Table(_FIELDS, shown, len(rows), {"centre": Object("centre", names)}, notes)
