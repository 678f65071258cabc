"""Leases: one holder at a time, and a fence that tells an old holder from the new."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from app.db.queries.leases import holds_lease, lease_holder, release_lease, renew_lease, take_lease
from app.db.session import Database


def take(database: Database, holder: str, now: int, until: int, name: str = "trainer") -> int | None:
    with database.write() as connection:
        return take_lease(connection, name, holder, now, until)


def renew(database: Database, fence: int, until: int) -> bool:
    with database.write() as connection:
        return renew_lease(connection, "trainer", fence, until)


def holds(database: Database, fence: int) -> bool:
    with database.write() as connection:
        return holds_lease(connection, "trainer", fence)


def holder(database: Database, now: int) -> str | None:
    with database.read() as connection:
        return lease_holder(connection, "trainer", now)


def test_taken_and_refused_while_held(database: Database) -> None:
    assert holder(database, 0) is None
    assert not holds(database, 1)
    assert take(database, "a", 100, 200) == 1
    assert holder(database, 150) == "a"
    assert take(database, "b", 150, 250) is None
    assert take(database, "b", 200, 250) is None  # held to the end of `until`
    assert holder(database, 200) == "a"
    assert take(database, "a", 150, 250) is None  # nor twice by the same
    assert take(database, "b", 150, 250, name="other") == 1


def test_after_expiry_the_fence_grows(database: Database) -> None:
    assert take(database, "a", 100, 200) == 1
    assert holder(database, 201) is None
    assert take(database, "b", 201, 300) == 2
    assert take(database, "c", 301, 400) == 3
    assert holder(database, 350) == "c"


def test_an_old_fence_is_worthless(database: Database) -> None:
    assert take(database, "a", 100, 200) == 1
    assert renew(database, 1, 300)
    assert take(database, "b", 250, 400) is None
    assert take(database, "b", 301, 400) == 2
    assert not renew(database, 1, 900)
    assert not holds(database, 1)
    assert holds(database, 2)
    with database.write() as connection:
        release_lease(connection, "trainer", 1)
    assert holder(database, 350) == "b"


def test_release(database: Database) -> None:
    assert take(database, "a", 100, 200) == 1
    with database.write() as connection:
        release_lease(connection, "trainer", 1)
    assert holder(database, 100) is None
    assert take(database, "b", 101, 200) == 2
    assert not holds(database, 1)


def test_of_those_who_race_one_wins(database: Database) -> None:
    racers = 4
    for turn in range(5):
        start = Barrier(racers)

        def race(number: int, turn: int = turn, start: Barrier = start) -> int | None:
            start.wait(10)
            return take(database, f"racer {number}", 1_000 * turn + 500, 1_000 * turn + 1_000)

        with ThreadPoolExecutor(racers) as pool:
            fences = list(pool.map(race, range(racers)))
        assert [fence for fence in fences if fence is not None] == [turn + 1]
        assert holder(database, 1_000 * turn + 800) == f"racer {fences.index(turn + 1)}"
