"""What answers tell browsers, what pages of other origins may do, and what is in no answer and no log."""

import logging
import re
from base64 import b64encode
from hashlib import sha256
from io import StringIO
from pathlib import Path

import pytest
import structlog
from pydantic import ValidationError
from sqlalchemy import Connection, text
from starlette.testclient import TestClient
from structlog.processors import JSONRenderer

from app.api import middleware, problems
from app.core.settings import Settings
from app.services import items
from tests.api.serving import assert_problem, serving

SECRET = "vt_a-secret-in-the-wrong-place"


def test_every_answer_has_the_headers(steady: TestClient) -> None:
    for path in ("/v1/items", "/v1/users/nobody", "/v1/nothing", "/health/live", "/metrics", "/openapi.json"):
        headers = steady.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "strict-transport-security" not in headers


def test_the_documentation_runs_its_own_scripts_alone(steady: TestClient) -> None:
    page = steady.get("/docs")
    policy = page.headers["content-security-policy"]
    inline = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    assert len(inline) == 1
    assert f"'sha256-{b64encode(sha256(inline[0].encode()).digest()).decode()}'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    for source in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert source.startswith("/docs/static/"), source
    static = steady.get("/docs/static/swagger-ui.css").headers
    assert static["cache-control"] == "public, max-age=86400"


def test_strict_transport_security_by_the_settings(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path, hsts_seconds=31_536_000) as client:
        found = client.get("/health/live").headers["strict-transport-security"]
        assert found == "max-age=31536000; includeSubDomains"


def test_pages_of_the_shop_may_send_keys_and_read_what_they_need(database_url: str, tmp_path: Path) -> None:
    origin = "https://shop.example"
    with serving(database_url, tmp_path, cors_origins=origin, admin_key="a") as client:
        preflight = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,x-api-key,x-user-token",
        }
        allowed = client.options("/v1/interactions", headers=preflight)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == origin
        assert "access-control-allow-credentials" not in allowed.headers
        assert "Origin" in allowed.headers["vary"]
        for refused in (
            preflight | {"Origin": "https://shop.example.evil.example"},
            preflight | {"Origin": "null"},
            preflight | {"Access-Control-Request-Method": "DELETE"},
            preflight | {"Access-Control-Request-Headers": "x-forwarded-for"},
        ):
            assert client.options("/v1/interactions", headers=refused).status_code == 400
        # Also a refusal can be read by the page, and says what it may read.
        unauthorized = client.post("/v1/interactions", headers={"Origin": origin})
        assert_problem(unauthorized, 401, "unauthorized")
        assert unauthorized.headers["access-control-allow-origin"] == origin
        exposed = unauthorized.headers["access-control-expose-headers"]
        assert {"Retry-After", "X-Request-ID", "RateLimit"} <= set(exposed.split(", "))
        compressed = client.post("/v1/items", headers={"Origin": origin, "Content-Encoding": "gzip"})
        assert_problem(compressed, 415, "unsupported_encoding")
        assert compressed.headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize("origin", ["shop.example", "https://shop.example/", "https://a@b", "https://a b"])
def test_what_is_not_an_origin_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(ValidationError, match="not an origin"):
        Settings(cors_origins=[origin])


@pytest.mark.parametrize("limit", ["many", "5", "5/fortnight", "-1/minute"])
def test_what_is_not_a_limit_is_refused_at_the_start(limit: str) -> None:
    with pytest.raises(ValidationError, match="a limit such as"):
        Settings(rate_limit=limit)


def test_secrets_are_in_no_log_and_no_answer(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = StringIO()
    steps: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.format_exc_info,
        JSONRenderer(),
    ]
    for module in (middleware, problems):
        logger = structlog.wrap_logger(structlog.PrintLogger(written), processors=steps)
        monkeypatch.setattr(module, "log", logger)
    libraries = logging.StreamHandler(written)
    libraries.addFilter(lambda record: not record.name.startswith("httpx"))  # the client's own

    def fails(connection: Connection, *_args: object) -> None:
        connection.execute(text("SELECT :given"), {"given": {SECRET}})  # no database takes a set

    monkeypatch.setattr(items, "list_items", fails)
    with serving(database_url, tmp_path, access_log=True, log_level="debug", admin_key="a-key") as client:
        logging.getLogger().addHandler(libraries)
        raising = TestClient(client.app, base_url="http://127.0.0.1", raise_server_exceptions=False)
        admin = {"X-API-Key": "a-key", "X-Request-ID": "the-request"}
        answers = [
            raising.get("/v1/items", headers=admin),
            client.get("/v1/users", headers={"X-API-Key": SECRET}),
            client.get("/v1/users", headers={"Authorization": SECRET}),
            client.get("/v1/users", params={"api_key": SECRET}),
            client.get("/v1/users", params={"limit": SECRET}, headers=admin),
            client.post("/v1/keys", json={"name": "x", "scopes": [SECRET]}, headers=admin),
            client.post("/v1/keys", json={"name": "x", "key": SECRET}, headers=admin),
            client.post("/v1/keys", content=b'{"key": "' + SECRET.encode(), headers=admin),
            client.post("/v1/interactions", json={"item_id": 5, "token": SECRET}, headers=admin),
        ]
        made = client.post("/v1/keys", json={"name": "x", "scopes": ["query"]}, headers=admin).json()["key"]
    assert [answer.status_code for answer in answers] == [500, 401, 401, 401, 422, 422, 422, 400, 422]
    failed = answers[0]
    assert failed.headers["x-request-id"] == "the-request"
    assert failed.headers["x-content-type-options"] == "nosniff"
    assert "SELECT" not in failed.text
    logging.getLogger().removeHandler(libraries)
    logged = written.getvalue()
    assert "unexpected_error" in logged
    assert '"request_id": "the-request"' in logged
    for hidden in (SECRET, made, "a-key"):
        assert hidden not in logged
        assert [answer.text for answer in answers if hidden in answer.text] == []
