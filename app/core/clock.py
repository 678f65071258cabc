"""The one source of time, so that tests can set it."""

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Milliseconds since the Unix epoch, UTC: the unit in which times are stored."""
    return time.time_ns() // 1_000_000


def to_ms(moment: datetime) -> int:
    """A timezone-aware datetime as milliseconds since the Unix epoch."""
    return round(moment.timestamp() * 1000)


def from_ms(milliseconds: int) -> datetime:
    """Milliseconds since the Unix epoch as a datetime in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def rfc3339(milliseconds: int) -> str:
    """Milliseconds since the Unix epoch as RFC 3339 text in UTC, to the millisecond."""
    return from_ms(milliseconds).strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"
