"""A person's rights over HTTP: erased, with a receipt; all that is held; stored under a pseudonym."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from app.core.clock import now_ms
from app.core.pseudonyms import pseudonym_of
from app.db.queries.shown import ShownList, insert_shown
from app.db.session import Database
from app.db.tables import metadata
from app.services import personal_data
from app.services.pseudonyms import WrongPseudonymKey
from tests.api.serving import assert_problem, encoded, pages, serving

KEY = "a key of pseudonyms"
ANA = "ana@example.org"
FORMS = ("json", "csv")


def send(client: TestClient, *events: dict[str, Any]) -> None:
    entries = [{"item_id": "mug", "event": "view_item"} | event for event in events]
    response = client.post("/v1/interactions/batch", json={"interactions": entries})
    assert response.json()["accepted"] == len(entries), response.text


def export(client: TestClient, user: str) -> dict[str, Any]:
    response = client.get(f"/v1/users/{encoded(user)}/export")
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def test_the_receipt_is_there_later(client: TestClient) -> None:
    send(client, {"user_id": "ana"}, {"session_id": "s"})
    erased = client.delete("/v1/users/ana").json()
    proof = erased.pop("proof")
    assert len(proof) >= 40
    assert erased.pop("user_id") == "ana"
    assert client.get(f"/v1/privacy/receipts/{erased['receipt_id']}").json() == erased
    session = client.delete("/v1/sessions/s").json()
    assert (session["session_id"], session["removed"]["interactions"]) == ("s", 1)
    found = pages(client, "/v1/privacy/receipts", "receipts", 1)
    assert [page[0]["receipt_id"] for page in found] == [session["receipt_id"], erased["receipt_id"]]
    assert_problem(client.get("/v1/privacy/receipts/er_other"), 404, "not_found")
    assert_problem(client.delete("/v1/sessions/s"), 404, "not_found")


def test_a_session_that_became_a_users_goes_with_the_user(client: TestClient) -> None:
    send(client, {"session_id": "s"})
    client.post("/v1/users/ana/merge", json={"session_id": "s"})
    assert_problem(client.delete("/v1/sessions/s"), 409, "conflict")


def test_the_versions_that_knew_a_customer_are_named_and_answer_nothing(shop: TestClient) -> None:
    version = shop.get("/v1/models").json()["models"][0]["version"]
    before = export(shop, "u000003")
    assert before["learned"]["model_version"] == version
    assert before["learned"]["segments"]
    erased = shop.delete("/v1/users/u000003").json()
    assert [(one["version"], one["released_at"]) for one in erased["versions"]] == [(version, None)]
    assert (
        len(before["interactions"]) + len(before["anonymous_interactions"])
        == (erased["removed"]["interactions"])
    )
    assert_problem(shop.get("/v1/users/u000003/export"), 404, "not_found")
    # Who comes back under the same id is nobody whom the version knows.
    shop.put("/v1/users/u000003", json={})
    again = export(shop, "u000003")
    assert (again["interactions"], again["sessions"], again["relations"]) == ([], [], [])
    assert "rfm" not in {segment["kind"] for segment in again["learned"]["segments"]}
    segments = [one["segment_id"] for one in shop.get("/v1/segments").json()["segments"]]
    asked = [f"/v1/segments/{name}/users?limit=1000&format={form}" for name in segments for form in FORMS]
    asked += [f"/v1/predictions?name=churn&limit=1000&format={form}" for form in FORMS]
    asked.append("/v1/users/u000004/similar?n=100")
    texts = {path: shop.get(path).text for path in asked}
    assert any("u000004" in text for text in texts.values())
    assert [path for path, text in texts.items() if "u000003" in text] == []


def test_all_that_is_held_is_exported(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal_data, "AT_ONCE", 2)
    client.put("/v1/users/ana", json={"attributes": {"country": "PT"}})
    day = "2026-10-0{}T10:00:00Z".format
    send(
        client,
        *({"user_id": "ana", "session_id": "in", "occurred_at": day(n)} for n in range(1, 6)),
        {"session_id": "in", "occurred_at": day(1), "event": "select_item"},
        {"session_id": "shared", "occurred_at": day(1)},
        {"user_id": "ana", "session_id": "shared", "occurred_at": day(6)},
        {"user_id": "bo", "session_id": "shared", "occurred_at": day(7)},
        {"session_id": "others", "occurred_at": day(8)},
    )
    client.post("/v1/users/ana/merge", json={"session_id": "own"})
    for other in ("bo", "cy", "di"):
        client.put(f"/v1/users/ana/relations/{other}", json={})
    client.put("/v1/users/bo/relations/ana", json={"kind": "follows"})
    corrected = client.post("/v1/users/ana/corrections", json={"item_id": "mug", "kind": "gift"})
    assert corrected.status_code == 201, corrected.text
    found = export(client, "ana")
    assert found["attributes"] == {"country": "PT"}
    assert found["learned"] is None
    assert [event["occurred_at"][:10] for event in found["interactions"]] == [
        f"2026-10-0{n}" for n in range(1, 7)
    ]
    assert found["interactions"][0]["session_id"] == "in"
    assert [event["event"] for event in found["anonymous_interactions"]] == ["select_item"]
    own = {"in": False, "shared": False, "own": True}
    assert {one["session_id"]: one["own"] for one in found["sessions"]} == own
    ties = {(tie["user_id"], tie["other_id"], tie["kind"]) for tie in found["relations"]}
    assert ties == {("ana", name, "friend") for name in ("bo", "cy", "di")} | {("bo", "ana", "follows")}
    assert [correction["kind"] for correction in found["corrections"]] == ["gift"]
    assert_problem(client.get("/v1/users/nobody/export"), 404, "not_found")


def test_lists_that_were_shown_are_exported(client: TestClient, database_url: str) -> None:
    send(client, {"user_id": "bo"}, {"user_id": "ana"}, {"session_id": "s"})
    what: dict[str, Any] = {"after": None, "scenario": "home", "model_version": None, "shown_at": now_ms()}
    what |= {"item_ids": ("mug",), "sources": ("popular",)}
    lists = [
        ShownList(recommendation_id=f"r-{user}", user_id=user, session_id=session, **what)
        for user, session in (("ana", None), ("bo", None), (None, "s"))
    ]
    database = Database(database_url)
    with database.write() as connection:
        assert insert_shown(connection, lists) == 3
    database.close()
    (found,) = export(client, "ana")["shown_recommendations"]
    assert found["recommendation_id"] == "r-ana"
    assert found["items"] == [{"item_id": "mug", "source": "popular"}]
    assert client.delete("/v1/sessions/s").json()["removed"]["shown_recommendations"] == 1
    assert client.delete("/v1/users/ana").json()["removed"]["shown_recommendations"] == 1


@pytest.fixture
def under_pseudonyms(database_url: str, tmp_path: Path) -> Iterator[TestClient]:
    with serving(database_url, tmp_path / "artifacts", pseudonym_key=KEY) as opened:
        yield opened


def test_ids_are_not_stored_where_a_key_is_set(under_pseudonyms: TestClient, database_url: str) -> None:
    client, ana = under_pseudonyms, pseudonym_of(KEY, ANA)
    path = f"/v1/users/{encoded(ANA)}"
    assert client.put(path, json={"attributes": {"vip": True}}).json()["user_id"] == ana
    dated = {"user_id": ANA, "session_id": "s", "occurred_at": "2026-10-01T10:00:00Z"}
    send(client, dated, {"user_id": "bo"})
    lines = f'{{"user_id": "{ANA}", "item_id": "tea", "event": "purchase"}}\n'
    assert client.post("/v1/import/interactions", content=lines).json()["accepted"] == 1
    order = {"order_id": "o", "user_id": ANA, "items": [{"item_id": "pot", "quantity": 1, "price": 2}]}
    assert client.post("/v1/orders", json=order | {"currency": "EUR"}).status_code in (200, 201)
    client.put(f"{path}/relations/bo", json={})
    assert_problem(client.put(f"{path}/relations/{ana}", json={}), 422, "same_user", "/path/other_id")
    seen = {event["item_id"] for event in client.get(f"{path}/interactions").json()["interactions"]}
    assert seen == {"mug", "tea", "pot"}
    asked = client.post("/v1/recommendations", json={"user_id": ANA, "exclude_seen": True, "n": 5}).json()
    assert not seen & {item["item_id"] for item in asked["items"]}
    listed = [user["user_id"] for user in client.get("/v1/users").json()["users"]]
    assert sorted(listed) == sorted([ana, pseudonym_of(KEY, "bo")])
    assert client.get(f"/v1/users/{ana}").json()["attributes"] == {"vip": True}, "what was listed is found"
    repeated = client.post("/v1/interactions", json={"item_id": "mug", "event": "view_item"} | dated)
    assert repeated.json()["status"] == "duplicate"
    database = Database(database_url)
    with database.read() as connection:
        for table in metadata.sorted_tables:
            assert ANA not in str(connection.execute(select(table)).all()), table.name
    database.close()
    assert client.delete(path).json()["removed"]["users"] == 1


def test_a_key_of_pseudonyms_is_there_from_the_first_day(database_url: str, tmp_path: Path) -> None:
    def start(key: str | None) -> None:
        with serving(database_url, tmp_path / "artifacts", pseudonym_key=key) as client:
            client.put("/v1/users/ana", json={})

    start(KEY)
    start(KEY)
    for key, words in ((None, "set VITRINE_PSEUDONYM_KEY"), ("another key, not this", "another")):
        with pytest.raises(WrongPseudonymKey, match=words):
            start(key)


def test_a_database_with_ids_takes_no_key(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path / "artifacts") as client:
        client.put("/v1/users/ana", json={})
    with (
        pytest.raises(WrongPseudonymKey, match="empty database"),
        serving(database_url, tmp_path / "artifacts", pseudonym_key=KEY),
    ):
        pass
