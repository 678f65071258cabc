"""The OpenAPI document and its page: complete, true of the service, and at home without internet."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient


@pytest.fixture(scope="module")
def document(steady: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = steady.get("/openapi.json").json()
    return found


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield f"{method} {path}", operation


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    names = [operation["operationId"] for _, operation in _operations(document)]
    assert len(set(names)) == len(names) > 30
    for where, operation in _operations(document):
        assert operation["summary"], where
        assert operation["description"].endswith("."), where
        assert operation["tags"], where
        assert set(operation["tags"]) <= tags, where
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                assert parameter["description"], where
        for media in operation.get("requestBody", {}).get("content", {}).values():
            assert media["example"], where


def test_every_call_that_takes_a_body_says_so(document: dict[str, Any]) -> None:
    bodiless = {"post /v1/training-runs", "post /v1/models/{version}/activate"}
    for where, operation in _operations(document):
        if where.split()[0] in ("post", "put", "patch") and where not in bodiless:
            # A stream may be empty.
            assert operation["requestBody"].get("required", False) is ("/import/" not in where), where


def test_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    checked = 0
    for where, operation in _operations(document):
        for media, content in operation.get("requestBody", {}).get("content", {}).items():
            if media == "application/json":
                schema = {**content["schema"], "components": document["components"]}
                errors = [
                    error.message for error in Draft202012Validator(schema).iter_errors(content["example"])
                ]
                assert not errors, (where, errors)
                checked += 1
    assert checked > 10


def test_examples_are_accepted(document: dict[str, Any], steady: TestClient) -> None:
    for where, operation in _operations(document):
        method, path = where.split()
        if "requestBody" not in operation or path == "/v1/keys":
            continue
        for media, content in operation["requestBody"]["content"].items():
            example = content["example"]
            body = json.dumps(example) if media == "application/json" else example
            for name, value in (
                ("{user_id}", "ana"),
                ("{other_id}", "bo"),
                ("{item_id}", "mug"),
                ("{segment}", "big-spenders"),
                ("{name}", "home"),
            ):
                path = path.replace(name, value)
            response = steady.request(method, path, content=body)
            assert response.status_code in (200, 201, 404, 409), (where, response.text)
            assert response.json().get("rejected", 0) == 0, where


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert named <= schemas.keys()
    assert "HTTPValidationError" not in schemas


def test_problems_are_documented_as_problems(document: dict[str, Any]) -> None:
    for where, operation in _operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400 and where != "get /health/ready":
                assert list(response["content"]) == ["application/problem+json"], (where, status)
                schema = response["content"]["application/problem+json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}


def test_the_page_works_without_internet(steady: TestClient) -> None:
    page = steady.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert not re.findall(r"(?:https?:)?//[a-z]", page.text), "no address of another host"
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(files) == 3
    for file, kind in zip(sorted(files), ("image/png", "text/javascript", "text/css"), strict=True):
        found = steady.get(file)
        assert found.status_code == 200
        assert found.headers["content-type"].startswith(kind)
        assert len(found.content) > 500
    script = steady.get("/docs/static/swagger-ui-bundle.js").text
    assert "SwaggerUIBundle" in script
    assert not re.findall(r"@import|url\(['\"]?https?:", steady.get("/docs/static/swagger-ui.css").text)
