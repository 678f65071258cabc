"""The files of vitrine export: whole ones or none, in the form that was asked for, and errors of one line."""

import gzip
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.cli.export.target import Target
from app.db.session import Database
from app.simulation.shop import simulate
from tests.cli.command import Ended, vitrine
from tests.cli.test_commands import counts
from tests.cli.test_export import exported
from tests.training.shops import SMALL, ingest, ingest_shop

USERS = [{"user_id": f"u{number}", "attributes": {"n": number}} for number in range(4)]


@pytest.fixture
def few_users(database_url: str, database: Database) -> str:
    """Address of a shop of four users."""
    ingest(database, USERS)
    return database_url


def test_standard_output_holds_the_rows_and_nothing_else(few_users: str, tmp_path: Path) -> None:
    whole = exported(tmp_path, few_users, "users", "users.ndjson").decode()
    ended = vitrine(tmp_path, "export", "users", "--out", "-", DATABASE_URL=few_users)
    assert (ended.status, ended.out) == (0, whole)
    assert ended.error_lines == ["4 users."]


def test_the_ending_says_the_format(few_users: str, tmp_path: Path) -> None:
    plain = exported(tmp_path, few_users, "users", "a.csv")
    assert gzip.decompress(exported(tmp_path, few_users, "users", "a.csv.gz")) == plain
    assert exported(tmp_path, few_users, "users", "a.jsonl", "--format", "csv") == plain
    lines = exported(tmp_path, few_users, "users", "b.jsonl")
    assert lines == exported(tmp_path, few_users, "users", "b.txt")
    packed = exported(tmp_path, few_users, "users", "b.ndjson.gz")
    assert gzip.decompress(packed) == lines
    taken = vitrine(tmp_path, "import", "ndjson", "b.ndjson.gz", DATABASE_URL=few_users)
    assert counts(taken, "users") == (4, 0, 0)


def test_a_file_is_only_replaced_when_told(few_users: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept.csv"
    kept.write_text("mine")
    (tmp_path / "link.csv").symlink_to(kept)
    for name in ("kept.csv", "link.csv"):
        ended = vitrine(tmp_path, "export", "users", "--out", name, DATABASE_URL=few_users)
        assert refused(ended) == f"--out: {name} is there already; --force replaces it"
        assert kept.read_text() == "mine"
    exported(tmp_path, few_users, "users", "link.csv", "--force")
    assert (tmp_path / "link.csv").is_symlink()
    assert kept.read_text().startswith("user_id,")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["users", "--out", "no/such/file.csv"], "--out: there is no folder "),
        (["users", "--out", "."], "--out: . is a folder"),
        (["users", "--out", "/dev/null", "--force"], "--out: /dev/null is not a file"),
        (["users", "--out", ""], "--out takes a file, or - for standard output"),
        (["users", "--out", "x" * 300], "--out: File name too long"),
        (["users", "--out", "a.csv", "--format", "xlsx"], "--format is csv or ndjson, not 'xlsx'"),
        (["users", "--out", "a.csv", "--format", "jsonl"], "--format is csv or ndjson, not 'jsonl'"),
        (["everything", "--out", "-"], "'everything' cannot be exported: give one of customers, segments, "),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    ended = vitrine(tmp_path, "export", *arguments)
    assert refused(ended).startswith(message)
    assert not [path for path in tmp_path.iterdir() if path.name == "var" or path.suffix == ".part"]


LEARNED = (
    *(["customers"], ["segments"], ["rules"], ["forecasts"]),
    *(["forecasts", "--of", "demand"], ["recommendations"]),
)


@pytest.mark.parametrize("arguments", LEARNED)
def test_without_a_model_there_is_nothing_to_tell(
    few_users: str, tmp_path: Path, arguments: list[str]
) -> None:
    ended = vitrine(tmp_path, "export", *arguments, "--out", "a.csv", DATABASE_URL=few_users)
    assert (ended.status, ended.out, len(ended.error_lines)) == (1, "", 1)
    assert ended.err.startswith("vitrine: No model is trained yet: ")
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_what_breaks_off_leaves_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("before")
    target = Target.of(str(tmp_path / name), None, True, "csv")
    with pytest.raises(ValueError, match="broken"):
        half(target, partial(raise_, ValueError("broken")))
    with pytest.raises(SystemExit) as ended:
        half(target, partial(os.kill, os.getpid(), signal.SIGTERM))
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "before"


def test_a_disk_that_is_full_leaves_nothing(database_url: str, database: Database, tmp_path: Path) -> None:
    ingest_shop(database, simulate(SMALL))
    ended = limited(tmp_path, database_url, "events.csv")
    assert (ended.returncode, ended.stderr.splitlines()) == (1, ["vitrine: --out: File too large"])
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("vitrine.db")] == []
    with Path("/dev/full").open("wb") as full:
        ended = limited(tmp_path, database_url, "-", stdout=full)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == ["vitrine: --out: standard output: No space left on device"]


def limited(folder: Path, url: str, out: str, **streams: Any) -> subprocess.CompletedProcess[str]:
    """An export of all interactions by a process that cannot write large files."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "export", "interactions", "--out", out],
        cwd=folder,
        env=os.environ | {"VITRINE_DATABASE_URL": url, "PYTHONPATH": str(Path(__file__).parents[2])},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **streams,
    )


def refused(ended: Ended) -> str:
    """The one line that says why."""
    assert (ended.status, ended.out, len(ended.error_lines)) == (2, "", 1), ended
    return ended.err.removeprefix("vitrine: ").rstrip("\n")


def half(target: Target, breaks: Callable[[], object]) -> None:
    """An export that breaks in the middle."""
    with target.opened() as stream:
        stream.write(b"half")
        breaks()


def raise_(error: Exception) -> None:
    raise error
