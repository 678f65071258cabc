"""The database: connections, transactions, and what each of the two engines needs.

Nothing below the edge commits: `write()` is the transaction of one request, trainer step or command.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

BUSY_TIMEOUT_SECONDS = 15


class Database:
    """One shop's database, SQLite or PostgreSQL.

    `embedded` tells the two apart where it matters: SQLite answers a read within microseconds in this
    process and has one writer at a time; PostgreSQL is a round trip away and has many.
    """

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = _with_driver(make_url(url))
        self.embedded = self.url.get_backend_name() == "sqlite"
        self.pool_size = pool_size
        self.engine = self._embedded_engine() if self.embedded else self._server_engine()

    def _embedded_engine(self) -> Engine:
        if not self.url.database or self.url.database == ":memory:":
            raise ValueError("an in-memory SQLite database cannot be shared by processes; give a file")
        Path(self.url.database).resolve().parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            self.url,
            pool_size=self.pool_size,
            max_overflow=self.pool_size,
            hide_parameters=True,
            json_deserializer=orjson.loads,
            connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_SECONDS},
        )
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _server_engine(self) -> Engine:
        return create_engine(
            self.url,
            pool_size=self.pool_size,
            max_overflow=0,
            hide_parameters=True,  # an error's text goes to the log: no ids and no hashes there
            pool_timeout=10,
            pool_pre_ping=True,
            # PostgreSQL writes 1e300 out in full: json would read an integer that no answer can hold.
            json_deserializer=orjson.loads,
            connect_args={"connect_timeout": 5, "application_name": "vitrine", "options": "-c timezone=UTC"},
        )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block, or rolls back if the block raises."""
        with self.engine.connect() as connection, connection.execution_options(writes=True).begin():
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A read-only transaction in which every statement sees the same moment."""
        with self.engine.connect() as connection:
            if not self.embedded:
                connection = connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close all connections of the pool."""
        self.engine.dispose()


def _with_driver(url: URL) -> URL:
    if url.get_backend_name() == "sqlite":
        return url.set(drivername="sqlite")
    if url.get_backend_name() in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise ValueError(f"{url.get_backend_name()} is not supported: give a sqlite:/// or postgresql:// address")


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = (
        None  # transactions begin where _begin_sqlite says, not where sqlite3 guesses
    )
    cursor = connection.cursor()
    # FULL makes each commit reach the disk before the 2xx: a power cut loses nothing acknowledged either.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-65536"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the write lock at once: upgrading a read later could fail without waiting.
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
