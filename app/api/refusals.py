"""Answers without the application: to calls for which there is no room, and to what is no request."""

import asyncio
from http import HTTPStatus
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.headers import EXPOSED, set_security_headers
from app.api.middleware import METHODS, request_id
from app.api.problems import problem
from app.core.errors import AppError, Unavailable
from app.core.telemetry import REQUESTS

BUSY: Final = "Too many calls at once; try again."
LOGGED_SECONDS: Final = 10.0
_CLOSE: Final = (b"connection", b"close")
log = structlog.get_logger("vitrine.access")


class Refusals:
    """503 as the application says it, for each request with its id; counted, and logged in sums."""

    def __init__(self, hsts_seconds: int, cors_origins: list[str]) -> None:
        self._hsts_seconds = hsts_seconds
        self._busy = self._made(Unavailable(BUSY))
        self._origins = frozenset(origin.encode() for origin in cors_origins)
        self._exposed = ", ".join(EXPOSED).encode()
        self._not_logged = 0

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer a request as an application does."""
        headers = [*self._busy.raw_headers, *self._count(scope)]
        await send({"type": "http.response.start", "status": self._busy.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self._busy.body})

    def whole(self, scope: Scope, keep_alive: bool) -> bytes:
        """The whole answer to a request, as it goes over the connection."""
        headers = self._count(scope)
        if not keep_alive:
            headers.append(_CLOSE)
        return _sent(self._busy, headers, with_body=scope["method"] != "HEAD")

    def unreadable(self, error: AppError) -> bytes:
        """The answer to what is no request, or one that is not read to its end."""
        return _sent(self._made(error), [(b"x-request-id", request_id({}).encode()), _CLOSE])

    def _made(self, error: AppError) -> Response:
        made = problem(error)
        set_security_headers(made.headers, self._hsts_seconds)
        return made

    def _count(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """Note a refusal; its own headers."""
        method = scope["method"] if scope["method"] in METHODS else "other"
        REQUESTS.labels(method, "unmatched", self._busy.status_code).inc()
        if not self._not_logged:
            asyncio.get_running_loop().call_later(LOGGED_SECONDS, self._log)
        self._not_logged += 1
        asked = dict(scope["headers"])
        found = [(b"x-request-id", request_id(asked).encode())]
        origin = asked.get(b"origin")
        allowed = b"*" if b"*" in self._origins else origin
        if origin is not None and allowed in self._origins:  # as the CORS middleware says it
            found += [
                (b"access-control-allow-origin", allowed),
                (b"access-control-expose-headers", self._exposed),
                (b"vary", b"Origin"),
            ]
        return found

    def _log(self) -> None:
        log.warning("refused", calls=self._not_logged, seconds=LOGGED_SECONDS, reason=BUSY)
        self._not_logged = 0


def _sent(made: Response, headers: list[tuple[bytes, bytes]], with_body: bool = True) -> bytes:
    phrase = HTTPStatus(made.status_code).phrase.encode()
    lines = [
        b"HTTP/1.1 %d %b" % (made.status_code, phrase),
        *map(b": ".join, [*made.raw_headers, *headers]),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + (bytes(made.body) if with_body else b"")
