"""What is refused cheaply, at a real socket: slow, endless, huge and crowded calls."""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from app.api.admission import ADMISSION, Admission
from app.api.connections import HEAD_BYTES, BoundedHttp
from app.api.refusals import Refusals
from app.core.settings import Settings
from app.main import create_app

Answer = tuple[int, bytes]


class Hasty(BoundedHttp):
    head_seconds = 0.3


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("refusals")
    (folder / "vitrine.db").write_bytes(sqlite_template.read_bytes())
    settings = Settings(
        database_url=f"sqlite:///{folder / 'vitrine.db'}",
        artifacts=folder,
        access_log=False,
        log_level="error",
        max_body_mb=1,
        max_concurrent=3,
        body_seconds=0.4,
        cors_origins=["https://shop.example"],
    )
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings), port=0, http=Hasty, ws="none", log_config=None, access_log=False)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    _until(lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(20)


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def _connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as opened:
        yield opened


def _read(opened: socket.socket) -> Answer:
    """One answer, or status 0 where the connection ends without one."""
    received = b""
    with suppress(ConnectionResetError):
        while b"\r\n\r\n" not in received and (part := opened.recv(65_536)):
            received += part
        head, _, body = received.partition(b"\r\n\r\n")
        length = next(
            (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0"
        )
        while len(body) < int(length.split(b":")[1]) and (part := opened.recv(65_536)):
            body += part
        return (int(head.split()[1]), body) if head else (0, b"")
    return 0, b""


def _head(method: str = "POST", path: str = "/v1/interactions", *lines: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def _ask(port: int, *sent: bytes) -> Answer:
    with _connection(port) as opened, suppress(BrokenPipeError, ConnectionResetError):
        for part in sent:
            opened.sendall(part)
        return _read(opened)
    return 0, b""


def _is_alive(port: int) -> bool:
    return _ask(port, _head("GET", "/health/live"))[0] == 200


def test_heads_that_do_not_end_are_given_up(port: int) -> None:
    with _connection(port) as silent, _connection(port) as dripping, _connection(port) as second:
        second.sendall(_head("GET", "/health/live"))
        assert _read(second)[0] == 200
        began = time.monotonic()
        for number, letter in enumerate(b"GET / HTTP/1.1\r\nX: " + b"y" * 100):
            with suppress(BrokenPipeError, ConnectionResetError):
                dripping.send(bytes([letter]))
                second.send(b"\r\n" if number % 2 else b"G")
            time.sleep(0.01)
            if time.monotonic() - began > 0.8:
                break
        for opened in (silent, dripping):
            assert _read(opened)[0] == 0
        assert _read(second)[0] in (0, 400)
    assert _is_alive(port)


@pytest.mark.parametrize(
    "sent",
    [
        [b"GET /" + b"a" * HEAD_BYTES + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"],
        [_head("GET", "/v1/items", "X: " + "a" * HEAD_BYTES)],
        [_head("GET", "/v1/items", *[f"X-{n}: a" for n in range(201)])],
    ],
)
def test_large_heads_are_refused(port: int, sent: list[bytes]) -> None:
    status, body = _ask(port, *sent)
    assert (status, b'"code":"head_too_large"' in body) == (431, True)
    assert _is_alive(port)


@pytest.mark.parametrize("sent", [b"hello\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9.9\r\n\r\n"])
def test_what_is_no_request_is_told_so(port: int, sent: bytes) -> None:
    with _connection(port) as opened:
        opened.sendall(sent)
        received = b"".join(iter(lambda: opened.recv(65_536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"http/1.1 400 bad request"
    assert {
        b"content-type: application/problem+json",
        b"connection: close",
        b"cache-control: no-store",
    } <= set(lines)
    assert any(line.startswith(b"x-request-id: ") for line in lines)
    assert json.loads(body)["code"] == "malformed_request"
    assert _is_alive(port)


def test_lines_without_an_end_are_cut_off(port: int) -> None:
    # The answer may be lost where more was sent than is read.
    assert _ask(port, b"GET / HTTP/1.1\r\nX: ", *[b"a" * 16_384] * 6)[0] in (0, 431)
    begun = _head("POST", "/v1/interactions", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n"
    assert _ask(port, begun, *[b"X: " + b"a" * 16_384 + b"\r\n"] * 8)[0] in (0, 431)
    assert _is_alive(port)


def test_bodies_that_do_not_come_are_given_up(port: int) -> None:
    for path in ("/v1/interactions", "/v1/import/items"):
        with _connection(port) as opened:
            opened.sendall(_head("POST", path, "Content-Length: 1000") + b"{")
            status, body = _read(opened)
            assert (status, b"slow_body" in body) == (408, True)
            assert opened.recv(1) == b""  # closed
    # A body that comes at some speed has its time: here longer than the bound.
    with _connection(port) as opened:
        entry = b'{"item_id": "i", "description": "' + b"d" * 900 + b'"}\n'
        opened.sendall(_head("POST", "/v1/import/items", f"Content-Length: {6 * len(entry)}"))
        for _ in range(6):
            opened.sendall(entry)
            time.sleep(0.1)
        assert _read(opened)[0] == 200


def test_bodies_without_an_end_are_refused_and_cut_off(port: int) -> None:
    head = _head("POST", "/v1/interactions", "Transfer-Encoding: chunked")
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    with _connection(port) as opened:
        opened.sendall(head)
        for _ in range(17):
            opened.sendall(chunk)
        assert _read(opened)[0] == 413
        began = time.monotonic()
        with suppress(BrokenPipeError, ConnectionResetError):
            while time.monotonic() - began < 5:
                opened.sendall(chunk)
        assert time.monotonic() - began < 4
    declared = _head("POST", "/v1/interactions", f"Content-Length: {2**21}")
    assert _ask(port, declared)[0] == 413


@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        (b"[" * 100_000, {400}),
        (b'{"a":' * 100_000, {400}),
        (
            b'{"item_id": "i", "event": "view", "context": {"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}",
            {400, 422},
        ),
        (b'{"item_id": "i", "event": "view", "value": 1' + b"0" * 5_000 + b"}", {400, 422}),
        (b'{"item_id": "i", "event": "view", "context": {"a": 1' + b"0" * 50_000 + b"}}", {400, 422}),
        (b'{"item_id": "i", "event": "view", "context": {"a": 1e999}}', {400, 422}),
    ],
)
def test_deep_and_huge_json_is_refused(port: int, body: bytes, statuses: set[int]) -> None:
    status, answered = _ask(port, _head("POST", "/v1/interactions", f"Content-Length: {len(body)}") + body)
    assert status in statuses, answered
    assert len(answered) < 2_000
    wrapped = b'{"interactions": [' + body + b"]}"
    status, _ = _ask(
        port, _head("POST", "/v1/interactions/batch", f"Content-Length: {len(wrapped)}") + wrapped
    )
    assert status in {200, 400, 422}


def test_compressed_bodies_are_refused_unread(port: int) -> None:
    for encoding in ("gzip", "br", "deflate, gzip"):
        head = _head("POST", "/v1/items/batch", "Content-Length: 1000", f"Content-Encoding: {encoding}")
        status, body = _ask(port, head)
        assert (status, b"unsupported_encoding" in body) == (415, True)
    as_it_is = _head("POST", "/v1/items/batch", "Content-Length: 12", "Content-Encoding: identity")
    assert _ask(port, as_it_is + b'{"items":[]}')[0] == 200


@contextmanager
def _crowd(port: int) -> Iterator[Answer]:
    """As many calls as the process works on at once; what the next one is told."""
    waiting: list[Any] = []
    try:
        for _ in range(3):
            opened = socket.create_connection(("127.0.0.1", port), timeout=10)
            opened.sendall(_head("POST", "/v1/import/items", "Content-Length: 1000") + b"\n" * 900)
            waiting.append(opened)
        found: list[Answer] = []

        def crowded() -> bool:
            found.append(_ask(port, _head("GET", "/v1/items")))
            return found[-1][0] == 503

        _until(crowded)
        yield found[-1]
    finally:
        for opened in waiting:
            opened.close()
    _until(lambda: _ask(port, _head("GET", "/v1/items"))[0] == 200)


def test_a_crowd_gets_503_while_the_health_is_told(port: int) -> None:
    with _crowd(port) as (_, body):
        assert b'"code":"unavailable"' in body
        assert _is_alive(port)
        assert _ask(port, _head("GET", "/health/ready"))[0] == 200


def test_who_is_refused_at_the_door_is_told_what_everybody_is_told(port: int) -> None:
    with _crowd(port):
        with _connection(port) as opened:
            named = _head("GET", "/v1/items", "X-Request-ID: mine", "Origin: https://shop.example")
            # One after the other over the same connection; the body of the second is passed over.
            for asked in (named, _head("POST", "/v1/interactions", "Content-Length: 2") + b"{}", named):
                opened.sendall(asked)
                status, body = _read(opened)
                assert (status, b'"code":"unavailable"' in body) == (503, True)
            opened.sendall(named * 5)
            received = b""
            while received.count(b"}") < 5:
                received += opened.recv(65_536)
            heads = [part.partition(b"{")[0].lower() for part in received.split(b"HTTP/1.1 ")[1:]]
            assert len(heads) == 5
            for head in heads:
                lines = set(head.strip().split(b"\r\n"))
                assert lines >= {
                    b"503 service unavailable",
                    b"content-type: application/problem+json",
                    b"retry-after: 1",
                    b"x-request-id: mine",
                    b"cache-control: no-store",
                    b"access-control-allow-origin: https://shop.example",
                    b"vary: origin",
                }
            opened.sendall(_head("GET", "/v1/items", "Origin: https://other.example", "Connection: close"))
            received = b"".join(
                iter(lambda: opened.recv(65_536), b"")
            ).lower()  # to the end of the connection
            assert b"connection: close" in received
            assert b"access-control" not in received
            assert re.search(rb"x-request-id: [0-9a-f]{16}\r\n", received)
        with _connection(port) as opened:
            opened.sendall(_head("HEAD", "/v1/items", "Connection: close"))
            received = b"".join(iter(lambda: opened.recv(65_536), b""))
            assert received.startswith(b"HTTP/1.1 503")
            assert received.endswith(b"\r\n\r\n")
        counted = _ask(port, _head("GET", "/health/live"))
        assert counted[0] == 200
    metrics = _ask(port, _head("GET", "/metrics"))[1].decode()
    found = re.search(r'requests_total\{method="GET",route="unmatched",status="503"\} (\S+)', metrics)
    assert found is not None
    assert float(found[1]) >= 8


class _Wire(asyncio.Transport):
    """What a protocol does with its connection."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.ended = ""

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return bool(self.ended)

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def test_refusals_wait_for_who_does_not_read_them() -> None:
    async def run() -> None:
        state = {ADMISSION: Admission(0, 1, Refusals(0, []))}  # no room for anybody
        config = uvicorn.Config(lambda: None, log_config=None)
        protocol, wire = BoundedHttp(config, ServerState(), state), _Wire()
        protocol.connection_made(wire)
        for number in range(1, 4):
            protocol.data_received(_head("GET", "/v1/items"))
            assert wire.written.count(b"HTTP/1.1 503") == number
        protocol.pause_writing()
        for _ in range(5):
            protocol.data_received(_head("GET", "/v1/items"))
            await asyncio.sleep(0.01)
            assert wire.written.count(b"HTTP/1.1 503") == 3
        protocol.resume_writing()
        await asyncio.sleep(0.01)
        assert (wire.written.count(b"HTTP/1.1 503"), wire.ended) == (8, "")
        protocol.data_received(_head("POST", "/v1/items", "Content-Length: 9", "Expect: 100-continue"))
        assert wire.written.endswith(b"}")
        assert (wire.written.count(b"connection: close"), wire.ended) == (1, "closed")
        protocol.connection_lost(None)

    asyncio.run(run())


def test_a_call_after_a_refusal_in_one_packet_is_not_cut_off() -> None:
    answered = asyncio.Event()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await answered.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def run() -> None:
        class Opens(Refusals):
            def whole(self, scope: Any, keep_alive: bool) -> bytes:
                door.running = 0
                return super().whole(scope, keep_alive)

        door = Admission(1, 1, Opens(0, []))
        config = uvicorn.Config(app, log_config=None, timeout_keep_alive=0)
        protocol, wire = BoundedHttp(config, ServerState(), {ADMISSION: door}), _Wire()
        protocol.connection_made(wire)
        door.running = 1
        protocol.data_received(_head("GET", "/v1/items") * 2)
        await asyncio.sleep(0.05)
        assert wire.ended == ""
        answered.set()
        await asyncio.sleep(0.01)
        assert wire.written.count(b"HTTP/1.1 200") == 1
        protocol.connection_lost(None)

    asyncio.run(run())
