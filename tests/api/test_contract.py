"""The service against its own OpenAPI document: Schemathesis makes up requests, good and bad."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, note, settings
from schemathesis.generation.hypothesis.builder import HypothesisTestConfig, HypothesisTestMode, create_test
from schemathesis.python.asgi import shutdown_lifespans
from starlette.testclient import TestClient

from app.core.settings import Settings
from app.main import create_app
from tests.api.conftest import ENGINES, new_database
from tests.api.contract import DOCUMENT, KEY, excluded_checks
from tests.api.serving import assert_problem

schema = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = {
    f"{method.upper()} {path}": schema[path][method]
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
}


@pytest.fixture(scope="module")
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, FastAPI]]:
    """The application on each engine. Both get the same requests: to make them up is most of the work."""
    folder = tmp_path_factory.mktemp("served")
    with ExitStack() as stack:
        made = {}
        for engine in ENGINES:
            url = stack.enter_context(new_database(request, engine, folder, None))
            chosen = Settings(
                database_url=url, artifacts=folder / "a", admin_key=KEY, access_log=False, log_level="error"
            )
            made[engine] = create_app(chosen)
        yield made
        shutdown_lifespans()


@pytest.mark.parametrize("label", OPERATIONS)
def test_answers_are_as_documented(label: str, served: dict[str, FastAPI]) -> None:
    # Not `schema.parametrize()`: that makes the requests up while tests are collected, in every worker.
    config = HypothesisTestConfig(project=schema.config, modes=list(HypothesisTestMode))
    create_test(operation=OPERATIONS[label], test_func=check_operation, config=config)(served=served)


@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def check_operation(case: schemathesis.Case[Any], served: dict[str, FastAPI]) -> None:
    for engine, app in served.items():
        note(engine)
        response = case.call(app=app, headers={"X-API-Key": KEY})
        case.validate_response(response, excluded_checks=excluded_checks(case, response))


def test_paths_name_all_their_methods(steady: TestClient) -> None:
    for path, allowed in (
        ("/v1/users/a%2Fb", "DELETE, GET, PATCH, PUT"),
        ("/v1/users/batch", "DELETE, GET, PATCH, POST, PUT"),
        ("/v1/keys", "GET, POST"),
        ("/v1/orders", "POST"),
        ("/docs", "GET"),
    ):
        refused = steady.options(path)
        assert_problem(refused, 405, "method_not_allowed")
        assert refused.headers["allow"] == allowed
