"""Texts that mean something to SQL, to logs, to terminals or to formats are nothing but texts here."""

import json
import re
import socket
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from app.cli.imports import Importing
from app.core.telemetry import escaped
from app.db.session import Database
from app.db.tables import metadata
from app.readers.csv_mapping import CsvMapping, CsvReader
from tests.api.contract import DOCUMENT
from tests.api.serving import encoded
from tests.e2e.processes import free_port, running, wait_ready

QUERIES = [
    "'; DROP TABLE users; --",
    "x') UNION SELECT key_hash FROM api_keys --",
    "1\" OR \"1\"=\"1' OR '1'='1 /*",
    "%(user_id)s %s %n {0.__class__} {x!r} ${jndi:ldap://127.0.0.1/a} :1 ? $1",
    "\\'; SELECT pg_sleep(9); --",
]
STEERING = [
    'a\n{"event": "forged"}',
    "a\r\nX-Forged: yes",
    "\x1b[2J\x1b]0;title\x07",
    "\u202egnp.exe\u2066",
    "a\u2028b\x85c",
]
NUL = "a\x00'; --"
READS = [
    (path, parameter["in"], parameter["name"], payload)
    for path, methods in DOCUMENT["paths"].items()
    if "get" in methods
    for parameter in methods["get"].get("parameters", [])
    for payload in ([*QUERIES, NUL] if "string" in str(parameter["schema"]) else QUERIES[:1])
]


@pytest.fixture(scope="module")
def canaries(steady: TestClient) -> dict[str, list[str]]:
    """What is there before, by table: nothing that is sent may change it."""
    sent: list[tuple[str, dict[str, Any]]] = [
        ("/v1/users/batch", {"users": [{"user_id": "canary", "attributes": {"a": 1}}, {"user_id": "b"}]}),
        ("/v1/items/batch", {"items": [{"item_id": "canary", "title": "A cage", "price": 5}]}),
        (
            "/v1/interactions",
            {"user_id": "canary", "item_id": "canary", "event": "purchase", "event_id": "e"},
        ),
        ("/v1/users/canary/corrections", {"kind": "not_interested", "item_id": "canary"}),
    ]
    for call, body in sent:
        answer = steady.post(call, json=body)
        assert answer.is_success, answer.text
    saved = {"name": "Canaries", "filter": "monetary > 1"}
    written: list[tuple[str, dict[str, Any]]] = [
        ("/v1/users/canary/relations/b", {}),
        ("/v1/scenarios/canary", {"settings": {}}),
        ("/v1/segment-rules/canary", saved),
    ]
    for call, body in written:
        answer = steady.put(call, json=body)
        assert answer.is_success, answer.text
    return rows(steady)


def rows(client: TestClient) -> dict[str, list[str]]:
    """Digests of all rows, by table, but for the lists that were shown."""
    database: Database = client.app.state.edge.database  # type: ignore[attr-defined]
    with database.read() as connection:
        return {
            table.name: sorted(
                sha256(repr(tuple(row)).encode()).hexdigest() for row in connection.execute(table.select())
            )
            for table in metadata.sorted_tables
            if table.name not in ("shown_recommendations", "revisions")
        }


def test_what_is_asked_changes_nothing(steady: TestClient, canaries: dict[str, list[str]]) -> None:
    before = rows(steady)
    for path, place, name, payload in READS:
        filled = path.replace("{" + name + "}", encoded(payload)) if place == "path" else path
        asked = {name: payload} if place == "query" else {}
        answer = steady.get(re.sub(r"\{\w+\}", "canary", filled), params=asked)
        assert answer.status_code < 500, (path, name, payload, answer.text)
        assert "users" not in answer.json() or len(answer.json()["users"]) <= 2
    assert rows(steady) == before


