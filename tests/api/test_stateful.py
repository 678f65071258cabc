"""The links of the OpenAPI document: true, and followed from call to call on both engines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.simulation.config import ShopConfig
from tests.api.conftest import ENGINES, new_database
from tests.api.contract import DOCUMENT
from tests.fuzz.stateful import Found, application, fill, machine_of, play


def _links() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                for link in response.get("links", {}).values():
                    yield f"{method} {path} {status}", operation, link


def test_links_name_operations_and_their_parameters() -> None:
    operations = {
        operation["operationId"]: operation
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
    }
    followed = 0
    for where, source, link in _links():
        target = operations[link["operationId"]]
        taken = {parameter["name"] for parameter in target.get("parameters", [])}
        assert set(link.get("parameters", {})) <= taken, where
        assert ("requestBody" in link) is ("parameters" not in link), where
        given = {parameter["name"] for parameter in source.get("parameters", [])}
        for expression in link.get("parameters", {}).values():
            place, _, name = expression.rpartition(".")
            assert expression.startswith(("$response.body#/", "$request.body#/")) or (
                place == "$request.path" and name in given
            ), where
        followed += 1
    assert followed > 60


@pytest.mark.parametrize("engine", ENGINES)
def test_calls_that_follow_one_another(request: pytest.FixtureRequest, engine: str, tmp_path: Path) -> None:
    found = Found()
    with new_database(request, engine, tmp_path, None) as url:
        fill(url, tmp_path, ShopConfig(users=6, items=8, interactions=60, days=30), trained=False)
        with application(url, tmp_path) as app:
            play(machine_of(app, found), 1, 12, 12)
    assert not found.failures, "\n".join(found.lines())
    assert found.calls.total() > 60
