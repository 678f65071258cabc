"""Retention: old interactions go, the oldest first, and sessions that are left empty with them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select

from app.db.session import Database
from app.db.tables import interactions, session_owners, sessions, users
from app.services.merging import merge_session
from app.training.retention import remove_old
from tests.training.shops import ingest

NOW = datetime(2026, 11, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _fixed_time() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


def view(days_ago: float, user: str | None = None, session: str | None = None) -> dict[str, Any]:
    occurred_at = (NOW - timedelta(days=days_ago)).isoformat()
    who = {name: value for name, value in (("user_id", user), ("session_id", session)) if value}
    return who | {"item_id": "a", "event": "view_item", "occurred_at": occurred_at}


def left(database: Database, column: Any) -> list[Any]:
    with database.read() as connection:
        return sorted(connection.execute(select(column)).scalars())


def test_what_is_older_goes_with_empty_sessions(database: Database) -> None:
    ingest(
        database,
        interactions=[
            view(40, "ana", "old"),
            view(35, None, "nobodys"),
            view(31, None, "both"),
            view(29, None, "both"),
            view(30, "bo"),
            view(30.01, "bo"),
        ],
    )
    with database.write() as connection:
        merge_session(connection, "ana", "old")
        merge_session(connection, "ana", "without-events-yet")
    assert remove_old(database, 30) == 4
    assert left(database, sessions.c.external_id) == ["both", "old", "without-events-yet"]
    assert len(left(database, session_owners.c.session_id)) == 2, "events to come are still ana's"
    assert left(database, users.c.external_id) == ["ana", "bo"], "people stay, and what the shop says of them"
    assert remove_old(database, 30) == 0


def test_it_is_bounded_and_begins_with_the_oldest(database: Database) -> None:
    ingest(database, interactions=[view(100 + day, "ana") for day in range(9)])
    assert remove_old(database, 30, step=2, steps=3) == 6
    ages = [(NOW.timestamp() - at / 1000) / 86_400 for at in left(database, interactions.c.occurred_at)]
    assert sorted(ages) == [100, 101, 102]
    assert remove_old(database, 30, step=2, steps=3) == 3
