"""Recommendations over HTTP beside a bare route that answers the same bytes, in turn, on one machine.

The service has one worker unless said otherwise, and reads the user's latest events at each request.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx2

from benchmarks import processes
from benchmarks.load import Load, available, saturated, steady
from benchmarks.machine import goal, say, show
from benchmarks.options import Options

_SECONDS = 8.0
_WRITES = 500
"""Events a second that are written while others read."""
_BATCH = 1_000
_FILTER = (
    '{"user_id": "u%06d", "n": 20, "diversity": 0.3, '
    '"filter": "price <= $most", "parameters": {"most": MOST}}'
)


def run(options: Options) -> None:
    """A shop of 1,000,000 users and --items, on SQLite and, with --database, on PostgreSQL."""
    if not available():
        say("Skipped: needs wrk (on Debian: apt-get install wrk).")
        return
    sizes = (1_000_000, options.items, 5_000_000)
    users, items, interactions = (round(size * options.scale) for size in sizes)
    with _place(options) as place:
        for name, url in (("SQLite", ""), ("PostgreSQL", options.database or "")):
            if name == "PostgreSQL" and not url:
                say("PostgreSQL skipped: give --database with the address of an empty database.")
                continue
            folder = place / f"{name}-{users}-{items}"
            if not (folder / "artifacts").exists():
                folder.mkdir(exist_ok=True)
                filled = [str(size) for size in (interactions, users, items)]
                url = url or f"sqlite:///{folder / 'shop.db'}"
                processes.run(folder, url, "-m", "benchmarks.filling", *filled)
                processes.run(folder, url, "-m", "app.cli", "train")
            url = url or f"sqlite:///{folder / 'shop.db'}"
            say(f"\n[bold]{name}[/bold]: {users:,} users, {items:,} items, {interactions:,} interactions")
            _compare(name, folder, url, users, options.rounds)
            _latency(folder, url, users)
            if name == "SQLite":
                _workers(folder, url, users)
                _batch(folder, url, users)


@contextmanager
def _place(options: Options) -> Iterator[Path]:
    """Where the shops are: a folder that is kept, if one is given, or one that goes."""
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        yield options.keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as folder:
        yield Path(folder)


def _compare(name: str, folder: Path, url: str, users: int, rounds: int) -> None:
    """Throughput of both routes, in turn."""
    lines = []
    for title, load, must in (
        ("list of 20", Load(users), 0.35 if name == "SQLite" else 0.25),
        ("filter that keeps 1 %, MMR", Load(users, _FILTER.replace("MOST", _cheapest(folder, url))), 0.2),
    ):
        ours, theirs = [], []
        with processes.service(folder, url) as client:
            content = _sample(client, load)
            (folder / "answer.json").write_bytes(content)
            answer = str(folder / "answer.json")
            with processes.server(folder, url, ("-m", "benchmarks.bare"), bench_answer=answer) as other:
                for _ in range(rounds):
                    ours.append(saturated(str(client.base_url), load, folder, _SECONDS))
                    theirs.append(saturated(str(other.client.base_url), load, folder, _SECONDS / 2))
        ratio = median(ours) / median(theirs)
        lines.append(
            (title, f"{median(ours):,.0f}", f"{median(theirs):,.0f}", f"{ratio:.3f}", f"{len(content):,}")
        )
        goal(f"{name}, {title}: at least {must} of the bare route: {ratio:.3f}", ratio >= must)
    show("Answers per second, 8 connections", ("", "Vitrine", "bare route", "ratio", "bytes"), lines)


def _latency(folder: Path, url: str, users: int) -> None:
    """Times at half of the saturation load: quiet, while events are written, during a training."""
    load = Load(users)
    lines = []
    with processes.service(folder, url) as client:
        base = str(client.base_url)
        rate = saturated(base, load, folder, _SECONDS) / 2
        quiet = steady(base, load, rate, _SECONDS)
        lines.append(("quiet", quiet))
        with _writing(client, users):
            lines.append((f"while {_WRITES} events a second are written", steady(base, load, rate, _SECONDS)))
        with _training(folder, url):
            lines.append(("during a training", steady(base, load, rate, _SECONDS)))
    show(
        f"Milliseconds at half of the saturation load ({rate:,.0f} a second)",
        ("", "p50", "p99", "p99, of the quiet one"),
        [(what, f"{p50:.1f}", f"{p99:.1f}", f"{p99 / quiet[1]:.1f}") for what, (p50, p99) in lines],
    )
    goal(f"p99 of 20 ms at most: {quiet[1]:.1f}", quiet[1] <= 20)


def _workers(folder: Path, url: str, users: int) -> None:
    """Two workers beside one, and what the second holds in memory."""
    load, found, memory = Load(users), [], []
    for workers in (1, 2):
        command = ("-m", "app.cli", "serve", "--no-trainer", "--workers", str(workers))
        with processes.server(folder, url, command) as running:
            found.append(saturated(str(running.client.base_url), load, folder, _SECONDS, 16))
            memory.append(_shares(running.process.pid))
    ratio = found[1] / found[0]
    say(
        f"Two workers: {ratio:.2f} times the answers of one ({found[1]:,.0f} and {found[0]:,.0f}); wrk "
        f"runs on one of {len(os.sched_getaffinity(0))} cores. Memory (PSS) {memory[0]:,.0f} MiB with one, "
        f"{memory[1]:,.0f} with two."
    )
    goal(f"a second worker in 250 MB: {memory[1] - memory[0]:,.0f}", memory[1] - memory[0] <= 250)


def _batch(folder: Path, url: str, users: int) -> None:
    """One call for 1,000 users beside 1,000 calls."""
    with processes.service(folder, url) as client:
        requests = [{"user_id": f"u{number:06d}", "n": 20} for number in range(0, users, users // _BATCH)]
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            client.post("/v1/recommendations/batch", json={"requests": requests[:_BATCH]}).raise_for_status()
            middle = time.perf_counter()
            for request in requests[:_BATCH]:
                client.post("/v1/recommendations", json=request).raise_for_status()
            seconds.append((middle - started, time.perf_counter() - middle))
    together, apart = (median(side) for side in zip(*seconds, strict=True))
    ratio = apart / together
    say(f"A batch of {_BATCH:,}: {together:.2f} s; single calls: {apart:.2f} s, {ratio:.1f} times as long")


def _sample(client: httpx2.Client, load: Load) -> bytes:
    """An answer of usual length, and all that a first call prepares."""
    answers = []
    for user in range(20):
        answer = (
            client.get(f"/v1/users/u{user:06d}/recommendations?n=20")
            if load.body is None
            else client.post("/v1/recommendations", content=load.body % user)
        )
        answers.append(answer.raise_for_status().content)
    return sorted(answers, key=len)[len(answers) // 2]


def _cheapest(folder: Path, url: str) -> str:
    """The price below which a hundredth of the items is."""
    code = (
        "from app.db.session import Database; import sys; from sqlalchemy import text\n"
        "with Database(sys.argv[1]).read() as c: prices = sorted(c.execute(text("
        "'SELECT price FROM items WHERE price IS NOT NULL')).scalars())\n"
        "print(prices[len(prices) // 100])"
    )
    command = [sys.executable, "-c", code, url]
    root = Path(__file__).resolve().parents[1]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout.strip()


@contextmanager
def _writing(client: httpx2.Client, users: int) -> Iterator[None]:
    """Batches of events, ten a second."""
    ended = threading.Event()

    def write() -> None:
        number = 0
        while not ended.wait(0.1):
            events = [
                {
                    "user_id": f"u{(number + place) * 7919 % users:06d}",
                    "item_id": f"i{place:06d}",
                    "event": "view_item",
                }
                for place in range(_WRITES // 10)
            ]
            number += len(events)
            client.post("/v1/interactions/batch", json={"interactions": events}).raise_for_status()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _training(folder: Path, url: str) -> Iterator[None]:
    """A training in a process of its own, ended with the block."""
    with processes.started(folder, url, "-m", "app.cli", "train"):
        time.sleep(10)
        yield


def _shares(pid: int) -> float:
    """Proportional memory of a process and its children, MiB."""
    total, waiting = 0.0, [pid]
    while waiting:
        one = waiting.pop()
        waiting += [int(child) for child in Path(f"/proc/{one}/task/{one}/children").read_text().split()]
        for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) / 1024
    return total
