"""Who may call what: one dependency for each set of scopes."""

from collections.abc import Awaitable, Callable

from fastapi import Request

from app.api.edge import get_edge
from app.services.keys import Caller, authorize


def caller_of(request: Request) -> Caller:
    """What a request shows of who makes it."""
    headers = request.headers
    scheme, _, token = headers.get("authorization", "").partition(" ")
    secret = headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "") or None
    asked = headers.get("host", "")
    return Caller(
        secret,
        request.client.host if request.client else None,
        (asked.rpartition("]")[0] if asked.startswith("[") else asked.partition(":")[0]).strip("["),
        headers.get("origin"),
    )


def scope(*needed: str) -> Callable[[Request], Awaitable[None]]:
    """A dependency that lets callers pass whose key has one of the scopes (or `admin`)."""
    wanted = frozenset(needed)

    async def check(request: Request) -> None:
        admin_key: str | None = request.app.state.admin_key
        request.state.scopes = await get_edge(request).read(authorize, caller_of(request), wanted, admin_key)

    check.__name__ = f"scope_{'_or_'.join(needed)}"
    return check
