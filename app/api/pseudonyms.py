"""Pseudonyms in place of users' ids, in all that a request brings."""

from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.pseudonyms import use_key


class Pseudonyms:
    """Middleware: uses a key in every request."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app = app
        self.key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        use_key(self.key)
        await self.app(scope, receive, send)
