"""OpenAPI links: which call goes on from which answer, with what of it."""

from typing import Any, Final

_USER: Final = {"user_id": "$response.body#/user_id"}
_ITEM: Final = {"item_id": "$response.body#/item_id"}
_KEY: Final = {"key_id": "$response.body#/key_id"}
_RUN: Final = {"run_id": "$response.body#/run_id"}
_NAME: Final = {"name": "$response.body#/name"}
_RULE: Final = {"segment": "$response.body#/segment"}
_RECEIPT: Final = {"receipt_id": "$response.body#/receipt_id"}
_SEGMENT: Final = {"segment_id": "$response.body#/segment_id"}
_TIE: Final = {"user_id": "$request.path.user_id", "other_id": "$request.path.other_id"}
_VERSION: Final = {"version": "$response.body#/models/0/version"}
_SENDER: Final = {"user_id": "$request.body#/user_id"}
_CHOICE: Final = {
    "recommendation_id": "$response.body#/recommendation_id",
    "item_id": "$response.body#/items/0/item_id",
    "event": "click",
}

_LINKS: Final[dict[str, dict[str, dict[str, str]]]] = {
    "put /v1/users/{user_id}": {
        "get /v1/users/{user_id}": _USER,
        "patch /v1/users/{user_id}": _USER,
        "delete /v1/users/{user_id}": _USER,
        "get /v1/users/{user_id}/recommendations": _USER,
        "get /v1/users/{user_id}/profile": _USER,
        "get /v1/users/{user_id}/export": _USER,
        "post /v1/users/{user_id}/corrections": _USER,
    },
    "delete /v1/users/{user_id}": {"get /v1/privacy/receipts/{receipt_id}": _RECEIPT},
    "delete /v1/sessions/{session_id}": {"get /v1/privacy/receipts/{receipt_id}": _RECEIPT},
    "put /v1/users/{user_id}/relations/{other_id}": {
        "get /v1/users/{user_id}/relations": {"user_id": "$request.path.user_id"},
        "delete /v1/users/{user_id}/relations/{other_id}": _TIE,
    },
    "post /v1/users/{user_id}/corrections": {
        "get /v1/users/{user_id}/corrections": _USER,
        "delete /v1/users/{user_id}/corrections/{correction_id}": {
            **_USER,
            "correction_id": "$response.body#/correction_id",
        },
    },
    "put /v1/items/{item_id}": {
        "get /v1/items/{item_id}": _ITEM,
        "patch /v1/items/{item_id}": _ITEM,
        "delete /v1/items/{item_id}": _ITEM,
        "get /v1/items/{item_id}/similar": _ITEM,
        "get /v1/items/{item_id}/bought-together": _ITEM,
        "get /v1/items/{item_id}/forecast": _ITEM,
    },
    "post /v1/interactions": {
        "get /v1/users/{user_id}/interactions": _SENDER,
        "get /v1/users/{user_id}/recommendations": _SENDER,
        "delete /v1/sessions/{session_id}": {"session_id": "$request.body#/session_id"},
    },
    "post /v1/orders": {
        "get /v1/users/{user_id}/interactions": _SENDER,
        "get /v1/users/{user_id}/recommendations": _SENDER,
    },
    "put /v1/scenarios/{name}": {
        "get /v1/scenarios/{name}": _NAME,
        "get /v1/scenarios/{name}/versions": _NAME,
        "post /v1/scenarios/{name}/restore": _NAME,
        "delete /v1/scenarios/{name}": _NAME,
        "get /v1/users/{user_id}/recommendations": {"scenario": "$response.body#/name"},
    },
    "put /v1/segment-rules/{segment}": {
        "get /v1/segment-rules/{segment}": _RULE,
        "delete /v1/segment-rules/{segment}": _RULE,
        "get /v1/segments/{segment_id}": _SEGMENT,
        "get /v1/segments/{segment_id}/users": _SEGMENT,
    },
    "get /v1/segments": {
        "get /v1/segments/{segment_id}/users": {"segment_id": "$response.body#/segments/0/segment_id"}
    },
    "post /v1/training-runs": {
        "get /v1/training-runs/{run_id}": _RUN,
        "delete /v1/training-runs/{run_id}": _RUN,
    },
    "get /v1/models": {
        "get /v1/models/{version}": _VERSION,
        "post /v1/models/{version}/activate": _VERSION,
    },
    "post /v1/keys": {
        "delete /v1/keys/{key_id}": _KEY,
        "post /v1/keys/{key_id}/rotate": _KEY,
    },
    "post /v1/keys/{key_id}/rotate": {
        "delete /v1/keys/{key_id}": {"key_id": "$response.body#/replaces/key_id"},
    },
}
"""By call the calls that go on from it, with their parameters."""
_LISTS: Final = ("get /v1/users/{user_id}/recommendations", "post /v1/recommendations")
"""Of which a choice is reported with the id of the list."""


def add_links(document: dict[str, Any]) -> None:
    """Add the links to the successful answers of a document; lists by page go on with their `cursor`."""
    operations = {
        f"{method} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    for source, targets in _LINKS.items():
        for target, parameters in targets.items():
            _link(operations, source, target, {"parameters": parameters})
    for source in _LISTS:
        _link(operations, source, "post /v1/interactions", {"requestBody": _CHOICE})
    for name, operation in operations.items():
        queries = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
        if "cursor" in queries:
            places = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
            same = {place: f"$request.path.{place}" for place in places}
            _link(operations, name, name, {"parameters": same | {"cursor": "$response.body#/next_cursor"}})


def _link(operations: dict[str, dict[str, Any]], source: str, target: str, said: dict[str, Any]) -> None:
    function = operations[target]["operationId"].partition("_v1_")[0]
    name = "next_page" if source == target else function
    for status, response in operations[source]["responses"].items():
        if status.startswith("2"):
            link = {"operationId": operations[target]["operationId"], **said}
            response.setdefault("links", {})[name] = link
