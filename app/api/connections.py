"""Connections whose requests have heads of bounded size, that come in bounded time."""

from asyncio import TimerHandle, Transport
from typing import Any, Final, cast

from starlette.types import ASGIApp, Scope
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.api.admission import ADMISSION, Admission
from app.core.errors import AppError, HeadTooLarge, MalformedRequest

HEAD_SECONDS: Final = 10.0
"""From the first byte of a request (or from the connection) to the end of its headers."""
HEAD_BYTES: Final = 65_536
HEAD_LINES: Final = 200
CONNECTIONS: Final = 1_000
"""Of a process; the calls of those beyond are refused, and those beyond twice as many are not listened to."""
PIPELINE: Final = 100
"""Requests of one connection that wait for the answers to those before them, or that come in one packet."""
_HEALTH: Final = "/health/"
"""What is asked below this is always answered."""
_TOO_LARGE: Final = f"The request's headers are more than {HEAD_LINES} lines or {HEAD_BYTES // 1024} KiB."
_UNREADABLE: Final = "What came is not a request of HTTP/1.1."


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
        self._in_packet = 0
        """Requests whose heads ended in what was received last."""
        self._admission: Admission = self.app_state[ADMISSION]
        self._refusals = self._admission.refusals

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
        self._in_packet = 0
        super().data_received(data)
        self._held_bytes = 0 if self._came_on else self._held_bytes + len(data)
        if self._held_bytes > HEAD_BYTES and not self.transport.is_closing():
            self._refuse(HeadTooLarge(_TOO_LARGE))

    def send_400_response(self, msg: str) -> None:
        if self._is_too_much:
            self.transport.close()
        elif self._head_bytes > HEAD_BYTES or len(self.headers or ()) > HEAD_LINES:
            self._refuse(HeadTooLarge(_TOO_LARGE))
        else:
            self._refuse(MalformedRequest(_UNREADABLE))

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
        self._in_packet += 1
        if self._is_too_much:
            raise ValueError("too many")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._came_on = True
        super().on_body(body)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._unset_keepalive_if_required()  # a refusal before it in the same packet has set it
        scope = cast(Scope, cycle.scope)
        crowded = len(self.connections) > CONNECTIONS
        cycle.keep_alive &= not crowded
        if scope["path"].startswith(_HEALTH):
            super()._start_asgi_task(cycle, app)
        elif not crowded and self._admission.has_room(scope):
            let_in = self._admission.around(cast(ASGIApp, app), scope)
            super()._start_asgi_task(cycle, cast(ASGI3Application, let_in))
        elif self.flow.write_paused:  # it waits until what was answered before is read
            super()._start_asgi_task(cycle, cast(ASGI3Application, self._refusals))
        else:
            self._turn_away(cycle, scope)

    def _turn_away(self, cycle: RequestResponseCycle, scope: Scope) -> None:
        """Answer that there is no room, without a task: that would cost several times as much."""
        # Whoever waits for leave to send the body may send it, or the next request.
        cycle.keep_alive &= not cycle.waiting_for_100_continue
        cycle.response_started = cycle.response_complete = True
        self.transport.write(self._refusals.whole(scope, cycle.keep_alive))
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()

    @property
    def _is_too_much(self) -> bool:
        return len(self.pipeline) >= PIPELINE or self._in_packet > PIPELINE

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES or len(self.headers) > HEAD_LINES:
            raise ValueError("too large")  # the parser makes it one of its errors

    def _refuse(self, error: AppError) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(self._refusals.unreadable(error))
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