def writes(payload: str) -> Iterator[tuple[str, str, Any, str | None, int]]:
    """Calls with a text in all places that take one: method, path, body, its table, and rows if taken."""
    name, own = encoded(payload), sha256(payload.encode()).hexdigest()
    texts = {payload: payload, "list": [payload], "inner": {payload: payload}}
    event = {"user_id": own, "item_id": own, "event": "view_item", "context": texts}
    yield "PUT", f"/v1/users/{name}", {"attributes": texts}, "users", 1
    yield "PATCH", f"/v1/users/{name}", {"attributes": texts}, "users", 0
    yield "PUT", f"/v1/users/{own}", {"attributes": texts}, "users", 1
    fields = ("title", "description", "brand", "group_id")
    described = dict.fromkeys(fields, payload) | {"tags": [payload], "categories": [payload]}
    yield "PUT", f"/v1/items/{name}", {}, "items", 1
    yield "PUT", f"/v1/items/{own}", described | {"attributes": texts}, "items", 1
    yield "PUT", f"/v1/users/{own}/relations/{name}", {"kind": payload}, None, 0
    yield "POST", "/v1/interactions", event, "interactions", 1
    for field in ("session_id", "order_id", "event_id", "recommendation_id", "event", "currency"):
        yield "POST", "/v1/interactions", event | {field: payload}, None, 0
    yield "POST", "/v1/users/batch", {"users": [{"user_id": own, "attributes": texts}]}, "users", 0
    yield "POST", "/v1/import/users", {"user_id": own, "attributes": texts}, "users", 0
    yield "POST", f"/v1/users/{own}/merge", {"session_id": payload}, None, 0
    yield "POST", f"/v1/users/{own}/corrections", {"kind": "not_interested", "item_id": payload}, None, 0
    note = {"kind": "not_interested", "item_id": own, "note": payload}
    yield "POST", f"/v1/users/{own}/corrections", note, None, 0
    yield "PUT", f"/v1/scenarios/{name}", {"settings": {}, "note": payload}, None, 0
    yield "PUT", f"/v1/scenarios/{own}", {"settings": {"filter": payload}, "note": payload}, None, 0
    yield "PUT", f"/v1/segment-rules/{name}", {"name": payload, "filter": "monetary > 1"}, None, 0
    written = json.dumps(payload)
    rule = {"name": payload, "filter": f"country = {written} or {written} = `{payload}`"}
    yield "PUT", f"/v1/segment-rules/{own}", rule, None, 0
    yield "POST", "/v1/segment-rules/preview", {"filter": payload}, None, 0
    yield "POST", "/v1/keys", {"name": payload, "scopes": ["track"], "expires_at": payload}, "api_keys", 0
    asked = {"user_id": own, "category": payload, "filter": f"brand = {written} or title contains $a"}
    yield "POST", "/v1/recommendations", asked | {"parameters": {"a": payload}}, None, 0
    yield "POST", "/v1/recommendations", {"user_id": payload, "scenario": payload}, None, 0
    tree = {"field": payload, "op": "=", "value": {"parameter": payload}}
    yield "POST", "/v1/recommendations", {"filter": tree, "parameters": {payload: payload}}, None, 0
    yield "POST", "/v1/rankings", {"user_id": payload, "item_ids": [payload, "canary"]}, None, 0
    yield "POST", "/v1/bought-together", {"item_ids": [payload]}, None, 0
    yield "DELETE", f"/v1/users/{name}", None, None, 0
    yield "DELETE", f"/v1/items/{name}", None, "items", 0  # it is kept as one that is gone
    for kind in ("sessions", "scenarios", "segment-rules", "keys", "training-runs"):
        yield "DELETE", f"/v1/{kind}/{name}", None, None, 0
    for kind in ("users", "items", "scenarios", "segment-rules"):
        yield "DELETE", f"/v1/{kind}/{own}", None, None, 0


@pytest.mark.parametrize("payload", [*QUERIES, *STEERING, NUL], ids=ascii)
def test_what_is_sent_changes_its_own_row_alone(
    steady: TestClient, canaries: dict[str, list[str]], payload: str
) -> None:
    for method, path, body, table, more in writes(payload):
        before = rows(steady) if table else {}
        answer = steady.request(method, path, content=b"" if body is None else json.dumps(body))
        assert answer.status_code < 500, (method, path, answer.text)
        if table is not None:
            after = rows(steady)
            assert len(after[table]) - len(before[table]) == (more if answer.is_success else 0), (
                path,
                answer,
            )
    after = rows(steady)
    for name, there in canaries.items():
        if name not in ("audit_log", "database_marks"):
            assert set(there) <= set(after[name]), name
    assert {"canary", "b"} <= {user["user_id"] for user in steady.get("/v1/users").json()["users"]}


