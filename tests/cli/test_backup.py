"""A copy of the database that is taken while events come in: whole, and with all that was acknowledged."""

import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.db import migrate
from app.db.session import Database
from tests import postgresql
from tests.api.serving import serving
from tests.cli.command import start, vitrine
from tests.training.shops import ingest

WRITERS = 3


class Load:
    """Threads that send events, and note each once it is acknowledged."""

    def __init__(self, database: Database) -> None:
        self.acknowledged: list[str] = []
        self.warm = threading.Event()
        self._database = database
        self._ended = threading.Event()
        self._errors: list[BaseException] = []

    def _send(self, writer: int) -> None:
        try:
            for number in range(100_000):
                if self._ended.is_set():
                    return
                name = f"w{writer}-{number}"
                event = {"user_id": f"u{number % 7}", "item_id": f"i{number % 5}", "event": "view_item"}
                ingest(self._database, interactions=[event | {"event_id": name}])
                self.acknowledged.append(name)
                if len(self.acknowledged) > 50:
                    self.warm.set()
        except BaseException as error:  # a thread must not die in silence
            self._errors.append(error)
            self.warm.set()

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._send, args=(writer,)) for writer in range(WRITERS)]
        for thread in threads:
            thread.start()
        try:
            assert self.warm.wait(60)
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()
        assert not self._errors


def stored(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(text("SELECT event_id FROM interactions")).scalars())


def check_copy(url: str, artifacts: Path, before: set[str], sent: set[str]) -> None:
    """All that was acknowledged before is there, nothing that nobody sent, and the service goes on."""
    database = Database(url)
    found = stored(database)
    database.close()
    assert before <= found <= sent
    with serving(url, artifacts) as client:
        assert client.get("/health/ready").json()["status"] == "ready"
        wanted = {"n": 3, "exclude_seen": False}
        assert len(client.get("/v1/users/u1/recommendations", params=wanted).json()["items"]) == 3
        event = {"user_id": "u1", "item_id": "i1", "event": "purchase"}
        assert client.post("/v1/interactions", json=event).status_code == 201


def test_of_sqlite_while_events_come_in(sqlite_template: Path, tmp_path: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "vitrine.db")
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/vitrine.db"}
    database = Database(settings["DATABASE_URL"])
    load = Load(database)
    with load.running():
        before = set(load.acknowledged)
        made = vitrine(tmp_path, "backup", "copy.db", **settings)
        after = len(load.acknowledged)
    assert (made.status, made.err) == (0, "")
    assert made.out.startswith(f"The database (schema {migrate.head_revision()}, ")
    assert made.out.endswith("MiB) is in copy.db.\n")
    assert after > len(before), "nobody waited for the copy"
    sent = stored(database)
    database.close()
    copy = tmp_path / "copy.db"
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".copy")]

    # As the guide has it: the copy in the place of the database, without what the old one left beside it.
    for name in ("vitrine.db", "vitrine.db-wal", "vitrine.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    copy.rename(tmp_path / "vitrine.db")
    check_copy(settings["DATABASE_URL"], tmp_path / "artifacts", before, sent)


def program(name: str) -> str:
    """One of PostgreSQL's programs; skips where there is none."""
    found = shutil.which(name) or next(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), None)
    if found is None:
        pytest.skip(f"no {name}")
    return found


def test_of_postgresql_while_events_come_in(
    postgresql_server: str, postgresql_template: str, tmp_path: Path
) -> None:
    dump_program, restore_program = (program(name) for name in ("pg_dump", "pg_restore"))
    with (
        postgresql.new_database(postgresql_server, f"vitrine_{uuid4().hex[:12]}", postgresql_template) as url,
        postgresql.new_database(postgresql_server, f"vitrine_{uuid4().hex[:12]}") as restored,
    ):
        database = Database(url)
        load = Load(database)
        dump = tmp_path / "vitrine.dump"
        with load.running():
            before = set(load.acknowledged)
            command = [dump_program, "--format", "custom", "--file", str(dump), "--dbname", url]
            subprocess.run(command, check=True)
        sent = stored(database)
        database.close()
        command = [restore_program, "--no-owner", "--exit-on-error", "--dbname", restored, str(dump)]
        subprocess.run(command, check=True)
        check_copy(restored, tmp_path / "artifacts", before, sent)


def test_it_changes_nothing_and_makes_nothing(sqlite_template: Path, tmp_path: Path) -> None:
    file = tmp_path / "vitrine.db"
    database = Database(f"sqlite:///{file}")
    migrate.upgrade(database, "0001")
    database.close()
    settings = {"DATABASE_URL": f"sqlite:///{file}"}
    (tmp_path / "there.db").write_text("somebody's")
    cases = {
        ("copy.db",): None,
        ("there.db",): "vitrine: there.db is there already; --force replaces it",
        ("vitrine.db", "--force"): "vitrine: vitrine.db cannot be the copy: it is the database",
        (".",): "vitrine: . cannot be the copy: it is a folder",
        ("none/copy.db",): f"vitrine: There is no folder {tmp_path}/none",
    }
    running = {case: start(tmp_path, "backup", *case, **settings) for case in cases}
    missing = start(tmp_path, "backup", "x.db", DATABASE_URL=f"sqlite:///{tmp_path}/no.db")
    server = start(tmp_path, "backup", "x.db", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    for case, process in running.items():
        ended = process.ended()
        assert ended.error_lines == ([] if cases[case] is None else [cases[case]])
        assert ended.status == (0 if cases[case] is None else 2)
    assert missing.ended().error_lines == [f"vitrine: There is no database {tmp_path}/no.db"]
    assert "pg_dump" in server.ended().error_lines[0]
    assert (tmp_path / "there.db").read_text() == "somebody's"
    assert not (tmp_path / "no.db").exists()
    for name in ("vitrine.db", "copy.db"):  # an older schema is copied as it is
        database = Database(f"sqlite:///{tmp_path / name}")
        assert migrate.current_revision(database) == "0001"
        database.close()
    assert vitrine(tmp_path, "backup", "there.db", "--force", **settings).status == 0
    assert (tmp_path / "there.db").read_bytes()[:15] == b"SQLite format 3"


def test_a_damaged_database_makes_no_copy(sqlite_template: Path, tmp_path: Path) -> None:
    file = tmp_path / "vitrine.db"
    shutil.copy(sqlite_template, file)
    with file.open("r+b") as stream:
        stream.seek(3 * 4096)
        stream.write(os.urandom(4096 * 8))
    found = vitrine(tmp_path, "backup", "copy.db", DATABASE_URL=f"sqlite:///{file}")
    assert found.status == 1
    (line,) = found.error_lines
    assert line.startswith("vitrine: The ")
    assert sorted(path.name for path in tmp_path.iterdir() if "copy" in path.name) == []
