"""Every route × every kind of caller. A route that the table does not name fails the test."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.main import ROUTERS
from tests.api.conftest import ENGINES, new_database
from tests.api.serving import assert_problem, serving

TABLE = """
track ingest        POST   /v1/interactions
track ingest        POST   /v1/interactions/batch
ingest              POST   /v1/orders
ingest query        GET    /v1/users
ingest              POST   /v1/users/batch
ingest              PUT    /v1/users/{user_id}
ingest              PATCH  /v1/users/{user_id}
ingest query        GET    /v1/users/{user_id}
ingest              DELETE /v1/users/{user_id}
ingest query        GET    /v1/users/{user_id}/interactions
ingest query        GET    /v1/users/{user_id}/relations
ingest              PUT    /v1/users/{user_id}/relations/{other_id}
ingest              DELETE /v1/users/{user_id}/relations/{other_id}
ingest              POST   /v1/users/{user_id}/merge
ingest              POST   /v1/users/{user_id}/corrections
ingest query        GET    /v1/users/{user_id}/corrections
ingest              DELETE /v1/users/{user_id}/corrections/{correction_id}
ingest              DELETE /v1/sessions/{session_id}
-                   GET    /v1/users/{user_id}/export
-                   GET    /v1/privacy/receipts
-                   GET    /v1/privacy/receipts/{receipt_id}
ingest query        GET    /v1/items
ingest              POST   /v1/items/batch
ingest              PUT    /v1/items/{item_id}
ingest              PATCH  /v1/items/{item_id}
ingest query        GET    /v1/items/{item_id}
ingest              DELETE /v1/items/{item_id}
ingest              POST   /v1/import/users
ingest              POST   /v1/import/items
ingest              POST   /v1/import/interactions
track query         GET    /v1/users/{user_id}/recommendations
track query         POST   /v1/recommendations
query               POST   /v1/recommendations/batch
query               POST   /v1/rankings
query               GET    /v1/scenarios
query               GET    /v1/scenarios/{name}
-                   PUT    /v1/scenarios/{name}
-                   DELETE /v1/scenarios/{name}
query               GET    /v1/scenarios/{name}/versions
-                   POST   /v1/scenarios/{name}/restore
track query         GET    /v1/items/{item_id}/similar
query               GET    /v1/users/{user_id}/similar
track query         GET    /v1/popular
track query         GET    /v1/trending
track query         GET    /v1/latest
query               GET    /v1/users/{user_id}/predictions
query               GET    /v1/predictions
query               GET    /v1/predictions/models
query               GET    /v1/predictions/features
query               POST   /v1/predictions/ratings
query               GET    /v1/users/{user_id}/profile
query               GET    /v1/segments
query               GET    /v1/segments/{segment_id}
query               GET    /v1/segments/{segment_id}/users
query               GET    /v1/users/{user_id}/segments
query               GET    /v1/segment-rules
query               GET    /v1/segment-rules/fields
query               POST   /v1/segment-rules/preview
-                   PUT    /v1/segment-rules/{segment}
query               GET    /v1/segment-rules/{segment}
-                   DELETE /v1/segment-rules/{segment}
query               GET    /v1/rules
track query         GET    /v1/items/{item_id}/bought-together
track query         POST   /v1/bought-together
query               GET    /v1/forecasts/sales
query               GET    /v1/forecasts/demand
query               GET    /v1/items/{item_id}/forecast
query               GET    /v1/reports/sales
query               GET    /v1/reports/cohorts
query               GET    /v1/reports/items
query               GET    /v1/reports/categories
query               GET    /v1/reports/recommendations
-                   POST   /v1/training-runs
-                   GET    /v1/training-runs
-                   GET    /v1/training-runs/{run_id}
-                   DELETE /v1/training-runs/{run_id}
query               GET    /v1/models
query               GET    /v1/models/{version}
-                   POST   /v1/models/{version}/activate
-                   POST   /v1/keys
-                   GET    /v1/keys
-                   DELETE /v1/keys/{key_id}
-                   POST   /v1/keys/{key_id}/rotate
-                   GET    /v1/audit-log
anybody             GET    /health/live
anybody             GET    /health/ready
query               GET    /metrics
anybody             GET    /docs
anybody             GET    /docs/static/{name}
anybody             GET    /openapi.json
"""
"""The scopes that open each route, beside `admin`."""
NOT_JSON = b'{"secret": \xff'
QUERY = {"limit": "many", "n": "many", "window": "\x00"}


def _table() -> dict[tuple[str, str], frozenset[str]]:
    rows = [line.rsplit(maxsplit=2) for line in TABLE.split("\n") if line]
    return {(method, path): frozenset(scopes.split()) - {"-"} for scopes, method, path in rows}


ROUTES = _table()


@dataclass(frozen=True)
class Guarded:
    """A service with keys of all kinds."""

    client: TestClient
    valid: dict[str, str]
    """Secrets by scope."""
    invalid: dict[str, dict[str, Any]]
    """Headers by what is wrong with them."""


@pytest.fixture(scope="module", params=ENGINES)
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    with (
        new_database(request, request.param, folder, None) as url,
        serving(url, folder / "artifacts", wrong_key_limit="", admin_key="of the settings") as client,
    ):

        def make(scope: str, **fields: Any) -> dict[str, Any]:
            made = client.post(
                "/v1/keys",
                json={"name": scope, "scopes": [scope], **fields},
                headers={"X-API-Key": "of the settings"},
            )
            assert made.status_code == 201, made.text
            body: dict[str, Any] = made.json()
            return body

        valid = {scope: make(scope)["key"] for scope in ("track", "ingest", "query", "admin")}
        revoked = make("admin")
        client.delete(f"/v1/keys/{revoked['key_id']}", headers={"X-API-Key": valid["admin"]})
        expired = make("admin", expires_at="2020-01-01T00:00:00Z")
        invalid: dict[str, dict[str, Any]] = {
            "none": {},
            "wrong": {"X-API-Key": "vt_" + "A" * 43},
            "cut": {"X-API-Key": valid["admin"][:-1]},
            "in the query": {"X-Forwarded-For": "127.0.0.1"},
            "revoked": {"Authorization": f"Bearer {revoked['key']}"},
            "expired": {"Authorization": f"Bearer {expired['key']}"},
        }
        yield Guarded(client, valid, invalid)


def test_the_table_names_every_route(guarded: Guarded) -> None:
    served = {
        (method, route.path)
        for module in ROUTERS
        for route in module.router.routes
        for method in route.methods
    }
    paths = guarded.client.get("/openapi.json").json()["paths"]
    documented = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert served | documented | {("GET", "/openapi.json")} == set(ROUTES)


def _ask(guarded: Guarded, route: tuple[str, str], headers: dict[str, Any]) -> Any:
    """A call of which everything but the key is wrong: what is refused for its key is not looked at."""
    method, path = route
    named = path.replace("{", "").replace("}", "")
    body = NOT_JSON if method in ("POST", "PUT", "PATCH") else None
    query = QUERY | {"api_key": guarded.valid["admin"], "key": guarded.valid["admin"]}
    return guarded.client.request(method, named, params=query, content=body, headers=headers)


@pytest.mark.parametrize("kind", ["none", "wrong", "cut", "in the query", "revoked", "expired"])
def test_without_a_valid_key_nothing_is_looked_at(guarded: Guarded, kind: str) -> None:
    for route, scopes in ROUTES.items():
        response = _ask(guarded, route, guarded.invalid[kind])
        if "anybody" in scopes:
            assert response.status_code in (200, 404), route
        else:
            assert_problem(response, 401, "unauthorized")


@pytest.mark.parametrize("scope", ["track", "ingest", "query", "admin"])
def test_each_scope_opens_its_own_routes_alone(guarded: Guarded, scope: str) -> None:
    for route, scopes in ROUTES.items():
        response = _ask(guarded, route, {"X-API-Key": guarded.valid[scope]})
        if scope == "admin" or {scope, "anybody"} & scopes:
            assert response.status_code not in (401, 403, 429, 500, 503), (route, response.text)
        else:
            assert_problem(response, 403, "forbidden")
            assert guarded.valid[scope] not in response.text
