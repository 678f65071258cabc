"""Receipts: what was removed, which versions hold it, and nothing that leads to the person."""

from typing import Any

import pytest
from sqlalchemy import select

from app.core.errors import Conflict, NotFound
from app.db.queries import models, training_runs
from app.db.queries.interactions import highest_key
from app.db.session import Database
from app.db.tables import receipts, users
from app.schemas.interactions import Interaction
from app.schemas.users import UserEntry
from app.services import merging, privacy
from app.services.interactions import record
from app.services.users import put_users


def view(database: Database, user: str | None, session: str | None = None) -> int:
    given = {"user_id": user, "session_id": session, "item_id": "a", "event": "view_item"}
    with database.write() as connection:
        record(connection, [Interaction.model_validate(given)])
        return highest_key(connection)


def version(database: Database, name: str, trained_to: int, users_to: int | None, **values: Any) -> None:
    with database.write() as connection:
        run = training_runs.insert_queued(connection, "api", 1)
        assert run is not None
        training_runs.update_run(connection, run, {"state": "succeeded"})
        row = {"version": name, "run_id": run, "created_at": run, "evaluation": {}, "content": {}}
        known = {"trained_to": trained_to, "users_to": users_to, "active": False}
        models.insert_model(connection, row | known | values)


def erase(database: Database, user: str, days: float = 7) -> dict[str, Any]:
    with database.write() as connection:
        return privacy.erase_user(connection, user, days)


def user_key(database: Database, user: str) -> int:
    with database.read() as connection:
        return int(connection.execute(select(users.c.id).where(users.c.external_id == user)).scalar_one())


def held(receipt: dict[str, Any]) -> list[str]:
    return [entry["version"] for entry in receipt["versions"]]


def test_a_receipt_names_what_went_and_can_be_shown_to_be_ones_own(database: Database) -> None:
    view(database, "ana@example.org", "s")
    given = erase(database, "ana@example.org")
    proof = given.pop("proof")
    assert given.pop("user_id") == "ana@example.org"
    with database.read() as connection:
        kept = privacy.get_receipt(connection, given["receipt_id"])
        stored = str(connection.execute(select(receipts)).all())
    assert kept == given
    assert kept["removed"]["interactions"] == 1
    assert kept["completed_at"] == kept["requested_at"], "no version had learned from her"
    assert kept["fingerprint"] == privacy.fingerprint(proof, "ana@example.org")
    assert kept["fingerprint"] != privacy.fingerprint(proof, "bo@example.org")
    assert "ana" not in stored
    assert proof not in stored


def test_versions_are_listed_that_may_know_the_person(database: Database) -> None:
    before = view(database, "bo")
    bo = user_key(database, "bo")
    version(database, "before-her", before, bo)
    with database.write() as connection:
        put_users(connection, [UserEntry(user_id="ana", attributes={"vip": True})])
    ana = user_key(database, "ana")
    version(database, "of-her-attributes", before, ana)
    key = view(database, "ana")
    version(database, "of-her-events", key, ana, active=True)
    version(database, "pruned", key, ana, pruned_at=1)
    version(database, "of-an-earlier-release", before, None)
    receipt = erase(database, "ana", days=2)
    assert held(receipt) == ["of-her-attributes", "of-her-events", "of-an-earlier-release"]
    assert {entry["deadline"] for entry in receipt["versions"]} == {receipt["deadline"]}
    assert receipt["completed_at"] is None


def test_what_an_anonymous_visitor_did_is_erased_alone(database: Database) -> None:
    key = view(database, None, "s")
    view(database, "bo", "s")
    version(database, "old", key - 1, 10)
    version(database, "new", key, 0)
    with database.write() as connection:
        receipt = privacy.erase_session(connection, "s", 7)
    assert receipt["session_id"] == "s"
    assert receipt["kind"] == "session"
    assert receipt["removed"] == {"interactions": 1, "sessions": 0, "shown_recommendations": 0}
    assert held(receipt) == ["new"]
    view(database, None, "t")
    with database.write() as connection:
        assert privacy.erase_session(connection, "t", 7)["removed"]["sessions"] == 1
        with pytest.raises(NotFound):
            privacy.erase_session(connection, "t", 7)
        merging.merge_session(connection, "bo", "own")
        with pytest.raises(Conflict):
            privacy.erase_session(connection, "own", 7)


def test_receipts_are_listed_newest_first(database: Database) -> None:
    made = []
    for name in ("ana", "bo", "cy"):
        key = view(database, name)
        version(database, f"v-{name}", key, 0)
        made.append(erase(database, name)["receipt_id"])
    with database.read() as connection:
        first = privacy.list_receipts(connection, None, 2)
        second = privacy.list_receipts(connection, first["next_cursor"], 2)
        with pytest.raises(NotFound):
            privacy.get_receipt(connection, "er_none")
    found = first["receipts"] + second["receipts"]
    assert [receipt["receipt_id"] for receipt in found] == made[::-1]
    assert [held(receipt) for receipt in found] == [["v-cy"], ["v-bo"], ["v-ana"]]
    assert second["next_cursor"] is None
