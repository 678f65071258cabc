"""Query parameters that a call does not know are refused, so that a misspelt one is not lost silently."""

from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.core.errors import InputError, InvalidInput, pointed
from app.schemas.parsing import MAX_LISTED_ERRORS

_KNOWN: dict[Callable[..., Any], frozenset[str]] = {}
"""The query parameters of each endpoint that was asked so far."""


def refuse_unknown(request: Request) -> None:
    """Raise InvalidInput that names the parameters of the request that its route does not have."""
    if not request.scope["query_string"]:
        return
    route: APIRoute = request.scope["route"]
    known = _KNOWN.get(route.endpoint)
    if known is None:
        known = _KNOWN[route.endpoint] = _names(route)
    unknown = [name for name in request.query_params if name not in known][:MAX_LISTED_ERRORS]
    if unknown:
        there_are = f"there are: {', '.join(sorted(known))}" if known else "it has none"
        raise InvalidInput(
            f"Unknown parameter '{unknown[0][:100]}' in the query; {there_are}.",
            [
                InputError(
                    f"/query/{pointed(name[:100])}", "unknown_parameter", "This call has no such parameter"
                )
                for name in unknown
            ],
        )


def _names(route: APIRoute) -> frozenset[str]:
    """The query parameters of a route and of all that it depends on."""
    names: set[str] = set()
    waiting = [route.dependant]
    while waiting:
        one = waiting.pop()
        waiting += one.dependencies
        for field in one.query_params:
            kind = field.field_info.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                names |= {part.alias or name for name, part in kind.model_fields.items()}
            else:
                names.add(field.alias)
    return frozenset(names)
