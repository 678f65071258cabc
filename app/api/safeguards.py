"""Around every request: what is refused cheaply, and the headers that browsers keep to."""

import asyncio
import math
import time
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.admission import Lane, Lanes
from app.api.connections import CROWDED, QUEUED
from app.api.headers import set_security_headers
from app.api.problems import problem
from app.core.errors import AppError, SlowBody, Unavailable, UnsupportedEncoding
from app.services.rate_limits import Standing

BYTES_PER_SECOND: Final = 2_048
"""A body that comes slower than this, beyond the time that each has, is given up."""
QUEUE_SECONDS: Final = 0.5
"""A call that waited for its turn in the event loop for longer comes late: in a crowd it is refused."""
LATE: Final = 8
"""So many late calls in a row are let in: a process that stood still for a moment is no crowd."""
HELD_BYTES: Final = 256 * 2**20
"""Of bodies that are read whole, all together, in a process."""
_STREAMS: Final = "/v1/import/"
_BUSY: Final = "Too many calls at once; try again."


class Safeguards:
    """Middleware: bounds how many requests run, how long they wait and how long a body takes; sets headers.

    The health checks are always answered.
    """

    def __init__(self, app: ASGIApp, max_concurrent: int, body_seconds: float, hsts_seconds: int) -> None:
        self.app = app
        self._max_concurrent = max_concurrent
        self._body_seconds = body_seconds
        self._hsts_seconds = hsts_seconds
        self._running = 0
        self._late = 0
        self._lanes = Lanes()
        self._held = Held()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                set_security_headers(headers, self._hsts_seconds)
                standing: Standing | None = state.get("standing")
                if standing is not None:
                    headers.raw.extend(standing.headers)
                if state.get(CROWDED):
                    headers["Connection"] = "close"
            await send(message)

        if scope["path"].startswith("/health/"):
            await self.app(scope, receive, answering)
            return
        lane = self._lanes.of(scope)
        refusal = self._refusal(scope, lane)
        if refusal is not None:
            await problem(refusal)(scope, receive, answering)
            return
        self._running += 1
        call = _Call(receive, self._body_seconds, lane, self._held, scope)
        try:
            await self.app(scope, call.receive, answering)
        finally:
            self._running -= 1
            call.end()

    def _refusal(self, scope: Scope, lane: Lane) -> AppError | None:
        state = scope["state"]
        if self._running >= self._max_concurrent or lane.is_full or state.get(CROWDED):
            return Unavailable(_BUSY)
        late = time.monotonic() - state.get(QUEUED, math.inf) > QUEUE_SECONDS
        self._late = self._late + 1 if late else 0
        if self._late > LATE:
            return Unavailable(_BUSY)
        for name, value in scope["headers"]:
            if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
                return UnsupportedEncoding("Send the body as it is, without Content-Encoding.")
        return None


class Held:
    """Bytes of bodies that are read whole and not answered yet."""

    bytes = 0


class _Call:
    """A request that is worked on, and how it receives its body: only so long, only so much.

    It is in its lane once its body is there: those who wait for their own clients hold up nobody.
    """

    def __init__(self, receive: Receive, seconds: float, lane: Lane, held: Held, scope: Scope) -> None:
        self._receive = receive
        self._left = seconds
        self._lane = lane
        self._total = held
        self._mine = 0
        self._streams = scope["path"].startswith(_STREAMS)
        self._in_lane = False
        self._complete = False
        if self._streams or not _has_body(scope):
            self._enter()

    async def receive(self) -> Message:
        if self._complete:  # what comes now is the end of the connection, whenever that is
            return await self._receive()
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(self._left):
                message = await self._receive()
        except TimeoutError:
            raise SlowBody("The body comes too slowly.") from None
        size = len(message.get("body", b""))
        self._left += size / BYTES_PER_SECOND - (clock() - began)
        self._complete = not message.get("more_body", False)
        if not self._streams:
            self._hold(size)
        if self._complete and not self._in_lane:
            if self._lane.is_full:
                raise Unavailable(_BUSY)
            self._enter()
        return message

    def end(self) -> None:
        if self._in_lane:
            self._lane.end()
        self._total.bytes -= self._mine

    def _enter(self) -> None:
        self._lane.begin()
        self._in_lane = True

    def _hold(self, size: int) -> None:
        if self._total.bytes - self._mine + size > HELD_BYTES and self._total.bytes > self._mine:
            raise Unavailable("Too many large bodies at once; try again.")
        self._mine += size
        self._total.bytes += size


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )
