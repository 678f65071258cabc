"""Where HTTP meets the database: transactions, bodies in, bytes out.

The transaction of a request begins and ends here; nothing below commits. Short reads run in the event loop:
SQLite answers within microseconds, and while PostgreSQL answers, other requests go on. All other calls to a
database run in a thread.
"""

import asyncio
import codecs
import math
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Annotated, Any, TypeVar

import orjson
from anyio import CapacityLimiter, WouldBlock, to_thread
from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.util import greenlet_spawn

from app.api.reach import AWAY, DatabaseLost, Reach
from app.core.errors import BodyTooLarge, Unavailable
from app.db.session import STATEMENT_SECONDS, Database
from app.services.live import Live
from app.services.shown import Shown

Result = TypeVar("Result")

_ATTEMPTS = 3
_WRITERS = 32
"""Threads that wait for their turn to write to SQLite."""
_COLLISIONS = frozenset({"40001", "40P01"})
"""PostgreSQL's codes of a serialization failure and of a deadlock."""
READ_SECONDS = 10.0
"""How long a short read may take on PostgreSQL."""
ROOM_SECONDS = 1.0
"""How long a connection for it is waited for; in a crowd it is refused while others may still be asked."""
LATELY_SECONDS = 0.5
"""A database that answered so long ago needs not be asked whether it does."""
WAIT_SECONDS = 30.0
"""How long a thread is waited for by what may take long."""


class Edge:
    """Runs functions that take a connection first, each in a transaction of its own."""

    def __init__(self, database: Database, max_body: int, without_seconds: float = 0.0) -> None:
        self.database = database
        self.max_body = max_body
        self._without_seconds = without_seconds
        self._readers = CapacityLimiter(database.pool_size)
        # SQLite has one writer at a time. The others wait for their turn in threads: were it handed on by the
        # event loop, in a crowd each would wait for a turn of that, too.
        # On PostgreSQL scans take no more than half of the connections: slow ones hold up no event. One
        # connection alone is for both.
        scans = database.pool_size if database.embedded else max(1, database.pool_size // 2)
        self._scans = CapacityLimiter(scans)
        if database.embedded:
            self._writers = CapacityLimiter(_WRITERS)
        elif database.pool_size > 1:
            self._writers = CapacityLimiter(database.pool_size - scans)
        else:
            self._writers = self._scans
        self._writing = threading.Lock() if database.embedded else nullcontext()
        self._unlimited = CapacityLimiter(math.inf)
        self._reach = Reach()
        self._answered_at = -math.inf
        """When the latest read began that was answered."""

    @property
    def serves_without(self) -> bool:
        """Whether recommendations go on though the database does not answer."""
        return self._reach.silent_seconds < self._without_seconds

    async def ask(self) -> None:
        """Whether the database answers: raises Unavailable if not. In a crowd others have just asked it."""
        lately = time.monotonic() - self._answered_at < LATELY_SECONDS
        if self._reach.lost or not lately:
            await self.read(_ping)

    async def read(self, function: Callable[..., Result], *args: Any) -> Result:
        """A short read, of which each statement sees the moment at which it runs."""
        if self.database.embedded:
            return self._read(self.database.read, STATEMENT_SECONDS, function, args)
        read = partial(self._read, self.database.awaited, READ_SECONDS, function, args)
        return await self._run(self._readers, ROOM_SECONDS, partial(greenlet_spawn, read))

    async def scan(self, function: Callable[..., Result], *args: Any) -> Result:
        """A read that may take long: never in the event loop."""
        work = partial(self._read, self.database.read, STATEMENT_SECONDS, function, args)
        return await self._run(self._scans, WAIT_SECONDS, self._in_thread(work))

    async def write(self, function: Callable[..., Result], *args: Any) -> Result:
        """A transaction: committed when the function returns, rolled back when it raises.

        Where it collides with another one it begins anew, so the function must leave no trace outside.
        """
        work = self._in_thread(partial(self._write, function, args))
        return await self._run(self._writers, WAIT_SECONDS, work)

    def _in_thread(self, work: Callable[[], Result]) -> Callable[[], Awaitable[Result]]:
        return partial(to_thread.run_sync, work, limiter=self._unlimited)

    async def _run(
        self, room: CapacityLimiter, seconds: float, work: Callable[[], Awaitable[Result]]
    ) -> Result:
        """Work as soon as there is room for it; raises Unavailable if that takes too long."""
        # SQLite is a file of this machine: what it refuses it refuses at once.
        with nullcontext() if self.database.embedded else self._reach.asking():
            me, was_lost = object(), self._reach.lost
            try:
                room.acquire_on_behalf_of_nowait(me)
            except WouldBlock:
                await _room_for(me, room, seconds)
            try:
                if self._reach.lost and not was_lost:
                    # Those before found out: to open another connection would only take longer.
                    raise Unavailable(AWAY)
                return await work()
            finally:
                room.release_on_behalf_of(me)

    def _read(
        self,
        connecting: Callable[[float], AbstractContextManager[Connection]],
        seconds: float,
        function: Callable[..., Result],
        args: tuple[Any, ...],
    ) -> Result:
        began = time.monotonic()
        try:
            try:
                with connecting(seconds) as connection:
                    result = function(connection, *args)
                self._answered_at = max(self._answered_at, began)
                return result
            except DBAPIError as error:
                # The server ended this connection some time ago; it may well take another one.
                if not error.connection_invalidated or time.monotonic() - began >= seconds:
                    raise
            with connecting(seconds) as connection:
                return function(connection, *args)
        except (DBAPIError, PoolTimeout) as error:
            raise unavailable(error) from error

    def _write(self, function: Callable[..., Result], args: tuple[Any, ...]) -> Result:
        for attempt in range(_ATTEMPTS):
            done = False
            began = time.monotonic()
            try:
                with self._writing, self.database.write() as connection:
                    result = function(connection, *args)
                    done = True
                return result
            except (DBAPIError, PoolTimeout) as error:
                # Whether a commit that got no answer took place, nobody knows: the caller has to ask again.
                stale = (
                    not done
                    and attempt == 0
                    and isinstance(error, DBAPIError)
                    and error.connection_invalidated
                    and time.monotonic() - began < STATEMENT_SECONDS
                )
                if attempt == _ATTEMPTS - 1 or not (stale or _collided(error)):
                    raise unavailable(error) from error
        raise AssertionError("the last attempt answers or raises")


async def _room_for(me: object, room: CapacityLimiter, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await room.acquire_on_behalf_of(me)
    except TimeoutError:
        raise Unavailable("All database connections are in use; try again.") from None


def _ping(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))


def unavailable(error: Exception) -> Exception:
    """What to raise for a database error: Unavailable if it may pass by itself, else the error."""
    if isinstance(error, PoolTimeout):
        return Unavailable("All database connections are in use; try again.")
    if isinstance(error, DBAPIError):
        # Without a statement: the error of connecting.
        refused = isinstance(error, OperationalError) and error.statement is None
        if error.connection_invalidated or (refused and not _collided(error)):
            return DatabaseLost("The database cannot be reached; try again.")
        if isinstance(error, OperationalError) or _collided(error):
            return Unavailable("The database cannot be reached or is busy; try again.")
    return error


def _collided(error: Exception) -> bool:
    """Whether another transaction came in between: one waits for the other, or what a row names is gone."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return isinstance(error, IntegrityError) or state in _COLLISIONS


def get_edge(request: Request) -> Edge:
    edge: Edge = request.app.state.edge
    return edge


def get_live(request: Request) -> Live:
    live: Live = request.app.state.live
    return live


def get_shown(request: Request) -> Shown:
    shown: Shown = request.app.state.shown
    return shown


# Dependencies are async: others would run in a thread each, which takes longer than they do.
async def _edge(request: Request) -> Edge:
    return get_edge(request)


async def _live(request: Request) -> Live:
    return get_live(request)


EdgeDep = Annotated[Edge, Depends(_edge)]
LiveDep = Annotated[Live, Depends(_live)]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before", max_length=1000)]
Limit = Annotated[int, Query(ge=1, le=1000, description="Entries on a page")]


async def read_body(request: Request) -> bytes:
    """The whole body; raises BodyTooLarge before more than the limit is held."""
    limit = get_edge(request).max_body
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


async def read_lines(request: Request, max_line: int) -> AsyncIterator[bytes | None]:
    """Lines of the body, without line ends; None for one that is longer than `max_line` bytes."""
    first = True
    async for line in _lines(request, max_line):
        # Some editors and exports begin a file in UTF-8 with a mark.
        yield line.removeprefix(codecs.BOM_UTF8) if first and line is not None else line
        first = False


async def _lines(request: Request, max_line: int) -> AsyncIterator[bytes | None]:
    buffer = b""
    skipping = False
    async for part in request.stream():
        *lines, rest = part.split(b"\n")
        for line in lines:
            whole, buffer = buffer + line, b""
            if skipping or len(whole) > max_line:
                skipping = False
                yield None
            else:
                yield whole
        buffer += rest
        if len(buffer) > max_line:
            skipping, buffer = True, b""
    if skipping:
        yield None
    elif buffer:
        yield buffer


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(body), status, headers, "application/json")


def body_of(model: type[BaseModel], example: Any, media_type: str = "application/json") -> dict[str, Any]:
    """OpenAPI of a body that the handler reads itself (see `read_body`); `openapi.py` adds the schema."""
    content = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}, "example": example}
    BODY_MODELS.add(model)
    return {"requestBody": {"required": True, "content": {media_type: content}}}


BODY_MODELS: set[type[BaseModel]] = set()
"""Models of bodies, for the OpenAPI page."""


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is larger than {limit // 2**20} MiB. Send smaller batches, or a stream to /v1/import."
    )
