"""Routes that are asked often: as FastAPI documents them, without its general way to their parameters."""

from collections.abc import Awaitable, Callable, Coroutine
from inspect import signature
from typing import Any, get_args, get_type_hints

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError

_Check = Callable[[Request], Awaitable[None]]


class DirectRoute(APIRoute):
    """A route whose endpoint takes the request, parts of the path, and at most one model of the query.

    Its dependencies are async functions of the request, awaited first, for what they refuse. FastAPI looks at
    every call for whatever else an endpoint might take, which takes a third of a millisecond.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        checks: list[_Check] = [depends.dependency for depends in self.dependencies if depends.dependency]
        takes = _Takes(self.endpoint)
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            for check in checks:
                await check(request)
            answered: Response = await endpoint(**takes.values(request))
            return answered

        return handle


class _Takes:
    """What an endpoint takes, by the annotations of its parameters."""

    def __init__(self, endpoint: Callable[..., Any]) -> None:
        self._request = ""
        self._path: dict[str, TypeAdapter[Any]] = {}
        self._query: dict[str, type[BaseModel]] = {}
        hints = get_type_hints(endpoint, include_extras=True)
        for name in signature(endpoint).parameters:
            kind = (get_args(hints[name]) or (hints[name],))[0]
            if kind is Request:
                self._request = name
            elif isinstance(kind, type) and issubclass(kind, BaseModel):
                self._query[name] = kind
            else:
                self._path[name] = TypeAdapter(hints[name])

    def values(self, request: Request) -> dict[str, Any]:
        """The arguments of a call; raises RequestValidationError, as FastAPI does."""
        values: dict[str, Any] = {self._request: request}
        errors: list[Any] = []
        for name, adapter in self._path.items():
            try:
                values[name] = adapter.validate_python(request.path_params[name])
            except ValidationError as error:
                errors += _at(error, "path", name)
        for name, model in self._query.items():
            try:
                values[name] = model.model_validate(dict(request.query_params))
            except ValidationError as error:
                errors += _at(error, "query")
        if errors:
            raise RequestValidationError(errors)
        return values


def _at(error: ValidationError, *where: str) -> list[Any]:
    """The errors, each with its place in the request."""
    return [{**each, "loc": (*where, *each["loc"])} for each in error.errors(include_url=False)]
