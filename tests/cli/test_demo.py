"""`vitrine demo`, as a process of its own against the real service."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import app

pytestmark = pytest.mark.processes

_CODE = Path(app.__file__).resolve().parents[1]
_SMALL = ("--users", "80", "--items", "200", "--interactions", "5000")
_PATIENCE = 240


def _environment(**changes: str) -> dict[str, str]:
    # Settings of the shop's own, which must have no say in the demo.
    own = {"VITRINE_DATABASE_URL": "sqlite:///own.db", "VITRINE_ADMIN_KEY": "own", "COLUMNS": "80"}
    return os.environ | own | {"PYTHONPATH": str(_CODE)} | changes


def _start(folder: Path, *options: str, **changes: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli", "demo", *_SMALL, *options],
        cwd=folder,
        env=_environment(**changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _processes_in(folder: Path) -> list[int]:
    """Processes that work in the demo's folder (Linux; elsewhere none are found)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(int(process.name))
    return found


def _soon_none_in(folder: Path) -> bool:
    """Whether no process is left; one that was killed a moment ago may not be gone yet."""
    patience = time.monotonic() + 20
    while _processes_in(folder) and time.monotonic() < patience:
        time.sleep(0.05)
    return not _processes_in(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder to run in; ends what a failed test leaves running."""
    yield tmp_path
    for process in _processes_in(tmp_path):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def test_it_sets_up_plays_trains_shows_and_ends(folder: Path) -> None:
    (folder / "var").mkdir()
    own = folder / "var" / "vitrine.db"
    own.write_text("the shop's own")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = _start(folder, "--exit", "--port", str(port))
        shown, told = demo.communicate(timeout=_PATIENCE)

    assert demo.returncode == 0, told
    assert f"Port {port} is taken" in shown
    for part in (
        "Judged on what",
        "bought last",
        "recommended, and why",
        "a moment later, without another training",
        "A new visitor",
        "What goes with a cart",
        "Similar to:",
        "Ratings that",
        "Customer segments",
        "trending this week",
        "Checked against the truth",
    ):
        assert part in shown
    assert "Because you" in shown
    assert "history in streams" in told
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", shown + told), "control characters without a terminal"
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert _soon_none_in(folder)
    assert own.read_text() == "the shop's own"
    assert {path.relative_to(folder).as_posix() for path in folder.glob("*/*")} == {
        "var/vitrine.db",
        "var/demo",
    }
    assert [path.name for path in folder.iterdir()] == ["var"]

    ours, by_chance = (
        int(found[1]) for found in re.finditer(r"(?:recommendations|by chance) .*?(\d+) %", shown)
    )
    assert ours > 2 * by_chance


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_interrupted(folder: Path, end: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    demo = _start(folder, "--port", str(port))
    assert demo.stdout is not None
    for line in demo.stdout:
        if "Ctrl-C ends it" in line:
            break
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=10) as answer:
        assert answer.status == 200
    assert _processes_in(folder / "var"), "service and trainer work in the demo's folder"

    demo.send_signal(end)
    shown, told = demo.communicate(timeout=60)

    assert demo.returncode == 0, told
    assert "Stopped." in shown
    assert _soon_none_in(folder)


def test_an_early_interruption_leaves_nothing_running(folder: Path) -> None:
    demo = _start(folder, "--port", "0")
    patience = time.monotonic() + 60
    while not _processes_in(folder / "var") and time.monotonic() < patience:
        time.sleep(0.05)

    demo.send_signal(signal.SIGINT)
    _, told = demo.communicate(timeout=60)

    assert demo.returncode == 130
    assert "Interrupted." in told
    assert "Traceback" not in told
    assert _soon_none_in(folder)


def test_a_service_that_does_not_start_is_one_line_and_its_log(folder: Path) -> None:
    broken = folder / "broken" / "uvicorn"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise SystemExit('uvicorn is broken here')")
    # The demo puts its own code first on the child's path; the broken package comes before site-packages.
    demo = _start(folder, "--exit", "--port", "0", PYTHONPATH=f"{_CODE}{os.pathsep}{broken.parent}")
    _, told = demo.communicate(timeout=60)

    assert demo.returncode == 1
    assert "uvicorn is broken here" in told
    assert "Traceback" not in told


def test_files_of_others_are_left_alone(folder: Path) -> None:
    precious = folder / "var" / "demo" / "precious.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("mine")
    demo = _start(folder, "--exit")
    _, told = demo.communicate(timeout=60)

    assert demo.returncode == 1
    assert told.count("\n") == 1
    assert "not an earlier demo's" in told
    assert precious.read_text() == "mine"


def test_a_missing_client_is_one_line(folder: Path) -> None:
    hide = (
        "import sys, importlib.util; found = importlib.util.find_spec;"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'httpx2' else found(name, *rest);"
        "sys.argv[0] = 'vitrine'; from app.cli import main; main()"
    )
    demo = subprocess.run(
        [sys.executable, "-c", hide, "demo"],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert demo.returncode == 1
    assert demo.stderr == "vitrine: The demo needs the package httpx2: pip install 'vitrine[demo]'\n"
    assert list(folder.iterdir()) == []
