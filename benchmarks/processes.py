"""Vitrine's commands as processes of their own, on a database of their own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2

_CODE = Path(__file__).resolve().parents[1]
_START_SECONDS = 60


@dataclass(frozen=True)
class Finished:
    """A process that has ended well."""

    seconds: float
    max_rss: int
    """Peak memory, in the unit of `ru_maxrss`."""


def run(folder: Path, database: str, *arguments: str) -> Finished:
    """Run `python ARGUMENTS` to its end; raises RuntimeError with its output unless the status is 0.

    The peak counts from the size of the process that starts it, so this one has to stay small.
    """
    output = folder / "output.txt"
    with output.open("wb") as file:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=_environment(folder, database),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}:\n{output.read_text()}")
    return Finished(seconds, usage.ru_maxrss)


@contextmanager
def started(folder: Path, database: str, *arguments: str) -> Iterator[None]:
    """`python ARGUMENTS` beside the block, ended with it; less urgent than what is measured."""
    with (folder / "beside.log").open("ab") as log:
        process = subprocess.Popen(
            ["nice", "-n", "5", sys.executable, *arguments],
            cwd=folder,
            env=_environment(folder, database),
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=120)


@contextmanager
def service(
    folder: Path, database: str, workers: int = 1, arguments: tuple[str, ...] = (), **settings: str
) -> Iterator[httpx2.Client]:
    """A client of a service without trainer; `settings` are variables by their names after VITRINE_."""
    options = ("--workers", str(workers), "--no-trainer")
    with server(folder, database, ("-m", "app.cli", "serve", *options, *arguments), **settings) as running:
        yield running.client


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    client: httpx2.Client
    process: subprocess.Popen[bytes]


@contextmanager
def server(folder: Path, database: str, command: tuple[str, ...], **settings: str) -> Iterator[Running]:
    """`python COMMAND --port PORT`, once /health/ready answers with 200."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = _environment(folder, database)
    environment |= {f"VITRINE_{name.upper()}": value for name, value in settings.items()}
    with (folder / "service.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *command, "--port", str(port)],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False) as client:
            _wait(client, process, folder / "service.log")
            yield Running(client, process)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait(client: httpx2.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    patience = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < patience:
        with suppress(httpx2.TransportError):
            if client.get("/health/ready").status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the service did not start:\n{log.read_text()}")


def _environment(folder: Path, database: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("VITRINE_")}
    return kept | {
        "VITRINE_DATABASE_URL": database,
        "VITRINE_ARTIFACTS": str(folder / "artifacts"),
        "VITRINE_METRICS_DIR": str(folder / "metrics"),
        "VITRINE_LOG_LEVEL": "warning",
        "VITRINE_ACCESS_LOG": "false",
        "PYTHONPATH": os.pathsep.join(part for part in (str(_CODE), kept.get("PYTHONPATH")) if part),
    }
