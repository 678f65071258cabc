"""The application under test, asked as a client on this machine would ask it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.routing import BaseRoute
from starlette.testclient import TestClient

from app.core.settings import Settings
from app.main import create_app


@contextmanager
def serving(
    url: str, artifacts: Path, *, host: str = "127.0.0.1", peer: str = "127.0.0.1", **settings: Any
) -> Iterator[TestClient]:
    """A client of the application, started on a migrated database and stopped at the end."""
    chosen: dict[str, Any] = {
        "access_log": False,
        "log_level": "error",
        "database_pool": 5,
        "model_poll_seconds": 60,
    }
    app = create_app(Settings(database_url=url, artifacts=artifacts, **(chosen | settings)))
    for place, shared in _routers().items():
        app.router.routes[place] = shared
    with TestClient(app, base_url=f"http://{host}", client=(peer, 50_000)) as client:
        yield client


@cache
def _routers() -> dict[int, BaseRoute]:
    """The application's routers, by place, for all applications of this process.

    FastAPI works the routes of an included router out at its first request: a fifth of a second, too long
    for each of hundreds of applications. Nothing of a router is an application's own.
    """
    routes = create_app(Settings(database_url="sqlite:///unused.db")).router.routes
    return {place: route for place, route in enumerate(routes) if hasattr(route, "original_router")}


def encoded(external_id: str) -> str:
    """An id as a part of a path."""
    return quote(external_id, safe="")


def assert_problem(response: Any, status: int, code: str, pointer: str | None = None) -> dict[str, Any]:
    """The body of a problem of this status and code that (if given) names this place."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    errors = body.get("errors", [])
    if pointer is None:
        assert body["code"] == code, body
        return body
    assert body["code"] == "invalid_input"
    assert (pointer, code) in [(error["pointer"], error["code"]) for error in errors], errors
    assert all(error["detail"] for error in errors)
    return body


def pages(client: TestClient, path: str, name: str, limit: int) -> list[list[Any]]:
    """All pages of a list, by following its cursor."""
    found: list[list[Any]] = []
    cursor = None
    while True:
        params = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        response = client.get(path, params=params)
        assert response.status_code == 200, response.text
        body = response.json()
        found.append(body[name])
        cursor = body["next_cursor"]
        if cursor is None:
            return found
        assert len(found) < 1000
