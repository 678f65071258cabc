"""Who may call what, and how often: one dependency for each set of scopes."""

from collections.abc import Awaitable, Callable, Collection

from fastapi import Request

from app.api.edge import get_edge
from app.api.queries import refuse_odd
from app.core.errors import Unauthorized, Unavailable
from app.services.keys import Access, Caller, allowed, authorize
from app.services.rate_limits import RateLimits
from app.services.remembered_keys import RememberedKeys
from app.services.user_tokens import check_token


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


def scope(
    *needed: str, limited: bool = True, without_database: bool = False
) -> Callable[[Request], Awaitable[None]]:
    """A dependency that lets callers pass whose key has one of the scopes (or `admin`).

    It comes before the path, the query and the body are looked at; then names in the query that the call does
    not have are refused. `limited=False`: calls are not counted.
    `without_database`: while the database is away, who was let in a moment ago is let in.
    """
    wanted = frozenset(needed)

    async def check(request: Request) -> None:
        access = await _access(request, wanted, without_database)
        request.state.access = access
        if limited:
            limits: RateLimits = request.app.state.rate_limits
            request.state.standing = limits.count(access, _address(request))
        refuse_odd(request)

    check.__name__ = f"scope_{'_or_'.join(needed)}"
    return check


def access_of(request: Request) -> Access:
    """Who makes a request that `scope` let pass."""
    access: Access = request.state.access
    return access


def speaks_for(request: Request, user_ids: Collection[str | None]) -> bool:
    """Whether the caller may be told of the users that it names, or of the visit if it names none.

    A public key may not, unless it proves with a token that it speaks for the user. Raises UserTokenNeeded
    where the service asks for tokens and this one is not the users'.
    """
    if not access_of(request).public:
        return True
    named = {user_id for user_id in user_ids if user_id is not None}
    secret: str | None = request.app.state.user_token_secret
    if not named or secret is None:
        return False
    check_token(secret, request.headers.get("x-user-token"), named)
    return True


async def _access(request: Request, wanted: frozenset[str], without_database: bool) -> Access:
    limits: RateLimits = request.app.state.rate_limits
    admin_key: str | None = request.app.state.admin_key
    caller = caller_of(request)
    # Stored keys are too long to be guessed. That of the settings was chosen by a person: whoever tries too
    # many is not compared with it any more, while the shop's own keys go on working from behind one proxy.
    if admin_key is not None and caller.secret is not None and not limits.guesses_left(_address(request)):
        admin_key = ""  # nobody's: a caller without any key never gets this far
    remembered: RememberedKeys = request.app.state.remembered_keys
    try:
        access = await get_edge(request).read(authorize, caller, wanted, admin_key)
    except Unavailable:
        known = remembered.recall(caller) if without_database else None
        if known is None:
            raise
        return allowed(known, wanted)
    except Unauthorized:
        remembered.forget(caller)
        if caller.secret is not None:
            limits.count_wrong_key(_address(request))
        raise
    remembered.remember(caller, access)
    return access


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"
