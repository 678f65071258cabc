"""A PostgreSQL server of our own that may be killed, stopped for a while, and started again."""

import os
import pwd
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from tests.e2e.processes import free_port, tree_below, wait_for
from tests.postgresql import server_binaries


class Cluster:
    """One server with its data in a folder."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._folder = folder
        # PostgreSQL refuses to run as root: then its own user does.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        command: list[str | Path] = [binaries / "initdb", "-D", folder / "data", "-U", "postgres"]
        command += ["-A", "trust", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, user=self._user, cwd="/")

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def start(self, seconds: float = 60.0) -> None:
        """Start the server, and wait until it answers (it may have to recover first)."""
        with (self._folder / "log").open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *(self._binaries / "postgres", "-D", self._folder / "data", "-p", str(self._port)),
                    *("-k", self._folder, "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=60"),
                    # Processes are killed here, not machines: what was written is the kernel's.
                    *("-c", "fsync=off"),
                ],
                stdout=output,
                stderr=output,
                user=self._user,
                cwd="/",
            )
        try:
            wait_for("PostgreSQL", self.answers, seconds)
        except AssertionError as error:
            said = (self._folder / "log").read_text(errors="replace")[-2_000:]
            raise AssertionError(f"{error}; status {self._process.poll()}; {said}") from error

    def answers(self) -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(self.url, connect_timeout=2):
            return True
        return False

    def kill(self) -> None:
        """End the server and all its processes as a power cut would."""
        if self._process is not None:
            everyone = tree_below(self._process.pid)
            for pid in [self._process.pid, *everyone]:
                _send(pid, signal.SIGKILL)
            self._process.wait(10)
            wait_for("the end of PostgreSQL", lambda: not any(_exists(pid) for pid in everyone), 10)
            self._process = None

    def crash(self) -> None:
        """Kill the server, and start it again a moment later."""
        self.kill()
        time.sleep(0.2)
        self.start()

    def kill_backend(self) -> None:
        """Kill one connection's process: the server ends all others and recovers."""
        if self._process is not None:
            lines = tree_below(self._process.pid)
            # As they call themselves: "postgres: USER DATABASE ADDRESS(PORT) …".
            backends = [pid for pid, line in lines.items() if line.startswith("postgres: postgres ")]
            if backends:
                _send(backends[len(backends) // 2], signal.SIGKILL)
            wait_for("PostgreSQL", self.answers, 60)

    def freeze(self) -> None:
        """Stop the server without closing anything: it takes what is sent, and does not answer."""
        self._send_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send_all(signal.SIGCONT)

    def _send_all(self, number: int) -> None:
        if self._process is not None:
            for pid in [self._process.pid, *tree_below(self._process.pid)]:
                _send(pid, number)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A running server until the end of the block."""
    binaries = server_binaries()
    assert binaries is not None, "PostgreSQL's initdb was not found"
    with tempfile.TemporaryDirectory(prefix="vitrine-faults-") as folder:
        made = Cluster(binaries, Path(folder))
        made.start()
        try:
            yield made
        finally:
            made.kill()


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _exists(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
