"""Who is let in, and when it is each one's turn: what cannot be answered soon is refused before it costs."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.refusals import BUSY, Refusals
from app.api.safeguards import STREAMS
from app.core.errors import Unavailable

ADMISSION: Final = "admission"
"""In the state of the application: its Admission."""
WAIT_SECONDS: Final = 1.0
"""A call of what is soon done that would wait for longer, or did, is refused: others may have room."""
TURN_SECONDS: Final = 0.02
"""For the work of calls that begin, where several want to."""
AT_FIRST: Final = 0.01
"""Seconds for each call of an operation of which there never were many at once."""
BODY_SECONDS: Final = 0.05
"""For so long a body is taken to come at once."""
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
"""Methods whose calls read none, whatever is sent."""
_REMEMBERED: Final = 8
"""About so many calls make up the expectation."""


class Admission:
    """What a process works on, and for what it has room.

    Of each operation (a method and a path of `operations`, as `/v1/users/{user_id}`) `at_once` calls are
    worked on at the same time; `refusals` answers those for which there is no room.
    """

    def __init__(
        self,
        max_concurrent: int,
        at_once: int,
        refusals: Refusals,
        operations: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._max_concurrent = max_concurrent
        self.refusals = refusals
        self.running = 0
        self.turns = Turns()
        self._lanes: dict[tuple[str, int, str], list[tuple[list[str], Lane]]] = {}
        for method, path in operations:
            words = path.split("/")
            self._lanes.setdefault(_key(method, words), []).append((words, Lane(at_once, max_concurrent)))
        self._other = Lane(at_once, max_concurrent)

    def has_room(self, scope: Scope) -> bool:
        """Whether a request can be worked on soon."""
        return self.running < self._max_concurrent and not self._lane(scope).is_full

    def around(self, app: ASGIApp, scope: Scope) -> ASGIApp:
        """The application for one request that is let in, which counts from now until it is answered."""
        lane = None if scope["path"].startswith(STREAMS) else self._lane(scope)
        return _Call(self, app, lane, scope)

    def _lane(self, scope: Scope) -> "Lane":
        """That of the request's operation; one for all that have none."""
        words = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").split("/")
        for pattern, lane in self._lanes.get(_key(scope["method"], words), ()):
            if all(said[:1] == "{" or said == word for said, word in zip(pattern, words, strict=True)):
                return lane
        return self._other


def _key(method: str, words: list[str]) -> tuple[str, int, str]:
    return method, len(words), words[2] if len(words) > 2 else ""


