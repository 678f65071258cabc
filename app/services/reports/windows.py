"""The window of time that a report is about, and its periods."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import InputError, InvalidInput
from app.db.queries.interactions import latest_time
from app.db.queries.reports.periods import DAY_MS, By, number_of, start_of
from app.services.popular import LONGEST_DAYS

DEFAULT_DAYS = 30
MAX_PERIODS = 1_100
"""Periods in one answer: three years of days."""


@dataclass(frozen=True)
class Window:
    """From `since`, inclusive, to `until`, exclusive; `as_of` is the latest event. All ms since the epoch."""

    since: int
    until: int
    as_of: int

    def head(self) -> dict[str, Any]:
        """How an answer about it begins."""
        return {"from": rfc3339(self.since), "to": rfc3339(self.until), "as_of": rfc3339(self.as_of)}


@dataclass(frozen=True)
class Period:
    """A day, ISO week or month, cut to the window."""

    number: int
    since: int
    until: int


def present(connection: Connection) -> int:
    """The latest event, or the clock where that is earlier: an imported history has its own present."""
    now, latest = now_ms(), latest_time(connection)
    return now if latest is None else min(now, latest)


def window_of(connection: Connection, since: int | None, until: int | None) -> Window:
    """The window asked for; by default the 30 days that end with the latest event.

    Raises InvalidInput if it ends before it begins, or is longer than ten years.
    """
    as_of = present(connection)
    end = as_of + 1 if until is None else until
    begin = end - DEFAULT_DAYS * DAY_MS if since is None else since
    if begin >= end:
        detail = "from must lie before to" + (
            "" if until is not None else f", the latest event {rfc3339(as_of)}"
        )
        raise _refusal("The window ends before it begins.", "from", detail)
    if end - begin > LONGEST_DAYS * DAY_MS:
        raise _refusal("The window is too long.", "from", "A window may be ten years long at most")
    return Window(begin, end, as_of)


def periods_of(window: Window, by: By) -> list[Period]:
    """The periods of a window, oldest first; raises InvalidInput if they are more than MAX_PERIODS."""
    first, last = number_of(window.since, by), number_of(window.until - 1, by)
    if last - first >= MAX_PERIODS:
        detail = f"The window has {last - first + 1} periods by {by}; {MAX_PERIODS} are allowed"
        raise _refusal("There are too many periods.", "by", detail)
    # The end of the last one is never asked for: there is no year 10000.
    edges = [window.since, *(start_of(number, by) for number in range(first + 1, last + 1)), window.until]
    return [Period(first + at, edges[at], edges[at + 1]) for at in range(last - first + 1)]


def _refusal(what: str, parameter: str, detail: str) -> InvalidInput:
    return InvalidInput(f"{what} {detail}.", [InputError(f"/query/{parameter}", "bad_window", detail)])
