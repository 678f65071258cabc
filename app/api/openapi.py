"""The OpenAPI document: what FastAPI finds out, and the schemas of bodies that handlers read themselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from app.api.edge import BODY_MODELS
from app.api.links import add_links

DESCRIPTION = """
Personalisation for storefronts: send users, items and interactions; ask for recommendations,
similar items, segments and predictions.

**Keys.** Give one as `Authorization: Bearer KEY` or `X-API-Key: KEY`. Until the first key exists, calls
from the machine itself need none. A `track` key is for web pages: where the service asks for it, it names a
user only with that user's token in `X-User-Token`. Beyond a limit, calls get 429 with `Retry-After`.

**Errors** are `application/problem+json` (RFC 9457) with a stable `code`; input errors
name each place in `errors`. **Lists** page by `cursor` and `limit`. **Times** are
RFC 3339 in UTC. **Ids** are the shop's own, 1-256 characters; percent-encode them in paths.
"""

TAGS = [
    {"name": "Ingest", "description": "Send users, items, interactions and orders."},
    {"name": "Ask", "description": "Recommendations, similar things, lists, segments and predictions."},
    {"name": "Privacy", "description": "Erasure, receipts of it, and all that is held of a person."},
    {"name": "Run", "description": "Training runs, model versions, keys, the audit log."},
    {"name": "Operate", "description": "Health and metrics."},
]


def set_up_openapi(app: FastAPI) -> None:
    """Let `app.openapi()` answer the whole document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, tags=TAGS
    )
    models = sorted(BODY_MODELS, key=lambda model: model.__name__)
    _, bodies = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(bodies["$defs"])
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    document["security"] = [{"bearer": []}, {"api_key": []}, {}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _only_problem_json(operation)
            if path.startswith("/health"):
                operation["security"] = []
    add_links(document)
    return document


def _only_problem_json(operation: dict[str, Any]) -> None:
    """Problems come as problem+json alone; FastAPI lists the models of answers as application/json too."""
    for status, response in operation["responses"].items():
        content = response.get("content", {})
        if "application/problem+json" in content and int(status) >= 400:
            content["application/problem+json"] = content.pop(
                "application/json", content["application/problem+json"]
            )