class Lane:
    """Calls of one operation, that take about as long as each other: some are worked on, the others wait."""

    def __init__(self, at_once: int, max_concurrent: int) -> None:
        self._at_once = at_once
        self._most = max(at_once, max_concurrent // 4)
        """So many of one operation leave room for the others."""
        self._room = asyncio.Semaphore(at_once)
        self._calls = 0
        self._waiting = 0
        self._seconds_each = AT_FIRST
        """Between the ends of two calls, while others waited."""
        self._seconds_taken = 0.0
        """By one call, from its beginning to its answer, while there were few."""
        self._ended_at = 0.0
        self._others_waited = False

    @property
    def is_full(self) -> bool:
        """Whether a call that comes now would wait for too long. As many as are worked on may always wait."""
        ahead = self._calls + 1 - self._at_once
        return self._calls >= self._most or (
            ahead > self._at_once and ahead * self._seconds_each > self.patience
        )

    @property
    def patience(self) -> float:
        """Seconds for which a call may wait: twice as long as it takes, at least a second."""
        return max(WAIT_SECONDS, 2 * self._seconds_taken)

    def enter(self) -> None:
        """Count a call that waits, or soon will."""
        self._calls += 1

    def leave(self) -> None:
        self._calls -= 1

    async def begin(self) -> float:
        """Wait for room, in the order of coming; the time then. Raises Unavailable if that takes too long."""
        self._waiting += 1
        try:
            async with asyncio.timeout(self.patience):
                await self._room.acquire()
        except TimeoutError:
            raise Unavailable(BUSY) from None
        finally:
            self._waiting -= 1
        return time.monotonic()

    def end(self, begun_at: float) -> None:
        """Make room."""
        now = time.monotonic()
        if not self._seconds_taken:
            self._seconds_taken = now - begun_at
        elif not self._waiting:
            self._seconds_taken += (now - begun_at - self._seconds_taken) / _REMEMBERED
        if self._others_waited:
            self._seconds_each += (now - self._ended_at - self._seconds_each) / _REMEMBERED
        elif not self._waiting:  # the crowd is over, and what it was like is forgotten
            self._seconds_each += (AT_FIRST - self._seconds_each) / _REMEMBERED
        self._ended_at = now
        self._others_waited = self._waiting > 0
        self._room.release()


class Turns:
    """Of calls that are to begin at once so many do in one turn of the event loop as take `TURN_SECONDS`.

    In between, connections, bodies and health checks are looked after.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_on = False
        self._began_at = 0.0
        self._begun = 0
        """Calls in this turn."""
        self._seconds_each = 0.0
        """That a call takes in the loop from its beginning to where it waits for something, or ends."""

    async def mine(self) -> None:
        """Wait for one's turn."""
        loop = asyncio.get_running_loop()
        if not self._is_on:
            self._is_on = True
            self._begin(0)
            loop.call_soon(self._end)
        if not self._waiting and time.monotonic() - self._began_at < TURN_SECONDS:
            self._begun += 1
            return
        place = loop.create_future()
        self._waiting.append(place)
        await place

    def _begin(self, calls: int) -> None:
        self._began_at = time.monotonic()
        self._begun = calls

    def _end(self) -> None:
        if self._begun:
            each = (time.monotonic() - self._began_at) / self._begun
            weight = min(1.0, self._begun / _REMEMBERED) if self._seconds_each else 1.0
            self._seconds_each += weight * (each - self._seconds_each)
        self._is_on = bool(self._waiting)
        if not self._is_on:
            return
        loop = asyncio.get_running_loop()
        room = max(1, int(TURN_SECONDS / max(self._seconds_each, 1e-5)))
        places = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
        loop.call_soon(self._begin, len(places))
        for place in places:
            if not place.done():  # else its call was given up
                place.set_result(None)
        loop.call_soon(self._end)


class _Call:
    """A request that is let in: in its lane from when its body is there until its answer begins.

    What comes after that takes as long as the client wants. A stream of entries is in no lane.
    """

    def __init__(self, admission: Admission, app: ASGIApp, lane: Lane | None, scope: Scope) -> None:
        self._admission = admission
        self._app = app
        self._lane = lane
        self._is_counted = False
        self._is_done = False
        self._begun_at: float | None = None
        admission.running += 1
        self._has_body = _has_body(scope)
        self._enter()
        # Most bodies come with their heads. Others are waited for, and that holds up nobody.
        self._late = (
            asyncio.get_running_loop().call_later(BODY_SECONDS, self._leave) if self._has_body else None
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def receiving() -> Message:
            message = await receive()
            if self._begun_at is None and not self._is_done and message["type"] == "http.request":
                await self._came(message)
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._end()
            await send(message)

        try:
            if not self._has_body:
                try:
                    await self._begin()
                except Unavailable:
                    await self._admission.refusals(scope, receive, send)
                    return
            await self._app(scope, receiving, sending)
        finally:
            self._admission.running -= 1
            self._end()

    async def _came(self, message: Message) -> None:
        if message.get("more_body", False):
            self._leave()
            return
        if not self._is_counted:
            if self._lane is not None and self._lane.is_full:
                raise Unavailable(BUSY)
            self._enter()
        await self._begin()

    def _enter(self) -> None:
        if self._lane is not None:
            self._is_counted = True
            self._lane.enter()

    def _leave(self) -> None:
        if self._lane is not None and self._is_counted and self._begun_at is None:
            self._is_counted = False
            self._lane.leave()

    async def _begin(self) -> None:
        if self._late is not None:
            self._late.cancel()
        if self._lane is not None:
            self._begun_at = await self._lane.begin()
        else:
            self._begun_at = time.monotonic()
        await self._admission.turns.mine()

    def _end(self) -> None:
        if self._is_done:
            return
        self._is_done = True
        if self._late is not None:
            self._late.cancel()
        begun_at, self._begun_at = self._begun_at, None
        self._leave()
        if begun_at is not None and self._lane is not None:
            self._lane.end(begun_at)


def _has_body(scope: Scope) -> bool:
    return scope["method"] not in _WITHOUT_BODY and any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )
