"""Whether the database can be reached: once it could not, few calls ask it again, the others do not wait."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from app.core.errors import Unavailable
from app.core.telemetry import DATABASE_REACHED

AWAY: Final = "The database cannot be reached; try again."
PAUSE_SECONDS: Final = 0.5
"""Between two attempts, each by one call alone, while the database is away."""


class DatabaseLost(Unavailable):
    """The database itself did not answer, rather than being busy."""


class Reach:
    """Notes of each call whether the database answered. All state is touched by the event loop alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answered = clock()
        self._lost = False
        self._probing = False
        self._next = 0.0
        DATABASE_REACHED.set(1)

    @property
    def lost(self) -> bool:
        """Whether the database was away when it was asked last."""
        return self._lost

    @property
    def silent_seconds(self) -> float:
        """How long ago the database answered last; 0 unless it is away."""
        return self._clock() - self._answered if self._lost else 0.0

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around a call to the database; raises Unavailable at once while it is away and another one asks."""
        probes = self._lost
        if probes:
            if self._probing or self._clock() < self._next:
                raise Unavailable(AWAY)
            self._probing = True
        try:
            yield
        except DatabaseLost:
            self._found(lost=True)
            raise
        except Unavailable:  # busy, or waited for in vain: it says nothing of whether it is there
            raise
        except Exception:
            self._found(lost=False)
            raise
        else:
            self._found(lost=False)
        finally:
            if probes:
                self._probing = False

    def _found(self, lost: bool) -> None:
        if lost:
            self._next = self._clock() + PAUSE_SECONDS
        else:
            self._answered = self._clock()
        if lost != self._lost:
            self._lost = lost
            DATABASE_REACHED.set(0 if lost else 1)
