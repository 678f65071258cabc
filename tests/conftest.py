"""Databases for the tests: real ones, on both engines, migrated by Alembic, empty for each test."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from hypothesis import settings

from app.api import edge
from app.db import migrate
from app.db.session import Database
from app.db.tables import metadata
from tests import postgresql

settings.register_profile("vitrine", deadline=None)  # machines are slow at times; that is no failure
settings.load_profile("vitrine")

ENGINES = ["sqlite", "postgresql"]
_NO_SERVER = pytest.StashKey[bool]()


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_disks() -> Iterator[None]:
    """No test pulls the plug, and a training waits hundreds of times for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _file: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _patience() -> Iterator[None]:
    """Calls wait for their turn at the database however slow the machine is: how long, other tests tell."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edge, "ROOM_SECONDS", 30.0)
        yield


@pytest.fixture(scope="session")
def postgresql_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of a PostgreSQL server; skips, and says so at the end, where there is none."""
    with postgresql.server() as address:
        if address is None:
            request.config.stash[_NO_SERVER] = True
            pytest.skip("no PostgreSQL server, and no initdb to start one")
        yield address


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str) -> Iterator[str]:
    """Name of a migrated database to copy."""
    name = f"vitrine_template_{uuid4().hex[:12]}"
    with postgresql.new_database(postgresql_server, name) as address:
        database = Database(address)
        migrate.upgrade(database)
        database.close()
        yield name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    database = Database(f"sqlite:///{path}")
    migrate.upgrade(database)
    database.close()
    return path


@pytest.fixture(scope="session")
def postgresql_to_empty(postgresql_server: str, postgresql_template: str) -> Iterator[str]:
    """A database that tests use one after the other: to empty one is faster than to make one."""
    name = f"vitrine_{uuid4().hex[:12]}"
    with postgresql.new_database(postgresql_server, name, postgresql_template) as address:
        yield address


def _empty(url: str) -> None:
    """As the migrations left it: all keys and revisions begin anew."""
    tables = [table.name for table in reversed(metadata.sorted_tables) if table.name != "revisions"]
    with psycopg.connect(url) as connection:
        connection.execute("SET lock_timeout = '20s'")  # a transaction that was left open is seen here
        connection.execute(";".join(f"DELETE FROM {name}" for name in tables).encode())
        connection.execute("UPDATE revisions SET value = 0")
        connection.execute("SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'")


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a migrated, empty database of this test's own, on each engine in turn."""
    if request.param == "sqlite":
        path = tmp_path / "vitrine.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    url = request.getfixturevalue("postgresql_to_empty")
    yield url
    _empty(url)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated, empty database of this test's own, on each engine in turn."""
    opened = Database(database_url, pool_size=5)
    yield opened
    opened.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if config.stash.get(_NO_SERVER, False) or any("no PostgreSQL server" in str(s.longrepr) for s in skipped):
        terminalreporter.section("POSTGRESQL WAS NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.write_line("No server answered at 127.0.0.1:5432 and initdb was not found.")
        terminalreporter.write_line(f"Install PostgreSQL, or give a server's address in {postgresql.GIVEN}.")
