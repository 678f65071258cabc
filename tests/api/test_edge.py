"""What the edge does with a database that is away, slow, or lost in the middle of a call."""

import asyncio
import threading
import time
from collections.abc import Coroutine
from contextlib import nullcontext
from typing import Any

import pytest
import uvloop
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, OperationalError

from app.api import edge as edge_module
from app.api.edge import Edge
from app.api.reach import PAUSE_SECONDS, DatabaseLost, Reach
from app.core.errors import NotFound, Unavailable
from app.db.session import Database


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ask(reach: Reach, error: Exception | None = None) -> None:
    with reach.asking():
        if error is not None:
            raise error


def test_one_call_asks_while_the_database_is_away() -> None:
    clock = Clock()
    reach = Reach(clock)
    with pytest.raises(DatabaseLost):
        ask(reach, DatabaseLost("away"))
    clock.now += PAUSE_SECONDS / 2
    with pytest.raises(Unavailable, match="cannot be reached"):
        ask(reach)  # not even asked
    assert reach.silent_seconds == PAUSE_SECONDS / 2
    clock.now += PAUSE_SECONDS
    with reach.asking():  # this one asks; beside it nobody does
        with pytest.raises(Unavailable):
            ask(reach)
        assert reach.silent_seconds > 0
    ask(reach)
    assert reach.silent_seconds == 0


@pytest.mark.parametrize("error", [Unavailable("busy"), asyncio.CancelledError()])
def test_an_attempt_without_a_verdict_leaves_it_to_the_next(error: Any) -> None:
    clock = Clock()
    reach = Reach(clock)
    with pytest.raises(DatabaseLost):
        ask(reach, DatabaseLost("away"))
    clock.now += 2 * PAUSE_SECONDS
    with pytest.raises(type(error)):
        ask(reach, error)
    assert reach.silent_seconds > 0
    with pytest.raises(NotFound):
        ask(reach, NotFound("no such user"))  # an answer all the same
    assert reach.silent_seconds == 0


def test_health_asks_only_where_nobody_was_answered_lately(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    pings: list[Connection] = []
    monkeypatch.setattr(edge_module, "_ping", pings.append)

    async def run() -> None:
        try:
            at = Edge(database, 1)
            await at.ask()
            assert len(pings) == 1
            await at.ask()
            assert len(pings) == 1
            monkeypatch.setattr(edge_module, "LATELY_SECONDS", 0.0)
            await at.ask()
            assert len(pings) == 2
            monkeypatch.setattr(edge_module, "LATELY_SECONDS", 0.1)
            await at.scan(lambda _connection: time.sleep(0.2))  # answered, but that was at its beginning
            await at.ask()
            assert len(pings) == 3
            with pytest.raises(DatabaseLost):
                ask(at._reach, DatabaseLost("away"))
            with pytest.raises(Unavailable) if not database.embedded else nullcontext():
                await at.ask()
        finally:
            await database.close_awaited()

    asyncio.run(run())


class Counted:
    """A function of a call that counts how often it began."""

    def __init__(self, fails: int = 0) -> None:
        self.began = 0
        self._fails = fails

    def __call__(self, connection: Connection) -> int:
        self.began += 1
        if self.began <= self._fails:
            raise lost()
        return int(connection.execute(text("SELECT 7")).scalar_one())


def lost() -> DBAPIError:
    return OperationalError("SELECT 7", {}, Exception("gone"), connection_invalidated=True)


async def closing(at: Edge, call: Coroutine[Any, Any, int]) -> int:
    """The answer; connections of this event loop end with it."""
    try:
        return await call
    finally:
        await at.database.close_awaited()


def test_a_lost_connection_is_replaced_once(database: Database) -> None:
    at = Edge(database, 1)
    for call in (at.read, at.scan, at.write):
        once, twice = Counted(1), Counted(2)
        assert asyncio.run(closing(at, call(once))) == 7
        assert once.began == 2
        with pytest.raises(DatabaseLost):
            asyncio.run(Edge(database, 1).scan(twice))
        assert twice.began == 2


def test_a_commit_without_an_answer_is_not_repeated(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def commit(_self: Any, _connection: Any) -> None:
        raise lost()

    counted = Counted()
    monkeypatch.setattr(type(database.engine.dialect), "do_commit", commit)
    with pytest.raises(Unavailable):
        asyncio.run(Edge(database, 1).write(counted))
    assert counted.began == 1


def test_a_process_that_stands_still_for_a_moment_has_room_all_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_module, "ROOM_SECONDS", 0.02)
    monkeypatch.setattr(edge_module, "WAIT_SECONDS", 0.02)

    async def run() -> list[Any]:
        at = Edge(database, 1)
        try:
            calls = [asyncio.ensure_future(call(Counted())) for call in (at.read, at.scan, at.write)]
            asyncio.get_running_loop().call_soon(time.sleep, 0.1)
            return await asyncio.gather(*calls)
        finally:
            await database.close_awaited()

    assert uvloop.run(run()) == [7, 7, 7]


def test_waiting_for_a_thread_has_an_end(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_module, "WAIT_SECONDS", 0.05)
    at = Edge(database, 1)
    held, released = threading.Event(), threading.Event()

    def hold(_connection: Connection) -> None:
        held.set()
        released.wait(20)

    async def crowd() -> list[Any]:
        first = [asyncio.create_task(at.scan(hold)) for _ in range(int(at._scans.total_tokens))]
        await asyncio.to_thread(held.wait, 20)
        began = time.monotonic()
        refused = await asyncio.gather(at.scan(Counted()), return_exceptions=True)
        assert await at.write(Counted()) == 7  # has threads and connections of its own
        assert time.monotonic() - began < 5
        released.set()
        await asyncio.gather(*first)
        return [*refused, await at.scan(Counted())]

    refused, answered = asyncio.run(crowd())
    assert isinstance(refused, Unavailable)
    assert answered == 7


def test_waiting_for_a_connection_for_a_short_read_has_an_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_module, "ROOM_SECONDS", 0.05)

    async def crowd() -> list[Any]:
        at = Edge(database, 1)
        try:
            if not database.embedded:  # a file of this machine has room for all
                for _ in range(database.pool_size):
                    at._readers.acquire_on_behalf_of_nowait(object())
            began = time.monotonic()
            found = await asyncio.gather(at.read(Counted()), return_exceptions=True)
            assert time.monotonic() - began < 5
            return list(found)
        finally:
            await database.close_awaited()

    (found,) = asyncio.run(crowd())
    assert found == 7 if database.embedded else isinstance(found, Unavailable)


