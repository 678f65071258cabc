"""Erasure: all that is held of a person goes, and nothing of anybody else."""

from typing import Any

import pytest
from sqlalchemy import func, select

from app.core.errors import NotFound
from app.db.queries import privacy as queries
from app.db.session import Database
from app.db.tables import interactions, items, relations, sessions, users
from app.schemas.interactions import Interaction
from app.schemas.users import RelationFields
from app.services.interactions import list_of_user, record
from app.services.privacy import erase_user
from app.services.users import get_user, put_relation


def event(user: str | None, session: str | None, item: str = "a") -> Interaction:
    given = {"user_id": user, "session_id": session, "item_id": item, "event": "view_item"}
    return Interaction.model_validate(given)


def ingest(database: Database, *entries: Interaction) -> None:
    with database.write() as connection:
        assert all(record(connection, entries).accepted)


def erase(database: Database, user: str) -> dict[str, Any]:
    with database.write() as connection:
        removed: dict[str, Any] = erase_user(connection, user, 7)["removed"]
        return {name: number for name, number in removed.items() if number}


def stored(database: Database) -> list[tuple[str | None, str | None]]:
    """User and session of each interaction."""
    statement = (
        select(users.c.external_id, sessions.c.external_id)
        .select_from(interactions)
        .outerjoin(users, users.c.id == interactions.c.user_id)
        .outerjoin(sessions, sessions.c.id == interactions.c.session_id)
        .order_by(interactions.c.id)
    )
    with database.read() as connection:
        return [(user, session) for user, session in connection.execute(statement)]


def test_the_person_goes_with_the_anonymous_part_of_their_sessions(database: Database) -> None:
    ingest(
        database,
        event(None, "anas"),  # before she logged in
        event("ana", "anas"),
        event("ana", None, "b"),
        event("ana", "shared"),
        event(None, "shared"),
        event("bo", "shared"),
        event("bo", "bos"),
        event(None, "bos"),
        event(None, "nobodys"),
    )
    assert erase(database, "ana") == {"users": 1, "interactions": 5, "sessions": 1}
    assert stored(database) == [("bo", "shared"), ("bo", "bos"), (None, "bos"), (None, "nobodys")]
    with database.read() as connection:
        names = set(connection.execute(select(sessions.c.external_id)).scalars())
        assert names == {"shared", "bos", "nobodys"}
        assert connection.execute(select(users.c.external_id)).scalars().all() == ["bo"]
        assert set(connection.execute(select(items.c.external_id)).scalars()) == {"a", "b"}
        with pytest.raises(NotFound):
            get_user(connection, "ana")
        with pytest.raises(NotFound):
            list_of_user(connection, "ana", None, 10)


def test_relations_go_both_ways(database: Database) -> None:
    with database.write() as connection:
        for one, other in (("ana", "bo"), ("bo", "ana"), ("bo", "cy"), ("cy", "bo")):
            put_relation(connection, one, other, RelationFields())
    assert erase(database, "ana") == {"users": 1, "relations": 2}
    with database.read() as connection:
        keys = {row.external_id: row.id for row in connection.execute(select(users))}
        left = connection.execute(select(relations.c.user_id, relations.c.other_id)).all()
    assert sorted(map(tuple, left)) == sorted([(keys["bo"], keys["cy"]), (keys["cy"], keys["bo"])])


def test_more_sessions_than_one_statement_takes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "_AT_ONCE", 3)
    mine = [event(user, f"s{number}") for number in range(8) for user in ("ana", None)]
    ingest(database, *mine, event("bo", "s4"))
    assert erase(database, "ana") == {"users": 1, "interactions": 16, "sessions": 7}
    assert stored(database) == [("bo", "s4")]


def test_who_is_not_there_cannot_be_erased(database: Database) -> None:
    ingest(database, event("ana", None))
    with pytest.raises(NotFound):
        erase(database, "bo")
    erase(database, "ana")
    with pytest.raises(NotFound):
        erase(database, "ana")
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(users)).scalar_one() == 0


def test_who_comes_back_is_somebody_new(database: Database) -> None:
    ingest(database, event("ana", "s"), event("bo", "t"))
    erase(database, "ana")
    ingest(database, event("ana", None))
    with database.read() as connection:
        found = list_of_user(connection, "ana", None, 10)["interactions"]
    assert [entry["session_id"] for entry in found] == [None]
