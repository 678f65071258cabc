"""What the service's OpenAPI document promises, and the few places where the service knows better."""

import json
from typing import Any

import schemathesis
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    use_after_free,
)

from app.core.settings import Settings
from app.main import create_app

KEY = "an admin key"
BEYOND_JSON_SCHEMA = {
    *("bad_cursor", "bad_window", "same_user", "missing", "int_type"),
    *("nul_character", "not_storable", "date_out_of_range", "expires_too_early", "one_of_both", "above_max"),
    *("filter_syntax", "filter_field", "filter_parameter", "reserved", "duplicate_pin", "pin_beyond_n"),
}
"""Codes of what a schema allows and the service refuses; `missing`: one of two fields, `int_type`: 5.0."""
STAYS = {
    "GET /v1/training-runs/{run_id}": "to delete a run is to cancel it; it stays on record",
    "DELETE /v1/training-runs/{run_id}": "a run that is being worked on can be cancelled again",
    "GET /v1/users/{user_id}/recommendations": "there are lists for users whom nobody knows",
    "GET /v1/scenarios/{name}/versions": "a deleted scenario can be restored",
    "POST /v1/scenarios/{name}/restore": "the same",
}
"""Calls that rightly succeed for what was deleted, and why."""
# Only the document is asked for here: no file is opened and nothing is served.
DOCUMENT = create_app(Settings(database_url="sqlite:///unused.db")).openapi()


@schemathesis.serializer("application/x-ndjson")
def _lines(_context: object, value: object) -> bytes:
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def excluded_checks(case: schemathesis.Case[Any], response: schemathesis.Response) -> list[Any]:
    """Checks that do not apply to this answer."""
    excluded: list[Any] = []
    if case.path.endswith(("/batch", "/segment-rules/fields", "/segment-rules/preview")):
        excluded.append(allow_header_conformance)  # "batch" is an id like any other to PUT and GET
    if response.status_code == 422:
        codes = {error["code"] for error in response.json().get("errors", [])}
        if codes and codes <= BEYOND_JSON_SCHEMA:
            excluded.append(positive_data_acceptance)
    elif (case.path.endswith("/batch") and response.json().get("rejected")) or "/import/" in case.path:
        excluded.append(negative_data_rejection)  # each bad entry is named in the answer
    built_in = case.operation.label == "GET /v1/scenarios/{name}" and response.json().get("built_in")
    if case.operation.label in STAYS or built_in:  # which comes back as it was at first
        excluded.append(use_after_free)
    return excluded
