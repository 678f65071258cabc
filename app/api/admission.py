"""How long a call would wait behind those that are worked on, by what was done lately."""

import time
from typing import Final

from starlette.types import Scope

WAIT_SECONDS: Final = 1.0
"""A call that would wait for longer is refused at once, while it may still be tried elsewhere."""
ALWAYS: Final = 32
"""So many calls of a kind are let in whatever is expected: what they take corrects the expectation."""
_KINDS: Final = 64
_REMEMBERED: Final = 32
"""About so many calls make up the expectation."""


class Lane:
    """Calls of one kind, that wait for the same: a thread, a connection, the writer."""

    def __init__(self) -> None:
        self.working = 0
        self._seconds_each = 0.0
        """Between the ends of two calls, while there were others to go on with."""
        self._ended_at = 0.0
        self._was_busy = False

    @property
    def is_full(self) -> bool:
        return self.working >= ALWAYS and self.working * self._seconds_each > WAIT_SECONDS

    def begin(self) -> None:
        self.working += 1

    def end(self) -> None:
        now = time.monotonic()
        if self._was_busy:
            self._seconds_each += (now - self._ended_at - self._seconds_each) / _REMEMBERED
        self._ended_at = now
        self.working -= 1
        self._was_busy = self.working >= ALWAYS // 2


class Lanes:
    """The lanes of a process: one for each method and first word of the path."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._other = Lane()

    def of(self, scope: Scope) -> Lane:
        """The lane of a request. Callers choose paths, so only so many have one of their own."""
        words = scope["path"].split("/", 3)
        kind = (scope["method"], words[2] if len(words) > 2 else "")
        lane = self._lanes.get(kind)
        if lane is None:
            if len(self._lanes) >= _KINDS:
                return self._other
            lane = self._lanes[kind] = Lane()
        return lane
