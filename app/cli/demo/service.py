"""The real service as a child process, and calls to it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2

import app
from app.cli.demo.folder import DemoError

HOST = "127.0.0.1"
_START_SECONDS = 90
_STOP_SECONDS = 30
_LOG_LINES = 12


class Service:
    """A service on a database of its own, in `folder`, and the client that calls it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.address = f"http://{HOST}:{port}"
        self.log = folder / "service.log"
        # Neither a proxy of the environment nor its .netrc has a say in calls to this machine.
        self._client = httpx2.Client(base_url=self.address, timeout=120, trust_env=False)
        command = [sys.executable, "-m", "app.cli", "serve"]
        command += ["--workers", "1", "--host", HOST, "--port", str(port)]
        with self.log.open("wb") as log:
            # A group of its own: Ctrl-C reaches the demo alone, which then ends the service in order. The
            # folder as working directory keeps the shop's own .env file out.
            self._process = subprocess.Popen(  # noqa: S603 (our own command)
                command,
                cwd=folder,
                env=_environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Return when it answers; raises DemoError if it ends or takes too long."""
        patience = time.monotonic() + _START_SECONDS
        while time.monotonic() < patience:
            self.check()
            with suppress(httpx2.TransportError):
                if self._client.get("/health/ready").status_code == 200:
                    return
            time.sleep(0.1)
        raise DemoError(f"the service did not become ready within {_START_SECONDS} seconds")

    def check(self) -> None:
        """Raise DemoError if the process has ended."""
        status = self._process.poll()
        if status is not None:
            raise DemoError(f"the service ended with status {status}; its log is {self.log}")

    def get(self, path: str, **parameters: Any) -> Any:
        """The answer to a GET; raises DemoError unless it is a success."""
        return self._call("GET", path, params=parameters)

    def post(self, path: str, body: Any = None) -> Any:
        """The answer to a POST; raises DemoError unless it is a success."""
        return self._call("POST", path, json=body) if body is not None else self._call("POST", path)

    def put(self, path: str, body: Any) -> Any:
        """The answer to a PUT; raises DemoError unless it is a success."""
        return self._call("PUT", path, json=body)

    def stream(self, path: str, parts: Iterable[bytes]) -> Any:
        """The answer to a POST of NDJSON, sent as it comes; raises DemoError unless it is a success."""
        headers = {"content-type": "application/x-ndjson"}
        return self._call("POST", path, content=parts, headers=headers, timeout=None)

    def _call(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = self._client.request(method, path, **options)
        except httpx2.HTTPError as error:
            self.check()
            raise DemoError(f"{method} {path}: {error or type(error).__name__}") from error
        if not response.is_success:
            raise DemoError(
                f"{method} {path} was answered with {response.status_code}: {response.text[:300]}"
            )
        return response.json()

    def last_log_lines(self) -> list[str]:
        """The end of what it logged, without control characters."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return ["".join(sign for sign in line if sign.isprintable()) for line in lines[-_LOG_LINES:]]

    def serve(self) -> None:
        """Keep serving until interrupted; raises DemoError if the process ends by itself."""
        while True:
            self.check()
            time.sleep(0.5)

    def stop(self) -> None:
        """End the service and its trainer."""
        self._client.close()
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=_STOP_SECONDS)
        # What is left of the group now did not end when asked.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def running_service(folder: Path, port: int) -> Iterator[Service]:
    """A service that has started to start, and that is ended with the block, come what may."""
    service = Service(folder, port)
    try:
        yield service
    finally:
        with _undisturbed():
            service.stop()


def free_port(wanted: int) -> int:
    """The wanted port if it is free, else another; raises DemoError where it may not be used."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except PermissionError as error:
                raise DemoError(f"port {port} may not be used: {error.strerror}") from error
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoError("no free port was found")


@contextmanager
def interrupted_by_any_end() -> Iterator[None]:
    """Within the block SIGTERM and a closed terminal interrupt as Ctrl-C does."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, interrupt) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Within the block a second Ctrl-C does nothing: no process must be left behind."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_IGN) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def _environment(folder: Path) -> dict[str, str]:
    """This environment with the demo's settings instead of the shop's own."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("VITRINE_")}
    code = str(Path(app.__file__).resolve().parents[1])
    return kept | {
        "VITRINE_DATABASE_URL": f"sqlite:///{folder / 'vitrine.db'}",
        "VITRINE_ARTIFACTS": str(folder / "artifacts"),
        "VITRINE_METRICS_DIR": str(folder / "metrics"),
        # The demo itself says when to train.
        "VITRINE_TRAIN_AFTER_INTERACTIONS": "0",
        "VITRINE_TRAIN_INTERVAL_HOURS": "0",
        "PYTHONPATH": os.pathsep.join(part for part in (code, kept.get("PYTHONPATH")) if part),
    }
