"""Calls at a rate, answered or not, from a process of their own: `python -m tests.faults.flood`."""

import asyncio
import random
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import orjson
import uvloop

IDLE_SECONDS = 3.0
"""A connection that was idle for longer is not used again: the server may be about to close it."""
PATIENCE_SECONDS = 30.0
"""How long answers are waited for after the last call."""
_TICK = 0.005


@dataclass(frozen=True)
class Order:
    """What to offer."""

    port: int
    seconds: float
    rate: float | None
    """Calls a second whatever is answered; None: each connection calls again once it has its answer."""
    connections: int
    """At most; a call that is due while all of them wait is not made, and counted."""
    users: int
    name: str
    """What the ids of the events begin with."""
    items: int = 40


@dataclass
class Result:
    """What came of it."""

    offered: int = 0
    held_back: int = 0
    """Calls that were due while all connections waited."""
    answers: dict[str, int] = field(default_factory=dict)
    """By what was asked for and the status; `closed` where a connection ended without an answer."""
    wrong: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    """Events that got a 2xx."""
    seconds: list[tuple[float, float]] = field(default_factory=list)
    """Of each call that got a 2xx: when it was made (since the start), and how long it took."""
    refused_seconds: list[float] = field(default_factory=list)
    most_open: int = 0
    most_waiting: int = 0

    def count(self, what: str, times: int = 1) -> None:
        if times:
            self.answers[what] = self.answers.get(what, 0) + times

    def rate(self, order: Order) -> float:
        """2xx a second."""
        return len(self.seconds) / order.seconds

    def quantile(self, share: float, since: float = 0.0) -> float:
        """Of the time that calls with a 2xx took which were made after so many seconds."""
        times = sorted(took for made, took in self.seconds if made >= since)
        return times[min(len(times) - 1, int(share * len(times)))] if times else 0.0


class _Connection(asyncio.Protocol):
    """One connection of a client: one call at a time."""

    def __init__(self, flood: "Flood") -> None:
        self._flood = flood
        self.transport: asyncio.Transport | None = None
        self.kind = ""
        self.event: str | None = None
        self.made = 0.0
        self.idle_since = 0.0
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not one of its subclasses

    def call(self, kind: str, request: bytes, event: str | None) -> None:
        assert self.transport is not None
        self.kind, self.event, self.made = kind, event, time.monotonic()
        self._received = b""
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or not self.kind:
            return
        lines = head.lower().split(b"\r\n")
        headers = dict(line.split(b": ", 1) for line in lines[1:])
        if len(body) < int(headers.get(b"content-length", b"0")):
            return
        kind, self.kind = self.kind, ""
        self._flood.answered(self, kind, int(lines[0].split()[1]), headers, body)
        if headers.get(b"connection") == b"close" and self.transport is not None:
            self.transport.close()
        else:
            self.idle_since = time.monotonic()
            self._flood.is_free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._flood.lost(self)


class Flood:
    """All connections of one order."""

    def __init__(self, order: Order) -> None:
        self.result = Result()
        self._order = order
        self._chance = random.Random(order.name)
        self._free: list[_Connection] = []
        self._open = 0
        self._waiting = 0
        self._made = 0
        self._began = time.monotonic()
        self._opening: set[asyncio.Task[None]] = set()

    async def run(self) -> Result:
        order = self._order
        self._began = time.monotonic()
        if order.rate is None:
            for _ in range(order.connections):
                self._call()
            await asyncio.sleep(order.seconds)
        else:
            while (passed := time.monotonic() - self._began) < order.seconds:
                for _ in range(int(passed * order.rate) - self.result.offered - self.result.held_back):
                    self._call()
                await asyncio.sleep(_TICK)
        until = time.monotonic() + PATIENCE_SECONDS
        while (self._waiting or self._opening) and time.monotonic() < until:
            await asyncio.sleep(0.02)
        self.result.count("unanswered", self._waiting)
        return self.result

    def _call(self) -> None:
        while self._free:
            one = self._free.pop()
            if one.transport is None or one.transport.is_closing():
                continue
            if time.monotonic() - one.idle_since > IDLE_SECONDS:
                one.transport.close()
                continue
            self._make(one)
            return
        if self._open >= self._order.connections:
            self.result.held_back += 1
            return
        self._open += 1
        self.result.offered += 1
        task = asyncio.get_running_loop().create_task(self._connect())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, one = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._order.port)
        except OSError as error:
            self._open -= 1
            self.result.count(f"connecting: {type(error).__name__}")
            return
        self.result.offered -= 1
        self._make(one)

    def _make(self, one: _Connection) -> None:
        self._made += 1
        self.result.offered += 1
        self._waiting += 1
        self.result.most_open = max(self.result.most_open, self._open)
        self.result.most_waiting = max(self.result.most_waiting, self._waiting)
        one.call(*self._request())

    def _request(self) -> tuple[str, bytes, str | None]:
        chance = self._chance.random()
        user = f"u{self._chance.randrange(self._order.users):06d}"
        if chance < 0.6:
            head = f"GET /v1/users/{user}/recommendations?n=5 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            return "list", head.encode(), None
        if chance < 0.75:
            body: dict[str, Any] = {"user_id": user, "n": 5, "filter": "not tags has 'none'", "explain": True}
            return "list", _post("/v1/recommendations", body), None
        name = f"{self._order.name}-{self._made}"
        item = f"i{self._chance.randrange(self._order.items):06d}"
        event = {"user_id": user, "item_id": item, "event": "view_item", "event_id": name}
        return "event", _post("/v1/interactions", event), name

    def answered(
        self, one: _Connection, kind: str, status: int, headers: dict[bytes, bytes], body: bytes
    ) -> None:
        self._waiting -= 1
        result = self.result
        result.count(f"{kind}: {status}")
        now = time.monotonic()
        if status in (200, 201):
            result.seconds.append((one.made - self._began, now - one.made))
            if one.event is not None:
                result.acknowledged.append(one.event)
            elif len(result.seconds) % 20 == 0 and len(orjson.loads(body)["items"]) != 5:
                result.wrong.append(body[:200].decode())
            return
        result.refused_seconds.append(now - one.made)
        if status not in (503, 429) or not headers.get(b"retry-after", b"").isdigit():
            result.wrong.append(f"{status}: {body[:200].decode()}")

    def is_free(self, one: _Connection) -> None:
        if self._order.rate is not None:
            self._free.append(one)
        elif time.monotonic() - self._began < self._order.seconds:
            self._make(one)

    def lost(self, one: _Connection) -> None:
        self._open -= 1
        if one.kind:
            self._waiting -= 1
            self.result.count(f"{one.kind}: closed")
            one.kind = ""


def flood(order: Order) -> Result:
    """Make the calls of an order in a process of its own, to the end of its answers."""
    command = [sys.executable, "-m", "tests.faults.flood", orjson.dumps(asdict(order)).decode()]
    root = Path(__file__).parents[2]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=root).stdout
    return Result(**orjson.loads(told))


def _post(path: str, body: dict[str, Any]) -> bytes:
    content = orjson.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


if __name__ == "__main__":
    made = uvloop.run(Flood(Order(**orjson.loads(sys.argv[1]))).run())
    sys.stdout.buffer.write(orjson.dumps(asdict(made)))
