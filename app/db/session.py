"""The database: connections, transactions, and what each of the two engines needs.

Nothing below the edge commits: `write()` is the transaction of one request, trainer step or command.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import uniform
from threading import Lock
from typing import Any

import orjson
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.util import greenlet_spawn

from app.db.deadlines import Deadlines

BUSY_TIMEOUT_SECONDS = 15
STATEMENT_SECONDS = 60
"""How long anything of a request may take; a server ends it, or the connection is cut."""
CONNECT_SECONDS = 5
POOL_SECONDS = 10
"""How long a free connection is waited for."""
_AGAIN_SECONDS = (0.001, 0.005)
"""Between two attempts to be the one that writes, on SQLite."""
_ALIVE = {"keepalives_idle": 30, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
"""After how long a server that is not there any more is given up."""


class Database:
    """One shop's database, SQLite or PostgreSQL.

    `embedded` tells the two apart where it matters: SQLite answers a read within microseconds in this
    process and has one writer at a time; PostgreSQL is a round trip away and has many.
    """

    def __init__(self, url: str, *, pool_size: int = 10, for_requests: bool = False) -> None:
        """`for_requests`: on PostgreSQL nothing may take longer than STATEMENT_SECONDS, and a connection is
        not asked whether it is still there: who uses it tries again on a fresh one."""
        self.url = _with_driver(make_url(url))
        self.embedded = self.url.get_backend_name() == "sqlite"
        self._bounded = for_requests and not self.embedded
        self.pool_size = pool_size
        """Connections of threads and, on a server, as many of the event loop."""
        self._deadlines = Deadlines()
        self._keeping = Lock()
        self._kept: Connection | None = None
        self.engine = self._embedded_engine() if self.embedded else self._server_engine()
        self._awaited = None if self.embedded else self._awaited_engine()

    def _embedded_engine(self) -> Engine:
        if not self.url.database or self.url.database == ":memory:":
            raise ValueError("an in-memory SQLite database cannot be shared by processes; give a file")
        Path(self.url.database).resolve().parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            self.url,
            pool_size=self.pool_size,
            # The event loop reads too, and never waits for a connection: beside it there are as many
            # threads as connections, a writer, and the one that follows the model.
            max_overflow=max(self.pool_size, 4),
            hide_parameters=True,
            json_deserializer=orjson.loads,
            connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_SECONDS},
        )
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _awaited_engine(self) -> Engine:
        """Connections of an event loop, for functions that run in it (see `awaited`)."""
        # Both come with the extra for PostgreSQL; the second alone would not be told by its name.
        import greenlet  # noqa: F401
        from sqlalchemy.ext.asyncio import create_async_engine

        url = self.url.set(drivername="postgresql+psycopg_async")
        engine = create_async_engine(url, isolation_level="AUTOCOMMIT", **self._of_server())
        return engine.sync_engine

    def _server_engine(self) -> Engine:
        return create_engine(self.url, **self._of_server())

    def _of_server(self) -> dict[str, Any]:
        options = "-c timezone=UTC"
        if self._bounded:
            limit = STATEMENT_SECONDS * 1000
            options += f" -c statement_timeout={limit} -c idle_in_transaction_session_timeout={limit}"
        return {
            "pool_size": self.pool_size,
            "max_overflow": 0,
            "hide_parameters": True,  # an error's text goes to the log: no ids and no hashes there
            "pool_timeout": POOL_SECONDS,
            "pool_pre_ping": not self._bounded,
            # PostgreSQL writes 1e300 out in full: json would read an integer that no answer can hold.
            "json_deserializer": orjson.loads,
            "connect_args": {
                "connect_timeout": CONNECT_SECONDS,
                "application_name": "vitrine",
                "options": options,
                **_ALIVE,
            },
        }

    @contextmanager
    def read(self, seconds: float = STATEMENT_SECONDS) -> Iterator[Connection]:
        """A connection for reading; one for requests is cut after so many seconds.

        On SQLite one is kept for whoever comes first: to take one from the pool and give it back takes longer
        than most of what it is asked.
        """
        if not self.embedded or not self._keeping.acquire(blocking=False):
            with self._in_time(self.engine.connect(), seconds) as connection:
                yield connection
            return
        try:
            if self._kept is None:
                self._kept = self.engine.connect()
            try:
                yield self._kept
            finally:
                self._end_reading(self._kept)
        finally:
            self._keeping.release()

    def _end_reading(self, kept: Connection) -> None:
        """End what the kept connection has begun; if that fails, let it go."""
        try:
            if kept.in_transaction():
                kept.rollback()
        except DBAPIError:
            self._kept = None

    @contextmanager
    def awaited(self, seconds: float) -> Iterator[Connection]:
        """On a server, a connection for reading in an event loop, by a function that `greenlet_spawn` runs.

        While it waits for the server the loop goes on, so it must hold no lock meanwhile. Each statement is
        by itself: there is no transaction that would take two round trips more.
        """
        assert self._awaited is not None  # noqa: S101 (the edge asks for it on a server alone)
        with self._in_time(self._awaited.connect(), seconds) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block, or rolls back if the block raises."""
        with (
            self._in_time(self.engine.connect(), STATEMENT_SECONDS) as connection,
            connection.execution_options(writes=True).begin(),
        ):
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

    @contextmanager
    def _in_time(self, opened: Connection, seconds: float) -> Iterator[Connection]:
        """The connection until the end of the block, where it is given back."""
        if not self._bounded:
            with opened as connection:
                yield connection
            return
        with self._deadlines.within(opened.connection.driver_connection, seconds), opened as connection:
            yield connection

    async def close_awaited(self) -> None:
        """Close the connections of the event loop."""
        if self._awaited is not None:
            await greenlet_spawn(self._awaited.dispose)

    def close(self) -> None:
        """Close all other connections."""
        self._deadlines.close()
        if self._keeping.acquire(blocking=False):
            try:
                if self._kept is not None:
                    self._kept.close()
                    self._kept = None
            finally:
                self._keeping.release()
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
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-8192"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the write lock at once: upgrading a read later could fail without waiting.
    if not connection.get_execution_options().get("writes"):
        connection.exec_driver_sql("BEGIN")
        return
    # SQLite's own way to wait tries again every tenth of a second at last: whoever has waited for long would
    # wait on, while writers of other processes, one after the other, find the lock free at once.
    until = time.monotonic() + BUSY_TIMEOUT_SECONDS
    connection.exec_driver_sql("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                return
            except OperationalError as error:
                if not _is_busy(error) or time.monotonic() > until:
                    raise
            time.sleep(uniform(*_AGAIN_SECONDS))
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={BUSY_TIMEOUT_SECONDS * 1000:.0f}")


def _is_busy(error: OperationalError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_BUSY
