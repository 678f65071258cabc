"""A migration that is killed leaves nothing, and the next one begins anew."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, inspect

from app.db import migrate
from app.db.session import Database
from tests import postgresql


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/vitrine.db"
        return
    server = request.getfixturevalue("postgresql_server")
    with postgresql.new_database(server, f"vitrine_{uuid4().hex[:12]}") as address:
        yield address


def migrate_until(url: str, statements: int) -> None:
    """Migrate, and kill this process at the n-th statement."""
    database = Database(url)
    seen: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)
        if len(seen) == statements:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(database.engine, "before_cursor_execute", count)
    migrate.upgrade(database)


def test_a_killed_migration(empty: str) -> None:
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["tests.faults.test_migrations"])
    database = Database(empty)
    for statements in (12, 40):
        process = made.Process(target=migrate_until, args=(empty, statements))
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        with database.read() as connection:
            assert inspect(connection).get_table_names() == []
    migrate.upgrade(database)
    assert migrate.current_revision(database) == migrate.head_revision()
    database.close()
