"""Calls that want to cost more than they are worth, at a real server, while others are served."""

import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2
import pytest

from tests.e2e.processes import wait_for
from tests.faults.service import prepare
from tests.faults.warm import WarmService
from tests.faults.watch import Health, look

pytestmark = pytest.mark.processes
MORE_MIB = 60.0
"""That the process may take more during and after an attack."""
HEALTH_SECONDS = 5.0
EVENT = b'{"user_id": "u01", "item_id": "i01", "event": "view_item", '
MANY = 300


@pytest.fixture(scope="module")
def service() -> Iterator[WarmService]:
    with tempfile.TemporaryDirectory(prefix="vitrine-faults-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder}/vitrine.db"
        prepare(url, plain=True)
        started = WarmService(folder, url)
        try:
            started.wait_ready()
            # Whatever a process prepares with its first large body and its first deep one.
            with httpx2.Client(base_url=started.address(), timeout=30) as client:
                for body in (b"[" * 100_000, b"[" + b"{}," * 300_000 + b"{}]", b" " * 30_000_000):
                    assert client.post("/v1/interactions", content=body).status_code in (400, 422)
            yield started
        finally:
            started.close()


@pytest.fixture
def bounded(service: WarmService) -> Iterator[None]:
    """Health is told all the while, nothing stays in memory, and everything is as before."""
    before = _memory(service)
    with Health(service.address(), 0.1) as health:
        yield
        during = _memory(service)
    assert health.wrong == []
    assert max(health.took) < HEALTH_SECONDS
    assert during < before + MORE_MIB, (before, during)
    assert httpx2.get(f"{service.address()}/v1/users/u01/recommendations", timeout=10).status_code == 200


def _memory(service: WarmService) -> float:
    return look([service.apis[0].pid])[0].pss


def _open(service: WarmService) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.ports[0]), timeout=20)


def _head(path: str = "/v1/interactions", *lines: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def _send(service: WarmService, *parts: bytes) -> tuple[int, bytes]:
    """Status and body of the answer; 0 where the connection is closed without one."""
    with _open(service) as opened:
        with suppress(BrokenPipeError, ConnectionResetError):
            for part in parts:
                opened.sendall(part)
        with suppress(ConnectionResetError), opened.makefile("rb") as answer:
            first = answer.readline()
            length = 0
            while first and (line := answer.readline().strip().lower()):
                name, _, value = line.partition(b":")
                length = int(value) if name == b"content-length" else length
            return (int(first.split()[1]), answer.read(length)) if first else (0, b"")
        return 0, b""


def _post(service: WarmService, body: bytes, *lines: str) -> tuple[int, bytes]:
    return _send(service, _head("/v1/interactions", f"Content-Length: {len(body)}", *lines) + body)


@pytest.mark.usefixtures("bounded")
def test_hundreds_of_connections_that_say_little_or_nothing(service: WarmService) -> None:
    with ExitStack() as stack:
        for number in range(MANY):
            opened = stack.enter_context(_open(service))
            if number % 3 == 1:
                opened.sendall(b"GET /v1/items HTTP/1.1\r\nHost: local")
            if number % 3 == 2:
                opened.sendall(_head("/v1/interactions", "Content-Length: 100000") + b'{"user')
            if number % 4 == 0:
                opened.shutdown(socket.SHUT_WR)
        with httpx2.Client(base_url=service.address(), timeout=10) as client:
            for _ in range(20):
                assert client.get("/v1/users/u01/recommendations").status_code == 200
                event = {"user_id": "u01", "item_id": "i01", "event": "view_item"}
                assert client.post("/v1/interactions", json=event).status_code == 201


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000,
        EVENT + b'"context": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
        EVENT + b'"value": 1e999999}',
        EVENT + b'"value": ' + b"9" * 1_000_000 + b"}",
        EVENT + b'"context": {"n": ' + b"9" * 1_000_000 + b"}}",
        EVENT + b'"value": NaN}',
        b"\x00" * 1_000_000,
        b'"' + b"\\ud800" * 100_000 + b'"',
    ],
    ids=["deep", "open", "within", "exponent", "digits", "context", "nan", "zeros", "surrogates"],
)
def test_json_that_costs_more_than_it_should(service: WarmService, body: bytes) -> None:
    began = time.monotonic()
    for _ in range(5):
        status, said = _post(service, body)
        assert status in (400, 422), said[:300]
        assert b'"code"' in said
    assert time.monotonic() - began < 10


@pytest.mark.usefixtures("bounded")
def test_a_number_of_a_million_digits_that_is_small(service: WarmService) -> None:
    status, said = _post(service, EVENT + b'"event_id": "e", "value": 0.' + b"1" * 1_000_000 + b"}")
    assert (status, b'"accepted"' in said) == (201, True)


@pytest.mark.usefixtures("bounded")
def test_bodies_without_an_end_and_compressed_ones(service: WarmService) -> None:
    chunk = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    for _ in range(3):
        status, said = _send(service, _head("/v1/interactions", "Transfer-Encoding: chunked"), *[chunk] * 40)
        assert (status, b"body_too_large" in said) in ((413, True), (0, False))
    status, said = _send(service, _head("/v1/interactions", f"Content-Length: {10**15}"))
    assert (status, b"body_too_large" in said) == (413, True)
    bomb = b"\x1f\x8b\x08" + b"\x00" * 1_000
    status, said = _post(service, bomb, "Content-Encoding: gzip")
    assert (status, b"unsupported_encoding" in said) == (415, True)
    # Unannounced it is only bytes that are no JSON.
    assert _post(service, bomb)[0] == 400


@pytest.mark.usefixtures("bounded")
def test_heads_that_are_too_large(service: WarmService) -> None:
    for _ in range(10):
        assert _send(service, _head("/v1/items?q=" + "a" * 100_000, method="GET"))[0] in (431, 0)
        assert _send(service, _head("/v1/items", "X: " + "a" * 100_000, method="GET"))[0] in (431, 0)
        assert _send(service, _head("/v1/items", *["X: y"] * 5_000, method="GET"))[0] in (431, 0)
        assert _send(service, b"\x16\x03\x01" + b"\xff" * 5_000)[0] in (400, 0)
        assert _send(service, _head("/v1/items/" + "%00" * 5_000, method="GET"))[0] in (400, 404, 422)


@pytest.mark.usefixtures("bounded")
def test_requests_one_behind_the_other(service: WarmService) -> None:
    """Thousands in one packet, and nothing but noise after a good one."""
    one = _head("/v1/users/u01/recommendations", method="GET")
    with ExitStack() as stack:
        crowd = [stack.enter_context(_open(service)) for _ in range(50)]
        for opened in crowd:
            with suppress(BrokenPipeError, ConnectionResetError):
                opened.sendall(one + b"GET / HTTP/1.1\r\n\r\n" * 10_000)
        for opened in crowd:
            with suppress(ConnectionResetError):
                while opened.recv(65_536):
                    pass
    wait_for("room after the crowd", lambda: _send(service, one)[0] == 200, 2)
    for _ in range(20):
        assert _send(service, one + b"\x00garbage\r\n\r\n" * 1_000)[0] in (200, 400, 0)
