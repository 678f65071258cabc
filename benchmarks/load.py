"""Load on a server of this machine: as much as it takes (wrk), or at a steady rate, each answer timed."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import orjson

_GET = """
request = function()
  return wrk.format("GET", "/v1/users/" .. string.format("u%06d", math.random(0, {users} - 1)) ..
    "/recommendations?n=20")
end
"""
_POST = """
wrk.headers["Content-Type"] = "application/json"
request = function()
  return wrk.format("POST", "/v1/recommendations", nil,
    string.format([[{body}]], math.random(0, {users} - 1)))
end
"""


@dataclass(frozen=True)
class Load:
    """What is asked: of users at random, as `GET …?n=20`, or as a POST whose body has a `%06d`."""

    users: int
    body: str | None = None

    @property
    def script(self) -> str:
        """For wrk."""
        if self.body is None:
            return _GET.replace("{users}", str(self.users))
        return _POST.replace("{users}", str(self.users)).replace("{body}", self.body)

    def request(self, user: int) -> bytes:
        """One request as it goes over the wire."""
        if self.body is None:
            return (
                f"GET /v1/users/u{user:06d}/recommendations?n=20 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
            )
        body = self.body % user
        head = f"Host: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        return f"POST /v1/recommendations HTTP/1.1\r\n{head}\r\n\r\n{body}".encode()


def available() -> bool:
    """Whether wrk is installed."""
    return shutil.which("wrk") is not None


def saturated(url: str, load: Load, folder: Path, seconds: float, connections: int = 8) -> float:
    """Answers per second with as many requests as it takes. Raises RuntimeError for other than 2xx."""
    script = folder / "load.lua"
    script.write_text(load.script)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(script), url]
    output = subprocess.run([*_apart(), *command], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(output)
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert found is not None, output
    return float(found[1])


def steady(url: str, load: Load, rate: float, seconds: float) -> tuple[float, float]:
    """Median and 99th percentile in ms of answers to requests that come at a rate, whatever the server does.

    Times count from when a request was due, so that a server that stands still is charged for all that wait.
    """
    order = {"url": url, "rate": rate, "seconds": seconds, "users": load.users, "body": load.body}
    command = [*_apart(), sys.executable, "-m", "benchmarks.load", orjson.dumps(order).decode()]
    found = orjson.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found["p50"], found["p99"]


def _apart() -> list[str]:
    """A command that keeps the load to the last core, where the machine has several."""
    cores = sorted(os.sched_getaffinity(0))
    return ["taskset", "-c", str(cores[-1])] if len(cores) > 1 and shutil.which("taskset") else []


async def _measure(url: str, load: Load, rate: float, seconds: float) -> list[float]:
    parts = urlsplit(url)
    rng = np.random.default_rng(1)
    free: asyncio.LifoQueue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.LifoQueue()
    times: list[float] = []
    waiting: set[asyncio.Task[None]] = set()

    async def ask(due: float, request: bytes) -> None:
        if free.empty():
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        else:
            reader, writer = free.get_nowait()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert length is not None
        await reader.readexactly(int(length[1]))
        times.append((time.perf_counter() - due) * 1000)
        free.put_nowait((reader, writer))

    started = time.perf_counter()
    for number in range(round(rate * seconds)):
        due = started + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(ask(due, load.request(int(rng.integers(load.users)))))
        waiting.add(task)
        task.add_done_callback(waiting.discard)
    await asyncio.gather(*waiting)
    return times


if __name__ == "__main__":
    given = orjson.loads(sys.argv[1])
    wanted = Load(given["users"], given["body"])
    measured = asyncio.run(_measure(given["url"], wanted, given["rate"], given["seconds"]))
    result = {"p50": float(np.quantile(measured, 0.5)), "p99": float(np.quantile(measured, 0.99))}
    sys.stdout.write(orjson.dumps(result).decode())
