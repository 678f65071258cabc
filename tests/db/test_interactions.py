"""Interactions: each is stored once, and exactly one of those who sent it hears that it was."""

from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select

from app.db.queries import interactions as queries
from app.db.queries.identities import event_codes, item_keys, session_keys, user_keys
from app.db.queries.persons import person_of
from app.db.session import Database
from app.db.tables import interactions


class Log:
    """Rows for one user, session and some items."""

    def __init__(self, database: Database) -> None:
        with database.write() as connection:
            users = user_keys(connection, ["u", "other"], 1)
            self.user, self.other = users["u"], users["other"]
            self.session = session_keys(connection, ["s"])["s"]
            self.items = item_keys(connection, ["a", "b", "c"], 1)
            self.events = event_codes(connection, ["view_item", "purchase", "search"])[0]

    def row(
        self,
        number: int,
        item: str | None = "a",
        event: str = "view_item",
        at: int = 1_000,
        other: bool = False,
        session: bool = False,
        value: float | None = None,
    ) -> tuple[Any, ...]:
        user = self.other if other else self.user
        whose = (None, self.session) if session else (user, None)
        key, what = number.to_bytes(16, "big"), None if item is None else self.items[item]
        return (key, None, *whose, what, self.events[event], value, *[None] * 6, at, 5_000)


@pytest.fixture
def log(database: Database) -> Log:
    return Log(database)


def store(database: Database, rows: list[tuple[Any, ...]]) -> list[int]:
    with database.write() as connection:
        new = queries.insert_interactions(connection, rows)
    return sorted(int.from_bytes(key, "big") for key in new)


def test_verdicts(database: Database, log: Log) -> None:
    assert store(database, []) == []
    assert store(database, [log.row(1), log.row(2)]) == [1, 2]
    assert store(database, [log.row(1), log.row(2)]) == []
    assert store(database, [log.row(2), log.row(3), log.row(1)]) == [3]
    assert store(database, [log.row(4), log.row(4), log.row(5)]) == [4, 5]
    assert store(database, [log.row(5), log.row(6), log.row(6)]) == [6]


def test_the_first_of_two_is_kept(database: Database, log: Log) -> None:
    assert store(database, [log.row(1, at=7), log.row(1, at=8)]) == [1]
    assert store(database, [log.row(1, at=9)]) == []
    with database.read() as connection:
        assert connection.execute(select(interactions.c.occurred_at)).scalars().all() == [7]
        assert queries.event_key_exists(connection, (1).to_bytes(16, "big"))
        assert not queries.event_key_exists(connection, (2).to_bytes(16, "big"))


def test_stored_before_in_the_same_transaction(database: Database, log: Log) -> None:
    with database.write() as connection:
        assert len(queries.insert_interactions(connection, [log.row(1), log.row(2)])) == 2
        new = queries.insert_interactions(connection, [log.row(2), log.row(3)])
        assert new == {(3).to_bytes(16, "big")}


def test_many_send_the_same_events(database: Database, log: Log) -> None:
    # In one order: PostgreSQL ends one of two that wait for each other, which the edge then does again.
    threads, events = 4, 120
    start = Barrier(threads)

    def send(number: int) -> list[int]:
        mine: list[int] = []
        chance = Random(number)
        start.wait(10)
        for _ in range(6):
            some = sorted(chance.sample(range(events), 80))
            mine += store(database, [log.row(event) for event in some])
        return mine

    with ThreadPoolExecutor(threads) as pool:
        accepted = [event for mine in pool.map(send, range(threads)) for event in mine]
    assert len(accepted) == len(set(accepted))
    with database.read() as connection:
        stored = connection.execute(select(interactions.c.event_key)).scalars().all()
    assert sorted(accepted) == sorted(int.from_bytes(key, "big") for key in stored)


def test_the_latest_come_first(database: Database, log: Log) -> None:
    times = [5, 3, 9, 3, 9, 1]
    store(database, [log.row(n, at=at, value=float(n)) for n, at in enumerate(times)])
    store(database, [log.row(10, item=None, event="search", at=99), log.row(11, at=99, other=True)])
    store(database, [log.row(12, at=50, session=True)])
    with database.read() as connection:
        found = person_of(connection, "u", 100).events
        assert [row[2] for row in found] == [4.0, 2.0, 0.0, 3.0, 1.0, 5.0]
        assert [row[4] for row in found] == sorted(times, reverse=True)
        assert {row[:2] for row in found} == {(log.items["a"], "view_item")}
        assert person_of(connection, "u", 3).events == found[:3]
        assert person_of(connection, "nobody", 3).events == []
        assert [row[-1] for row in queries.recent_of_session(connection, "s", 5)] == [50]
        assert queries.recent_of_session(connection, "unknown", 5) == []


def test_counts_within_a_window(database: Database, log: Log) -> None:
    store(
        database,
        [
            log.row(1, "a", at=10),  # the window begins after its start
            log.row(2, "a", at=11),
            log.row(3, "a", at=20, other=True),  # and ends with its end
            log.row(4, "a", at=21),
            log.row(5, "a", "purchase", at=15),
            log.row(6, "b", at=15, session=True),
            log.row(7, None, "search", at=15),
        ],
    )
    a, b = log.items["a"], log.items["b"]
    with database.read() as connection:
        counts = queries.counts_by_item(connection, 10, 20)
        assert sorted(counts) == sorted([(a, "view_item", 2), (a, "purchase", 1), (b, "view_item", 1)])
        assert queries.counts_by_item(connection, 100, 200) == []
        assert queries.latest_time(connection) == 21
        highest = connection.execute(select(func.max(interactions.c.id))).scalar_one()
        assert queries.highest_key(connection) == highest
        assert sorted(queries.items_of_user(connection, log.user)) == [a]


def test_nothing_stored_yet(database: Database) -> None:
    with database.read() as connection:
        assert (queries.highest_key(connection), queries.latest_time(connection)) == (0, None)


def test_pages_of_a_user(database: Database, log: Log) -> None:
    times = [5, 3, 9, 3, 9, 3, 1]
    names = ["a", "b", None, "c", "a", "b", "c"]
    rows = [log.row(n, names[n], "view_item" if names[n] else "search", at) for n, at in enumerate(times)]
    store(database, [*rows, log.row(50, other=True), log.row(51, session=True)])
    order = sorted(range(len(times)), key=lambda n: (-times[n], -n))
    for limit in (1, 2, 3, 7, 100):
        found: list[Any] = []
        before: tuple[int, int] | None = None
        with database.read() as connection:
            while some := queries.list_of_user(connection, log.user, before, limit):
                assert len(some) <= limit
                found += some
                before = (some[-1].occurred_at, some[-1].id)
        assert [int.from_bytes(row.event_key, "big") for row in found] == order
        assert [row.item_external_id for row in found] == [names[n] for n in order]
        assert {row.session_external_id for row in found} == {None}
