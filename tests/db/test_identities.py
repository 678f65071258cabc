"""Identities: created once, also when many name them at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Barrier
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, Table, select

from app.db.bulk import insert_rows
from app.db.queries import identities
from app.db.queries.identities import event_codes, item_keys, session_keys, user_keys
from app.db.queries.revisions import current_revision, next_revision
from app.db.session import Database
from app.db.tables import event_names, items, sessions, users

Result = TypeVar("Result")
Create = Callable[[Connection, list[str]], dict[str, int]]
THREADS = 4


def at_once(
    database: Database, work: Callable[[Connection, int], Result], threads: int = THREADS
) -> list[Result]:
    """Do work in several transactions that begin together."""
    start = Barrier(threads)

    def one(number: int) -> Result:
        start.wait(10)
        with database.write() as connection:
            return work(connection, number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads)))


CREATE: dict[str, tuple[Create, Table, str]] = {
    "users": (lambda connection, names: user_keys(connection, names, 5), users, "external_id"),
    "sessions": (session_keys, sessions, "external_id"),
    "items": (lambda connection, names: item_keys(connection, names, 5), items, "external_id"),
    "event names": (lambda connection, names: event_codes(connection, names)[0], event_names, "name"),
}


@pytest.mark.parametrize("what", CREATE)
def test_created_once_by_all_at_once(database: Database, what: str) -> None:
    create, table, column = CREATE[what]
    for turn in range(3):
        names = [f"n{turn}_{number}" for number in range(60)]

        def work(connection: Connection, number: int, names: list[str] = names) -> dict[str, int]:
            mine = Random(number).sample(names, 50)
            found = create(connection, mine)
            return {name: found[name] for name in mine}

        answers = at_once(database, work)
        with database.read() as connection:
            rows = connection.execute(select(table.c[column], table.c.id)).all()
        stored: dict[str, int] = {row[0]: row[1] for row in rows}
        assert len(stored) == len(rows)
        assert set().union(*answers) == {name for name in stored if name in names}
        for answer in answers:
            assert answer.items() <= stored.items()


def test_known_ones_are_not_written(database: Database) -> None:
    with database.write() as connection:
        first = user_keys(connection, ["a", "a", "b"], 5), item_keys(connection, ["a"], 5)
        revision = current_revision(connection, "items")
        again = user_keys(connection, ["b", "a"], 9), item_keys(connection, ["a"], 9)
        assert first == again
        assert current_revision(connection, "items") == revision
        assert set(connection.execute(select(users.c.created_at)).scalars()) == {5}
        assert user_keys(connection, [], 9) == {}


def test_who_is_erased_meanwhile_is_created_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    came_too_late = [True]

    def insert(*args: Any) -> int:
        return 0 if came_too_late and came_too_late.pop() else insert_rows(*args)

    monkeypatch.setattr(identities, "insert_rows", insert)
    with database.write() as connection:
        assert set(user_keys(connection, ["a", "b"], 5)) == {"a", "b"}


def test_only_the_first_hears_that_an_event_is_new(database: Database) -> None:
    with database.write() as connection:
        codes, new = event_codes(connection, ["b", "a"])
        assert (set(codes), new) == ({"a", "b"}, ["a", "b"])
        codes, new = event_codes(connection, ["b", "c"])
        assert (set(codes), new) == ({"a", "b", "c"}, ["c"])


def test_revisions_are_given_in_order_of_commit(database: Database) -> None:
    seen: list[int] = []

    def work(connection: Connection, number: int) -> list[int]:
        given = [next_revision(connection, "items") for _ in range(5)]
        seen.extend(given)  # nobody else is here until this transaction ends
        return given

    answers = at_once(database, work)
    assert seen == list(range(1, 5 * THREADS + 1))
    assert all(given == list(range(given[0], given[0] + 5)) for given in answers)
    with database.read() as connection:
        assert current_revision(connection, "items") == 5 * THREADS


def test_who_sees_a_revision_sees_all_before_it(database: Database) -> None:
    def work(connection: Connection, number: int) -> set[int]:
        item_keys(connection, [f"own {number}", "shared"], 5)
        return set(connection.execute(select(items.c.revision)).scalars())

    for seen in at_once(database, work):
        assert seen == set(range(1, max(seen) + 1))