def test_slow_scans_leave_threads_to_writes(database_url: str) -> None:
    for size, scans, writes in ((10, 5, 5), (3, 1, 2), (2, 1, 1), (1, 1, 1)):
        opened = Database(database_url, pool_size=size)
        at = Edge(opened, 1)
        if not opened.embedded:
            assert (at._scans.total_tokens, at._writers.total_tokens) == (scans, writes)
            assert (at._writers is at._scans) is (size == 1)
        opened.close()


def test_who_waited_while_others_found_the_database_away_does_not_ask_it(database: Database) -> None:
    at, asked = Edge(database, 1), Counted()
    held, released = threading.Event(), threading.Event()

    def find_out(_connection: Connection) -> None:
        held.set()
        released.wait(20)
        raise DatabaseLost("away")

    async def crowd() -> list[Any]:
        first = [asyncio.create_task(at.scan(find_out)) for _ in range(int(at._scans.total_tokens))]
        await asyncio.to_thread(held.wait, 20)
        waiting = asyncio.create_task(at.scan(asked))
        await asyncio.sleep(0)
        released.set()
        return [*await asyncio.gather(waiting, *first, return_exceptions=True)]

    refused, *_ = asyncio.run(crowd())
    if database.embedded:  # a file of this machine: there is nothing to wait for in vain
        assert asked.began == 1
    else:
        assert isinstance(refused, Unavailable)
        assert asked.began == 0


def test_while_a_server_answers_the_loop_goes_on(database: Database) -> None:
    at, order = Edge(database, 1), list[str]()

    def slow(connection: Connection) -> int:
        connection.execute(text("SELECT pg_sleep(0.5)"))
        order.append("slow")
        return 1

    def quick(connection: Connection) -> int:
        order.append("quick")
        found: int = connection.execute(text("SELECT 2")).scalar_one()
        return found

    async def both() -> int:
        first = asyncio.create_task(at.read(slow))
        await asyncio.sleep(0.1)
        return await at.read(quick) + await first

    if database.embedded:  # answers at once: there is nothing to wait for
        assert asyncio.run(at.read(quick)) == 2
        return
    assert asyncio.run(closing(at, both())) == 3
    assert order == ["quick", "slow"]


def test_a_short_read_without_an_answer_is_cut(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Database(database_url, for_requests=True)
    monkeypatch.setattr(edge_module, "READ_SECONDS", 0.5)
    at = Edge(opened, 1)
    if opened.embedded:  # there is no server that could hang
        assert asyncio.run(at.read(Counted())) == 7
        return

    def endless(connection: Connection) -> int:
        connection.execute(text("SELECT pg_sleep(30)"))
        return 1

    began = time.monotonic()
    with pytest.raises(DatabaseLost):
        asyncio.run(closing(at, at.read(endless)))
    assert time.monotonic() - began < 10
    opened.close()
