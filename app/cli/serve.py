"""`vitrine serve`"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import typer
import uvicorn

from app.api.server import OPTIONS
from app.cli.console import err, fail, open_database
from app.core.settings import Settings
from app.db.queries.keys import any_key

RESTART_SECONDS = 2.0
METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
OPEN_FILES = 8_192
"""Of a process: each connection is one, and each array of a model version."""
LIMITS_VARIABLE = "VITRINE_RATE_LIMIT_FILE"


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (VITRINE_HOST)")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="VITRINE_PORT")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="VITRINE_WORKERS")] = None,
    trainer: Annotated[
        bool | None,
        typer.Option(
            "--trainer/--no-trainer", help="Start a trainer too (default: on the embedded database)"
        ),
    ] = None,
) -> None:
    """Serve the API; on the embedded database, migrate it first and start a trainer beside it."""
    settings = Settings()
    host, port = host or settings.host, settings.port if port is None else port
    workers = workers or settings.workers
    database = open_database(settings)
    with database.read() as connection:
        is_open = settings.admin_key is None and not any_key(connection)
    with_trainer = database.embedded if trainer is None else trainer
    database.close()
    if is_open:
        err.print(
            "[yellow]No API key exists: calls from this machine need none, all others are refused. "
            "Make the first key with 'vitrine keys create'.[/yellow]"
        )
    err.print(f"Vitrine listens on http://{host}:{port} — documentation at http://{host}:{port}/docs")
    # With one worker a server that ends on SIGTERM sends it to itself again: what follows must still happen.
    signal.signal(signal.SIGTERM, _exit)
    _raise_open_files()
    with _metrics(settings, workers), _rate_limits(settings, workers):
        child = _TrainerChild() if with_trainer else None
        try:
            uvicorn.run(
                "app.main:create_app",
                factory=True,
                host=host,
                port=port,
                workers=workers,
                timeout_graceful_shutdown=15,
                **OPTIONS,
            )
        finally:
            if child is not None:
                child.stop()


def _raise_open_files() -> None:
    """Shells give a process 1,024, of which a model version alone may take some hundreds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _exit(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


@contextmanager
def _metrics(settings: Settings, workers: int) -> Iterator[None]:
    """Give several API processes an empty folder in which they add up their metrics."""
    if workers == 1:  # it is this process, which counts in its memory
        yield
        return
    folder = settings.metrics_dir.resolve() / str(os.getpid())
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        fail(f"VITRINE_METRICS_DIR: {error}")
    os.environ[METRICS_VARIABLE] = str(folder)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _rate_limits(settings: Settings, workers: int) -> Iterator[None]:
    """Give several API processes a file in which they count calls together."""
    if workers == 1 or settings.rate_limit_file is not None:
        yield
        return
    with tempfile.NamedTemporaryFile(prefix="vitrine-limits-") as file:
        os.environ[LIMITS_VARIABLE] = file.name
        try:
            yield
        finally:
            del os.environ[LIMITS_VARIABLE]


class _TrainerChild:
    """A trainer process beside the API, started again if it dies."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._starting = threading.Lock()
        self._process = self._start()
        self._thread = threading.Thread(target=self._watch, name="trainer-watch", daemon=True)
        self._thread.start()

    @staticmethod
    def _start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "app.cli", "trainer", "--parent", str(os.getpid())]
        # It answers no requests: its zeros must not be added to (or be the least of) the API's figures.
        environment = {name: value for name, value in os.environ.items() if name != METRICS_VARIABLE}
        return subprocess.Popen(command, env=environment)  # noqa: S603 (our own command)

    def _watch(self) -> None:
        while True:
            status = self._process.wait()
            self._ended.wait(RESTART_SECONDS)
            with self._starting:
                if self._ended.is_set():
                    return
                err.print(f"[yellow]The trainer ended with status {status}; starting it again.[/yellow]")
                self._process = self._start()

    def stop(self) -> None:
        """End the trainer; it hands a run that works back."""
        with self._starting:
            self._ended.set()
        self._process.terminate()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