@pytest.mark.parametrize("payload", [*QUERIES, *STEERING[3:]], ids=ascii)
def test_headers_open_nothing(steady: TestClient, payload: str) -> None:
    name = payload.encode()
    for header in ("X-Request-ID", "User-Agent", "X-User-Token", "Accept", "X-Forwarded-For", "Origin"):
        answer = steady.get("/v1/users/canary", headers=[(header.encode(), name)])
        # What a page of elsewhere sends does not come from this machine.
        assert answer.status_code == (401 if header == "Origin" else 200), header
        assert answer.headers["x-request-id"].isalnum()
    for given in ((b"X-API-Key", name), (b"Authorization", b"Bearer " + name)):
        assert steady.get("/v1/users/canary", headers=[given]).status_code == 401
    assert steady.post("/v1/orders", content=b"{}", headers=[(b"Content-Type", name)]).status_code < 500


def test_files_of_such_texts_store_their_own_rows_alone(
    steady: TestClient, canaries: dict[str, list[str]], tmp_path: Path
) -> None:
    database: Database = steady.app.state.edge.database  # type: ignore[attr-defined]
    before = rows(steady)
    path = tmp_path / "users.csv"
    cells = ['"' + text.replace('"', '""') + '"' for text in [*QUERIES, *STEERING, NUL]]
    path.write_text("\n".join(["id,what", *(f"{cell},{cell}" for cell in cells)]), newline="")
    importing = Importing(database)
    mapping = CsvMapping("users", {"user_id": "id", "attributes.what": "what"})
    for chunk in CsvReader(path, mapping).read():
        importing.store(chunk)
    # Ids have no control characters.
    assert importing.tallies["user"].accepted == len(QUERIES) + 1
    after = rows(steady)
    assert len(after["users"]) == len(before["users"]) + len(QUERIES) + 1
    assert set(before["users"]) < set(after["users"])
    assert {name: found for name, found in after.items() if name != "users"} == {
        name: found for name, found in before.items() if name != "users"
    }


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.processes
def test_each_line_of_the_log_is_one_line(tmp_path: Path, form: str) -> None:
    port = free_port()
    settings = {"ACCESS_LOG": "true", "LOG_LEVEL": "debug", "LOG_FORMAT": form}
    sent = 0
    with running(tmp_path, "api", "serve", "--port", str(port), "--no-trainer", **settings) as process:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            wait_ready(client, process)
            for payload in [*QUERIES, *STEERING, NUL]:
                name = encoded(payload)
                event = {"user_id": payload, "item_id": payload, "event": "forged_" + "x" * sent}
                for method, path, body in (
                    ("PUT", f"/v1/users/{name}", {"attributes": {payload: payload}}),
                    ("GET", f"/v1/{name}?{name}={name}", None),
                    ("POST", "/v1/interactions", event),
                    ("PUT", f"/v1/scenarios/{name}", {"settings": {}, "note": payload}),
                ):
                    sent += 1
                    assert client.request(method, path, json=body).status_code < 500
        for text in [*QUERIES, *STEERING]:
            sent += _raw(port, text.encode())
    lines = process.output.read_bytes().split(b"\n")
    requests = [line for line in lines if b"request" in line and b"milliseconds" in line]
    assert sent // 2 < len(requests) <= sent + 20
    for line in lines:
        plain = line.decode()  # nothing but UTF-8
        if form == "console":
            for style in ("\x1b[0m", "\x1b[1m", "\x1b[2m", *(f"\x1b[{colour}m" for colour in range(31, 37))):
                plain = plain.replace(style, "")
        elif plain.startswith("{"):
            assert json.loads(plain)["event"] != "forged"
        assert escaped(plain) == plain, line
        assert not plain.startswith(("X-Forged", '{"event": "forged"'))


def _raw(port: int, text: bytes) -> int:
    """One request whose line and headers hold the text as it is."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(
            b"GET /v1/"
            + text.replace(b" ", b"")
            + b" HTTP/1.1\r\nHost: a\r\nX-Request-ID: "
            + text
            + b"\r\nUser-Agent: "
            + text
            + b"\r\nConnection: close\r\n\r\n"
        )
        while connection.recv(4096):
            continue
    return 1


def test_escaped_texts_stay_on_their_line() -> None:
    for text in [*STEERING, NUL, "\ud800"]:
        shown = escaped(text)
        assert shown.isprintable()
        assert len(shown.splitlines()) == 1
    assert escaped("Überraschung 茶 🛍️ 'x' \\n") == "Überraschung 茶 🛍️ 'x' \\n"
