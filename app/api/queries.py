"""Query parameters that are misspelt or there twice are refused, so that nothing is lost silently."""

from collections import Counter
from collections.abc import Callable
from typing import Any, get_args, get_origin

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.core.errors import InputError, InvalidInput, pointed

_KNOWN: dict[Callable[..., Any], dict[str, bool]] = {}
"""The query parameters of each endpoint that was asked so far, and whether they take several values."""
_MOST = 20
"""Parameters that an answer names."""


def refuse_odd(request: Request) -> None:
    """Raise InvalidInput that names the parameters that the route does not have.

    Or that are there twice, where it takes but one: the others would be lost.
    """
    if not request.scope["query_string"]:
        return
    route: APIRoute = request.scope["route"]
    known = _KNOWN.get(route.endpoint)
    if known is None:
        known = _KNOWN[route.endpoint] = _names(route)
    if len(request.query_params.multi_items()) > len(request.query_params):
        counts = Counter(name for name, _ in request.query_params.multi_items())
        twice = [name for name, count in counts.items() if count > 1 and not known.get(name)]
        if twice:
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


def _names(route: APIRoute) -> dict[str, bool]:
    """The query parameters of a route and of all that it depends on, and whether they take several values."""
    names: dict[str, bool] = {}
    waiting = [route.dependant]
    while waiting:
        one = waiting.pop()
        waiting += one.dependencies
        for field in one.query_params:
            kind = field.field_info.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                parts = kind.model_fields.items()
                names |= {part.alias or name: _is_list(part.annotation) for name, part in parts}
            else:
                names[field.alias] = _is_list(kind)
    return names


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(_is_list(part) for part in get_args(annotation))
