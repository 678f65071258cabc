"""Keys that were valid a moment ago, for reading while the database that knows them is away."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from app.core.clock import now_ms
from app.services.keys import Access, Caller

MOST: Final = 10_000
"""Keys that are remembered, those used last."""


class RememberedKeys:
    """What the database last said of keys: for so many seconds, and never of one that it has not seen.

    Callers without a key are not remembered: the first key may have been made in the meantime.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._seen: OrderedDict[str, tuple[float, Access]] = OrderedDict()

    def remember(self, caller: Caller, access: Access) -> None:
        """Note that the database has just found the caller's key valid."""
        if self._seconds > 0 and caller.secret is not None:
            name = _digest(caller.secret)
            self._seen[name] = (self._clock(), access)
            self._seen.move_to_end(name)
            while len(self._seen) > MOST:
                self._seen.popitem(last=False)

    def forget(self, caller: Caller) -> None:
        """Note that the database has just refused the caller."""
        if caller.secret is not None:
            self._seen.pop(_digest(caller.secret), None)

    def recall(self, caller: Caller) -> Access | None:
        """What the caller might do when the database last said it, unless that is too long ago."""
        if caller.secret is None:
            return None
        at, access = self._seen.get(_digest(caller.secret), (0.0, None))
        if access is None or self._clock() - at > self._seconds:
            return None
        return None if access.expires_at is not None and access.expires_at <= now_ms() else access


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
