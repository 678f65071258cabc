"""An end for what a server never answers: connections that have waited too long are cut.

PostgreSQL's own `statement_timeout` ends what runs too long, but not what a server that hangs, or a network
that swallows packets, leaves without an answer: the driver would wait for ever.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from typing import Any, Final

LOOK_SECONDS: Final = 0.25


class Deadlines:
    """Connections in use, each with its deadline; a thread cuts those that are overdue."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: dict[object, tuple[float, Any]] = {}
        self._ended = Event()
        self._thread: Thread | None = None

    @contextmanager
    def within(self, driver: Any, seconds: float) -> Iterator[None]:
        """Cut the driver's connection if the block takes longer: whoever waits for it gets an error."""
        token = object()
        with self._lock:
            self._running[token] = (time.monotonic() + seconds, driver)
            if self._thread is None:
                self._thread = Thread(target=self._watch, name="database-deadlines", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._running.pop(token, None)

    def close(self) -> None:
        """End the thread."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            now = time.monotonic()
            with self._lock:
                # Under the lock: a block that has just ended gives its connection to somebody else.
                for token, (until, driver) in list(self._running.items()):
                    if until < now:
                        del self._running[token]
                        _cut(driver)


def _cut(driver: Any) -> None:
    with suppress(Exception), socket.socket(fileno=os.dup(driver.fileno())) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)
