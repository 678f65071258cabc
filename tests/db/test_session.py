"""Connections and transactions."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.db.bulk import insert_rows
from app.db.queries.identities import user_keys
from app.db.session import Database
from app.db.tables import interactions, users


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(users)).scalar_one()


def test_a_write_is_kept(database: Database) -> None:
    with database.write() as connection:
        user_keys(connection, ["a"], 1)
    with database.read() as connection:
        assert count(connection) == 1


def test_a_failed_write_leaves_nothing(database: Database) -> None:
    def failing() -> None:
        with database.write() as connection:
            user_keys(connection, ["a"], 1)
            assert count(connection) == 1
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        failing()
    with database.write() as connection:  # and the connection is good for the next
        assert count(connection) == 0
        user_keys(connection, ["b"], 1)
    with database.read() as connection:
        assert count(connection) == 1


def test_what_is_not_committed_is_not_seen(database: Database) -> None:
    with database.write() as writing:
        user_keys(writing, ["a"], 1)
        with database.read() as reading:
            assert count(reading) == 0


def test_a_snapshot_sees_one_moment(database: Database) -> None:
    with database.snapshot() as looking:
        assert count(looking) == 0
        with database.write() as writing:
            user_keys(writing, ["a"], 1)
        assert count(looking) == 0
        with database.read() as reading:
            assert count(reading) == 1
        assert looking.execute(select(users)).all() == []
    with database.snapshot() as looking:
        assert count(looking) == 1
    # The isolation of a snapshot does not stay with its connection.
    with database.write() as connection:
        user_keys(connection, ["b"], 1)
        assert count(connection) == 2


def test_foreign_keys_are_checked(database: Database) -> None:
    columns = ("event_key", "user_id", "event", "occurred_at", "received_at")
    with pytest.raises(IntegrityError), database.write() as connection:
        insert_rows(connection, interactions, columns, [(bytes(16), 99, 99, 1, 1)])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sqlite_is_set_up(database: Database) -> None:
    assert database.embedded
    # Each connection of the pool, not the first only.
    with database.read() as one, database.read() as two:
        for connection in (one, two):
            found = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            ]
            assert found == ["wal", 2, 1, 15_000]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_postgresql_is_set_up(database: Database) -> None:
    assert not database.embedded
    with database.snapshot() as connection:
        assert connection.exec_driver_sql("SHOW timezone").scalar_one() == "UTC"
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "repeatable read"
        with pytest.raises(DBAPIError, match="read-only"):
            user_keys(connection, ["a"], 1)


@pytest.mark.parametrize("url", ["mysql://host/shop", "oracle://host/shop"])
def test_other_engines_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not supported: give a sqlite:/// or postgresql:// address"):
        Database(url)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_memory_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="in-memory"):
        Database(url)


@pytest.mark.parametrize("url", ["postgresql://h/d", "postgres://h/d", "postgresql+psycopg2://h/d"])
def test_spellings_of_postgresql(url: str) -> None:
    database = Database(url)
    assert (database.url.drivername, database.embedded) == ("postgresql+psycopg", False)
    database.close()


def test_the_folder_is_made(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/a/b/shop.db")
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
    database.close()
    assert (tmp_path / "a" / "b" / "shop.db").exists()


WITHOUT_EXTRA = """
import sys
sys.modules["greenlet"] = sys.modules["psycopg"] = None
from starlette.testclient import TestClient
from app.core.settings import Settings
from app.db import migrate
from app.db.session import Database
from app.main import create_app
url = f"sqlite:///{sys.argv[1]}/shop.db"
database = Database(url)
migrate.upgrade(database)
database.close()
app = create_app(Settings(database_url=url, artifacts=sys.argv[1], log_level="error"))
with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 5)) as client:
    assert client.get("/v1/users/u/recommendations").status_code == 200
"""


def test_sqlite_needs_nothing_of_the_extra_for_postgresql(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_EXTRA, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("missing", ["psycopg", "greenlet"])
def test_what_is_missing_of_the_extra_is_told_by_its_name(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError) as told:
        Database("postgresql://postgres@127.0.0.1:5432/nowhere")
    assert told.value.name == missing
