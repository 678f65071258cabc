"""Around every request: how slow and how large bodies may be, and the headers that browsers keep to."""

import asyncio
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.headers import set_security_headers
from app.api.problems import problem
from app.core.errors import SlowBody, Unavailable, UnsupportedEncoding
from app.services.rate_limits import Standing

BYTES_PER_SECOND: Final = 2_048
"""A body that comes slower than this, beyond the time that each has, is given up."""
HELD_BYTES: Final = 256 * 2**20
"""Of bodies that are read whole, all together, in a process."""
STREAMS: Final = "/v1/import/"
"""What is sent to paths below this is not read whole."""


class Safeguards:
    """Middleware: bounds the time and the sum of bodies, refuses compressed ones; sets headers."""

    def __init__(self, app: ASGIApp, body_seconds: float, hsts_seconds: int) -> None:
        self.app = app
        self._body_seconds = body_seconds
        self._hsts_seconds = hsts_seconds
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
            await send(message)

        for name, value in scope["headers"]:
            if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
                error = UnsupportedEncoding("Send the body as it is, without Content-Encoding.")
                await problem(error)(scope, receive, answering)
                return
        body = _Body(receive, self._body_seconds, self._held, scope["path"].startswith(STREAMS))
        try:
            await self.app(scope, body.receive, answering)
        finally:
            body.let_go()


class Held:
    """Bytes of bodies that are read whole and not answered yet."""

    bytes = 0


class _Body:
    """How a request receives its body: only so long, only so much."""

    def __init__(self, receive: Receive, seconds: float, held: Held, streams: bool) -> None:
        self._receive = receive
        self._left = seconds
        self._total = held
        self._mine = 0
        self._streams = streams
        self._complete = False

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
        return message

    def let_go(self) -> None:
        self._total.bytes -= self._mine

    def _hold(self, size: int) -> None:
        if self._total.bytes - self._mine + size > HELD_BYTES and self._total.bytes > self._mine:
            raise Unavailable("Too many large bodies at once; try again.")
        self._mine += size
        self._total.bytes += size
