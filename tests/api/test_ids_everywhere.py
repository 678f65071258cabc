"""Each path that holds an id takes any id there is, byte for byte as a client may encode it."""

import json
from typing import Any
from urllib.parse import quote, unquote

import anyio
import pytest
from starlette.testclient import TestClient

from tests.api.contract import DOCUMENT

IDS = [
    *("/", "a/../b%2F%00?#&=;+ c", "100%", ".", "..", "batch"),
    *("🛍️👩‍👩‍👧\u200fيمين\u202etxt\ufeff", "🛍" * 256),
]
"""`test_ids.py` has more of them, on the paths that write and read."""
SHOPS = {"user_id", "item_id", "session_id", "other_id"}
"""Parameters that are the shop's ids; the others are names that Vitrine gives or bounds."""
OPERATIONS = [
    (method.upper(), path, [one["name"] for one in operation["parameters"] if one["in"] == "path"])
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if "{" in path
]
BODIES: dict[str, Any] = {
    "/v1/users/{user_id}/merge": {"session_id": "s-0"},
    "/v1/users/{user_id}/corrections": {"kind": "not_interested", "item_id": "thing"},
    "/v1/scenarios/{name}": {"settings": {}},
    "/v1/scenarios/{name}/restore": {"version": 1},
    "/v1/segment-rules/{segment}": {"name": "x", "filter": "monetary > 1"},
}


def ask(client: TestClient, method: str, raw: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    """Status and body of a call whose path reaches the application as it is: clients tidy dots away."""

    async def call() -> tuple[int, dict[bytes, bytes], bytes]:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(raw, errors="replace"),
            "raw_path": raw.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 80),
            "state": dict(client.app_state),
        }
        sent: list[Any] = []

        waiting = [{"type": "http.request", "body": json.dumps(body or {}).encode(), "more_body": False}]

        async def receive() -> dict[str, Any]:
            if not waiting:
                await anyio.sleep_forever()  # the client stays, and says no more
            return waiting.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        await client.app(scope, receive, send)
        content = b"".join(message.get("body", b"") for message in sent)
        return sent[0]["status"], dict(sent[0]["headers"]), content

    assert client.portal is not None
    status, headers, content = client.portal.call(call)
    return status, json.loads(content) if headers.get(b"content-type", b"").endswith(b"json") else {}


def filled(path: str, values: dict[str, str]) -> str:
    """The path with everything in its ids encoded, dots too."""
    for name, value in values.items():
        path = path.replace("{" + name + "}", quote(value, safe="").replace(".", "%2E"))
    return path


@pytest.mark.parametrize("external_id", IDS, ids=ascii)
def test_every_path_takes_every_id(steady: TestClient, external_id: str) -> None:
    assert ask(steady, "PUT", "/v1/items/thing", {})[0] == 200
    for method, path, names in OPERATIONS:
        values = dict.fromkeys(names, external_id) | ({"user_id": "owner"} if "other_id" in names else {})
        for kind, name in (("users", "user_id"), ("items", "item_id")):
            if name in names:
                assert ask(steady, "PUT", filled(f"/v1/{kind}/{{{name}}}", values), {})[0] == 200
        if "session_id" in names or path.endswith("/merge"):
            event = {"session_id": values.get("session_id", "s-0"), "item_id": "thing", "event": "view_item"}
            assert ask(steady, "POST", "/v1/interactions", event)[0] == 201
        body = BODIES.get(path) if method in ("POST", "PUT") else None
        status, answer = ask(steady, method, filled(path, values), body)
        assert status < 500, (method, path, answer)
        assert answer.get("code") not in ("no_such_path", "method_not_allowed"), (method, path)
        if set(names) <= SHOPS:
            assert status in (200, 201, 204, 404, 409), (method, path, answer)
            # Not found is a tie, a forecast or a correction, never the one whom the path names.
            assert status != 404 or not path.endswith(("{user_id}", "{item_id}", "{session_id}")), answer
        else:
            assert status in (200, 201, 204, 404, 409, 422), (method, path, answer)
        for name, value in values.items():
            if name in SHOPS and status == 200 and name in answer:
                assert answer[name] == value, (method, path)


@pytest.mark.parametrize("bad", ["x" * 257, "🛍" * 257, "a\x00", "\n", "\x85", "a\x1fb"], ids=ascii)
def test_no_path_takes_what_is_no_id(steady: TestClient, bad: str) -> None:
    for method, path, names in OPERATIONS:
        for name in names:
            others = dict.fromkeys(names, "fine")
            status, answer = ask(steady, method, filled(path, others | {name: bad}), BODIES.get(path))
            assert status == 422, (method, path)
            assert f"/path/{name}" in [error["pointer"] for error in answer["errors"]], (method, path)


def test_no_id_at_all_names_nothing(steady: TestClient) -> None:
    ask(steady, "PUT", "/v1/users/only", {})
    for method, path, names in OPERATIONS:
        for name in names:
            raw = filled(path, {other: "fine" for other in names if other != name}).replace(f"{{{name}}}", "")
            status, answer = ask(steady, method, raw, BODIES.get(path))
            assert (status, answer.get("code")) in (
                *((404, "no_such_path"), (405, "method_not_allowed")),
                (307, None),  # to the list
            ), raw
    assert ask(steady, "GET", "/v1/users/only")[0] == 200
