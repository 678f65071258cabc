"""Training can die anywhere: real trainer processes, killed, stopped, without room, without their folder."""

import os
import resource
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

from app.core.events import DEFAULT_WEIGHTS
from app.learning import artifacts
from app.learning.artifacts import ArrayEntry
from app.services.live import Live
from tests.e2e.processes import wait_for
from tests.faults.dying_trainer import PLACES
from tests.faults.service import prepare
from tests.faults.training_stages import Trainers
from tests.training.shops import queue, run_row

SOME = ("search", "writing", "publishing")
"""Of the places at which trainers die; `make faults` tries them all."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainers]:
    """Trainers on a plain shop on SQLite, with a version that is served."""
    folder = tmp_path_factory.mktemp("trainers")
    url = f"sqlite:///{folder}/vitrine.db"
    prepare(url, plain=True)
    opened = Trainers(url, folder / "artifacts")
    assert opened.finish(queue(opened.database)).state == "succeeded"
    yield opened
    opened.close()


@pytest.mark.parametrize("place", PLACES if os.environ.get("VITRINE_FAULTS") == "all" else SOME)
def test_a_trainer_that_is_killed(made: Trainers, place: str) -> None:
    assert made.die(place) == []


def test_nothing_is_left_of_those_that_died(made: Trainers) -> None:
    made.finish(queue(made.database))
    assert made.check_left() == []


@pytest.mark.parametrize("place", ["written"])
def test_a_trainer_that_was_stopped_and_wakes_up_late_publishes_nothing(made: Trainers, place: str) -> None:
    run_id = queue(made.database)
    asleep = made.start(place, signal.SIGSTOP)
    assert asleep.pid is not None
    pid = asleep.pid
    try:
        wait_for("a trainer that stands still", lambda: is_stopped(pid), 60)
        row = made.finish(run_id)
        assert (row.state, row.attempt) == ("succeeded", 2)
        published = made.active()
    finally:
        os.kill(pid, signal.SIGCONT)
    asleep.join(60)
    assert asleep.exitcode == 0
    assert made.active() == published == row.model_version
    assert run_row(made.database, run_id) == row
    made.finish(queue(made.database))  # the next one clears up after it
    assert made.check_whole() == made.check_left() == []


def test_a_full_disk(made: Trainers) -> None:
    before = made.active()
    run_id = queue(made.database)
    process = made.start("pruning", signal.SIGKILL, fill_disk)
    wait_for("the end of the run", lambda: run_row(made.database, run_id).state == "failed", 180)
    process.terminate()
    process.join(20)
    assert "File too large" in run_row(made.database, run_id).error
    assert made.active() == before
    assert made.check_whole() == made.check_left() == []


def test_a_folder_that_cannot_be_written_and_one_that_vanished(made: Trainers) -> None:
    live = Live(made.database, made.artifacts, DEFAULT_WEIGHTS)
    live.start()
    serving = live.current
    aside = made.artifacts.with_name("aside")
    made.artifacts.rename(aside)
    live.follow_once()
    assert live.current is serving
    assert "are gone; it serves on" in (live.failing or "")
    # A file in its place: root may write into any folder.
    made.artifacts.write_text("not a folder")
    try:
        row = made.finish(queue(made.database))
        assert (row.state, "File exists" in row.error) == ("failed", True)
    finally:
        made.artifacts.unlink()
    # Made anew by the next training, which has no other version to compare with.
    row = made.finish(queue(made.database))
    assert row.state == "succeeded"
    live.follow_once()
    assert live.current is not None
    assert (live.current.name, live.failing) == (row.model_version, None)
    for path in aside.iterdir():
        shutil.move(path, made.artifacts / path.name)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "newer", "gone"])
def test_a_start_on_damaged_files_serves_the_last_good_version(made: Trainers, damage: str) -> None:
    good = made.active()
    bad = made.finish(queue(made.database)).model_version
    assert bad != good
    folder = made.artifacts / bad
    whole = folder.with_name("whole")
    shutil.copytree(folder, whole)
    array = max(folder.glob("*.npy"), key=lambda path: path.stat().st_size)
    body = bytearray(array.read_bytes())
    if damage == "truncated":
        array.write_bytes(body[: len(body) // 2])
    elif damage == "flipped":
        body[len(body) // 2] ^= 4
        array.write_bytes(body)
    elif damage == "newer":
        manifest = folder / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"format_version": 1', '"format_version": 99'))
    else:
        shutil.rmtree(folder)
    live = Live(made.database, made.artifacts, DEFAULT_WEIGHTS)
    live.start()
    assert live.current is not None
    assert live.current.name == good
    assert f"The active version {bad} cannot be served" in (live.failing or "")
    shutil.rmtree(folder, ignore_errors=True)
    whole.rename(folder)
    live.follow_once()
    assert (live.current.name, live.failing) == (bad, None)


def fill_disk() -> None:
    """From now on the kernel gives this process room for small files of a version only."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    write = artifacts._write_array

    def without_room(path: Path, array: NDArray[Any]) -> ArrayEntry:
        usual = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_024, usual[1]))
        try:
            return write(path, array)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, usual)

    artifacts._write_array = without_room


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
