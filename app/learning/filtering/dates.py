"""Dates in filters and attributes: RFC 3339, with a time and its offset from UTC, or a day."""

import re
from datetime import UTC, datetime
from typing import Final

from app.core.clock import to_ms

_DATE: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?"
)


def milliseconds(text: str) -> float | None:
    """Milliseconds since the Unix epoch, of a day its beginning in UTC; None for what is no date."""
    if not _DATE.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return float(to_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC)))
