"""Real processes of the service, on a free port, in a folder of their own."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2

Found = TypeVar("Found")
START_SECONDS = 45.0
_VITRINE = [sys.executable, "-m", "app.cli"]
_ROOT = Path(__file__).parents[2]


def wait_for(what: str, look: Callable[[], Found | None], seconds: float) -> Found:
    """The first truthy thing that `look` finds."""
    until = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < until, f"{what}: not within {seconds:g} s"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """A `vitrine` command that runs, and its children."""

    def __init__(self, folder: Path, name: str, *arguments: str, **settings: str) -> None:
        self.output = folder / f"{name}.log"
        kept = {key: value for key, value in os.environ.items() if not key.startswith("VITRINE_")}
        # One thread for each pool of the libraries: several processes share what may be a single core here.
        kept |= {"PYTHONPATH": str(_ROOT), "OMP_NUM_THREADS": "1", "VITRINE_ACCESS_LOG": "false"}
        kept["VITRINE_SEARCH_SECONDS"] = "0"
        environment = kept | {f"VITRINE_{name}": value for name, value in settings.items()}
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                [*_VITRINE, *arguments], cwd=folder, env=environment, stdout=output, stderr=output
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def tree(self) -> dict[int, str]:
        """Command lines of the process and all below it, by pid."""
        return tree_below(self.pid)

    def child(self, word: str) -> int | None:
        """A process below this one whose command line holds the word."""
        return next((pid for pid, line in self.tree().items() if word in line and pid != self.pid), None)

    def kill(self) -> None:
        """End the process as a power cut would."""
        self._process.kill()
        self._process.wait(10)

    def terminate(self) -> int:
        """End it as an operator would; its status. Whatever is left of it is killed, and is a failure."""
        everyone = self.tree()
        if self.is_running():
            self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(30)
            wait_for("the end of all children", lambda: not alive(everyone), 5)
        finally:
            for pid in alive(everyone):
                os.kill(pid, signal.SIGKILL)
            self._process.wait(10)
        return status


@contextmanager
def running(folder: Path, name: str, *arguments: str, **settings: str) -> Iterator[Process]:
    """A process until the end of the block, with its output shown if the block fails."""
    process = Process(folder, name, *arguments, **settings)
    try:
        yield process
    except BaseException:
        print(f"--- {name}\n" + process.output.read_text(errors="replace")[-6_000:])
        raise
    finally:
        process.terminate()


def wait_ready(client: httpx2.Client, process: Process, seconds: float = START_SECONDS) -> None:
    """Until the API answers."""

    def ready() -> bool:
        assert process.is_running(), process.output.read_text(errors="replace")[-4_000:]
        try:
            return client.get("/health/ready").status_code == 200
        except httpx2.TransportError:
            return False

    wait_for("an API that is ready", ready, seconds)


def tree_below(root: int) -> dict[int, str]:
    """Command lines of a process and all below it, by pid."""
    parents = {pid: parent for pid in _pids() if (parent := _parent(pid)) is not None}
    found = {root}
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return {pid: _command(pid) for pid in found if _parent(pid) is not None}
        found |= more


def alive(processes: dict[int, str]) -> dict[int, str]:
    """Those that still run (a pid that another command took does not count)."""
    return {
        pid: line for pid, line in processes.items() if _parent(pid) is not None and _command(pid) == line
    }


def metric(text: str, name: str, **labels: str) -> float:
    """Sum of a metric over all series with the given labels."""
    total = 0.0
    for line in text.splitlines():
        if line.startswith((name + "{", name + " ")):
            given = dict(re.findall(r'(\w+)="([^"]*)"', line))
            if labels.items() <= given.items():
                total += float(line.rpartition(" ")[2])
    return total


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _parent(pid: int) -> int | None:
    """Parent of a process; None if it is gone or a zombie."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(parent)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def without_identity(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what differs between two equal ones."""
    return {key: value for key, value in answer.items() if key not in ("recommendation_id", "as_of")}
