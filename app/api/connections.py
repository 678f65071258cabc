"""Connections whose requests have heads of bounded size, that come in bounded time."""

import time
from asyncio import TimerHandle, Transport
from typing import Any, Final

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_SECONDS: Final = 10.0
"""From the first byte of a request (or from the connection) to the end of its headers."""
HEAD_BYTES: Final = 65_536
HEAD_LINES: Final = 200
CONNECTIONS: Final = 1_000
"""Of a process; the calls of those beyond are refused, and those beyond twice as many are not listened to."""
PIPELINE: Final = 100
"""Requests of one connection that wait for the answers to those before them."""
QUEUED: Final = "queued_at"
"""In a request's state: when it began to wait for its turn, by `time.monotonic`."""
CROWDED: Final = "crowded"
"""In a request's state: whether there are too many connections."""
_TOO_LARGE: Final = b"The request's headers are too large."
_ANSWER: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(_TOO_LARGE), _TOO_LARGE)
)


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's own protocol; what it lets go on without an end has one here."""

    head_seconds: float = HEAD_SECONDS

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._timer: TimerHandle | None = None
        self._head_bytes = 0
        self._held_bytes = 0
        """Received since the parser last came to something; it holds them."""
        self._came_on = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > 2 * CONNECTIONS:
            self.transport.abort()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # The rest of a body whose call is answered already must come to its end in this time too.
        if self._timer is None and self.cycle is not None and self.cycle.response_complete:
            self._await_head()
        self._came_on = False
        super().data_received(data)
        self._held_bytes = 0 if self._came_on else self._held_bytes + len(data)
        if self._held_bytes > HEAD_BYTES and not self.transport.is_closing():
            self._refuse()

    def send_400_response(self, msg: str) -> None:
        if len(self.pipeline) >= PIPELINE:
            self.transport.close()
        elif self._head_bytes > HEAD_BYTES or len(self.headers or ()) > HEAD_LINES:
            self._refuse()
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:  # also of what follows a body in chunks
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._came_on = True
        self._head_is_here()
        if len(self.pipeline) >= PIPELINE:
            raise ValueError("too many")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._came_on = True
        super().on_body(body)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        state = cycle.scope["state"]
        state[QUEUED] = time.monotonic()
        state[CROWDED] = len(self.connections) > CONNECTIONS
        super()._start_asgi_task(cycle, app)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES or len(self.headers) > HEAD_LINES:
            raise ValueError("too large")  # the parser makes it one of its errors

    def _refuse(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_ANSWER)
        self.transport.close()

    def _await_head(self) -> None:
        self._timer = self.loop.call_later(self.head_seconds, self._give_up)

    def _head_is_here(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
