"""Every error as RFC 9457 `application/problem+json`."""

import re
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.api.headers import set_security_headers
from app.core.errors import AppError, InputError, InvalidInput, SlowBody, TooManyRequests
from app.schemas.fields import Problem

log = structlog.get_logger(__name__)


def problem(error: AppError) -> Response:
    """The answer for an error."""
    headers = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.status == 503:
        headers["Retry-After"] = "1"
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.retry_after)
        headers |= {name.decode(): value.decode() for name, value in error.standing}
    if isinstance(error, SlowBody):
        headers["Connection"] = "close"
    return Response(orjson.dumps(error.problem()), error.status, headers, "application/problem+json")


class _HttpError(AppError):
    def __init__(self, status: int, code: str, title: str, detail: str) -> None:
        super().__init__(detail)
        self._fields = {"status": status, "code": code, "title": title}

    def problem(self) -> dict[str, Any]:
        return super().problem() | self._fields


async def _on_app_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)  # noqa: S101 (registered for it)
    return problem(error)


async def _on_parameters(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 (registered for it)
    found = [
        InputError("".join(f"/{part}" for part in detail["loc"]), detail["type"], detail["msg"])
        for detail in error.errors()
    ]
    return problem(InvalidInput(f"{found[0].detail} at {found[0].pointer}.", found))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for it)
    if error.status_code == 404:
        fields = (404, "no_such_path", "Not found", f"Nothing answers at {request.url.path}.")
    elif error.status_code == 405:
        fields = (405, "method_not_allowed", "Method not allowed", f"{request.method} is not for this path.")
    else:
        fields = (error.status_code, "http_error", str(error.detail), str(error.detail))
    body = _HttpError(*fields).problem()
    headers = dict(error.headers or {})
    if "Allow" in headers:
        headers["Allow"] = ", ".join(sorted({headers["Allow"], *_methods_at(request)}))
    return Response(orjson.dumps(body), error.status_code, headers, "application/problem+json")


def _methods_at(request: Request) -> set[str]:
    """Methods of all operations at the request's path: the routing names those of the first one only."""
    paths: dict[str, dict[str, Any]] = request.app.openapi()["paths"]
    return {
        method.upper()
        for path, operations in paths.items()
        if re.fullmatch(re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(path)), request.scope["path"])
        for method in operations
    }


async def _on_anything(request: Request, error: Exception) -> Response:
    log.error("unexpected_error", exc_info=error)
    answer = problem(AppError("Something went wrong here; the log has it under this request's id."))
    # This answer is made outside of the middleware that gives all others their id and their headers.
    answer.headers["X-Request-ID"] = structlog.contextvars.get_contextvars().get("request_id", "")
    set_security_headers(answer.headers, request.app.state.hsts_seconds)
    return answer


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error of the application as a problem."""
    app.add_exception_handler(AppError, _on_app_error)
    app.add_exception_handler(RequestValidationError, _on_parameters)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_anything)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI of the problems that a call may answer, beside those that every call may."""
    always = (401, 403, 422, 429, 500, 503)
    of_bodies = (408, 415) if 413 in statuses else ()
    return {
        status: {
            "description": _TITLES[status],
            "model": Problem,
            "content": {"application/problem+json": {}},
        }
        for status in sorted({*always, *of_bodies, *statuses})
    }


_TITLES = {
    400: "Malformed JSON or path",
    401: "No valid key",
    403: "The key lacks the scope",
    404: "Not found",
    408: "The body comes too slowly",
    409: "Does not fit the state",
    413: "Body too large",
    415: "The body is compressed",
    422: "Invalid input; `errors` names each place",
    429: "Too many calls; try again after `Retry-After` seconds",
    500: "Internal error",
    503: "Temporarily unavailable; try again after `Retry-After` seconds",
}
