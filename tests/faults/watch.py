"""What processes take while something goes on: memory, open files, threads; and whether health answers."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.e2e.processes import tree_below
from tests.faults.background import Background

MIB = 2**20


@dataclass(frozen=True)
class Sample:
    """One process at one moment."""

    at: float
    """Seconds since the watch began."""
    pid: int
    process: str
    rss: float
    """MiB in memory, shared pages with the others included."""
    pss: float
    """MiB in memory, with its share of what it shares."""
    own: float
    """MiB of these that are of no file: what it asked for itself."""
    files: int
    threads: int


class Watch(Background):
    """Takes a sample of some processes and all below them, again and again."""

    def __init__(self, roots: Callable[[], list[int]], seconds: float = 0.5) -> None:
        super().__init__()
        self.samples: list[Sample] = []
        self._roots = roots
        self._seconds = seconds

    def work(self, number: int) -> None:
        began = time.monotonic()
        while not self.is_over:
            self.samples += look(self._roots(), time.monotonic() - began)
            self.wait(self._seconds)

    def by_process(self) -> dict[tuple[str, int], list[Sample]]:
        """The samples of each process in the order of time."""
        found: dict[tuple[str, int], list[Sample]] = {}
        for sample in self.samples:
            found.setdefault((sample.process, sample.pid), []).append(sample)
        return found


class Health(Background):
    """Asks both health checks over fresh connections, as an orchestrator does."""

    def __init__(self, address: str, seconds: float = 0.2) -> None:
        super().__init__(2)
        self.took: list[float] = []
        self.wrong: list[str] = []
        self._address = address
        self._seconds = seconds

    def work(self, number: int) -> None:
        path = ("/health/live", "/health/ready")[number]
        while not self.is_over:
            began = time.monotonic()
            try:
                answer = httpx2.get(self._address + path, timeout=20)
            except httpx2.TransportError as error:
                self.wrong.append(f"{path}: {type(error).__name__}")
            else:
                if answer.status_code != 200:
                    self.wrong.append(f"{path}: {answer.status_code} {answer.text[:100]}")
            self.took.append(time.monotonic() - began)
            self.wait(self._seconds)

    def quantile(self, share: float) -> float:
        times = sorted(self.took)
        return times[min(len(times) - 1, int(share * len(times)))]


def look(roots: list[int], at: float = 0.0) -> list[Sample]:
    """A sample of each process and all below it; without those that are gone."""
    found = []
    for root in roots:
        for pid, command in tree_below(root).items():
            with suppress(OSError, KeyError):
                found.append(_sample(pid, command, at))
    return found


def _sample(pid: int, command: str, at: float) -> Sample:
    folder = Path(f"/proc/{pid}")
    memory = _fields(folder / "smaps_rollup")
    return Sample(
        at=at,
        pid=pid,
        process=_name(command),
        rss=memory["Rss"] / 1024,
        pss=memory["Pss"] / 1024,
        own=memory["Pss_Anon"] / 1024,
        files=len(list((folder / "fd").iterdir())),
        threads=_fields(folder / "status")["Threads"],
    )


def _name(command: str) -> str:
    for word, name in (
        ("spawn_main", "worker"),
        ("resource_tracker", "tracker"),
        ("app.cli trainer", "trainer"),
        ("app.cli serve", "serve"),
    ):
        if word in command:
            return name
    return "process"


def _fields(path: Path) -> dict[str, int]:
    found = {}
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        word = value.split()[0] if value.split() else ""
        if word.isdigit():
            found[name] = int(word)
    return found
