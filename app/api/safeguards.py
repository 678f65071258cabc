"""Around every request: what is refused cheaply, and the headers that browsers keep to."""

import asyncio
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.headers import set_security_headers
from app.api.problems import problem
from app.core.errors import AppError, SlowBody, Unavailable, UnsupportedEncoding
from app.services.rate_limits import Standing

BYTES_PER_SECOND: Final = 2_048
"""A body that comes slower than this, beyond the time that each has, is given up."""


class Safeguards:
    """Middleware: bounds how many requests run and how long a body takes; sets headers.

    The health checks are always answered.
    """

    def __init__(self, app: ASGIApp, max_concurrent: int, body_seconds: float, hsts_seconds: int) -> None:
        self.app = app
        self._max_concurrent = max_concurrent
        self._body_seconds = body_seconds
        self._hsts_seconds = hsts_seconds
        self._running = 0

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

        if scope["path"].startswith("/health/"):
            await self.app(scope, receive, answering)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await problem(refusal)(scope, receive, answering)
            return
        self._running += 1
        try:
            await self.app(scope, _Body(receive, self._body_seconds), answering)
        finally:
            self._running -= 1

    def _refusal(self, scope: Scope) -> AppError | None:
        if self._running >= self._max_concurrent:
            return Unavailable("Too many calls at once; try again.")
        for name, value in scope["headers"]:
            if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
                return UnsupportedEncoding("Send the body as it is, without Content-Encoding.")
        return None


class _Body:
    """`receive` that waits for a body only so long: the client's time counts, not ours."""

    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive = receive
        self._left = seconds
        self._complete = False

    async def __call__(self) -> Message:
        if self._complete:  # what comes now is the end of the connection, whenever that is
            return await self._receive()
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(self._left):
                message = await self._receive()
        except TimeoutError:
            raise SlowBody("The body comes too slowly.") from None
        self._left += len(message.get("body", b"")) / BYTES_PER_SECOND - (clock() - began)
        self._complete = not message.get("more_body", False)
        return message
