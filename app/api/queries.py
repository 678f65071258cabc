"""Query parameters that are misspelt or there twice are refused, so that nothing is lost silently."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.core.errors import InputError, InvalidInput, pointed

_KNOWN: dict[Callable[..., Any], frozenset[str]] = {}
"""The query parameters of each endpoint that was asked so far."""
_MOST = 20
"""Parameters that an answer names."""


def refuse_odd(request: Request) -> None:
    """Raise InvalidInput that names the parameters that the route does not have, or that are there twice.

    No call takes a list in its query: of several values all but one would be lost.
    """
    if not request.scope["query_string"]:
        return
    route: APIRoute = request.scope["route"]
    known = _KNOWN.get(route.endpoint)
    if known is None:
        known = _KNOWN[route.endpoint] = _names(route)
    if len(request.query_params.multi_items()) > len(request.query_params):
        counts = Counter(name for name, _ in request.query_params.multi_items())
        twice = [name for name, count in counts.items() if count > 1]
        raise InvalidInput(
            f"Parameter '{twice[0][:100]}' is in the query more than once.",
            [_error(name, "repeated_parameter", "Give this parameter once") for name in twice[:_MOST]],
        )
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        there_are = f"there are: {', '.join(sorted(known))}" if known else "it has none"
        raise InvalidInput(
            f"Unknown parameter '{unknown[0][:100]}' in the query; {there_are}.",
            [
                _error(name, "unknown_parameter", "This call has no such parameter")
                for name in unknown[:_MOST]
            ],
        )


def _error(name: str, code: str, detail: str) -> InputError:
    return InputError(f"/query/{pointed(name[:100])}", code, detail)


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
