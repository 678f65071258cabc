"""What was shown: recorded beside the answers, lost only with a count, and gone on from without repeats."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import select
from starlette.testclient import TestClient

from app.core.clock import now_ms
from app.core.errors import Unavailable
from app.db.queries import users as user_queries
from app.db.queries.shown import ShownList, insert_shown, shown_of_user, unpacked
from app.db.session import Database
from app.db.tables import shown_recommendations
from app.schemas.recommendations import RecommendationRequest
from app.services import next_items, shown
from app.services.shown import Shown
from tests.api.serving import assert_problem, serving

ITEMS = [f"i{number:02}" for number in range(30)]


def counted(verdict: str) -> float:
    return REGISTRY.get_sample_value("vitrine_shown_lists_total", {"verdict": verdict}) or 0.0


def fill(client: TestClient) -> None:
    body = {"items": [{"item_id": name} for name in ITEMS]}
    assert client.post("/v1/items/batch", json=body).json()["accepted"] == len(ITEMS)
    events = [
        {"user_id": who, "session_id": f"s-{who}", "item_id": "i00", "event": "view"} for who in ("ana", "bo")
    ]
    events.append({"session_id": "s-1", "item_id": "i01", "event": "view"})
    assert client.post("/v1/interactions/batch", json={"interactions": events}).json()["accepted"] == 3


def ask(client: TestClient, **request: Any) -> dict[str, Any]:
    response = client.post("/v1/recommendations", json=request)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def names(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def stored(database: Database) -> dict[str, Any]:
    with database.read() as connection:
        return {row.recommendation_id: row for row in connection.execute(select(shown_recommendations))}


def await_stored(database: Database, number: int) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while len(found := stored(database)) < number:
        assert time.monotonic() < deadline, len(found)
        time.sleep(0.01)
    return found


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url, pool_size=3)
    yield opened
    opened.close()


def test_every_answer_is_recorded(database_url: str, database: Database, tmp_path: Path) -> None:
    before = counted("recorded"), counted("dropped")
    began = now_ms()
    with serving(database_url, tmp_path) as client:
        fill(client)
        got = client.get("/v1/users/ana/recommendations", params={"n": 7}).json()
        unknown = client.get("/v1/users/nobody/recommendations").json()
        session = ask(client, session={"session_id": "s-1"}, n=3)
        nothing = ask(client, user_id="bo", filter="price > 5")
        requests = [{"user_id": "bo", "session": {"session_id": "s-1"}, "n": 2}, {"item_ids": ["i03"]}]
        batch = client.post("/v1/recommendations/batch", json={"requests": requests}).json()["results"]
        assert client.post("/v1/recommendations", json={"filter": "price >"}).status_code == 422
        client.get("/v1/users/ana/profile")
    rows = stored(database)  # the end of the application wrote what still waited
    answers = [got, unknown, session, nothing, *batch]
    assert rows.keys() == {answer["recommendation_id"] for answer in answers}
    with database.read() as connection:
        ana, bo = (user_queries.user_key(connection, who) for who in ("ana", "bo"))
        (theirs,) = shown_of_user(connection, ana or 0, 0, 10)
        assert shown_of_user(connection, ana or 0, theirs["key"], 10) == []
    assert [entry["item_id"] for entry in theirs["items"]] == names(got)
    assert [entry["source"] for entry in theirs["items"]] == [item["source"] for item in got["items"]]
    owners = [rows[answer["recommendation_id"]].user_id for answer in answers]
    assert owners == [ana, None, None, bo, bo, None]
    sessions = [rows[answer["recommendation_id"]].session_id is not None for answer in answers]
    assert sessions == [False, False, True, False, False, False]
    for answer in answers:
        row = rows[answer["recommendation_id"]]
        assert row.n == len(unpacked(row.item_keys)) == len(row.item_sources) == len(answer["items"])
        assert began <= row.shown_at <= now_ms()
        assert row.model_version is None
    assert (counted("recorded") - before[0], counted("dropped") - before[1]) == (len(answers), 0)


def test_erased_people_do_not_come_back(database_url: str, database: Database, tmp_path: Path) -> None:
    with serving(database_url, tmp_path) as client:
        fill(client)
        ask(client, user_id="ana")
        ask(client, session={"session_id": "s-1"})
        assert client.post("/v1/users/bo/merge", json={"session_id": "s-1"}).status_code == 200
        client.delete("/v1/users/ana")  # maybe before, maybe after it is written
    with database.write() as connection:
        bo = user_queries.user_key(connection, "bo")
        assert len(shown_of_user(connection, bo or 0, 0, 10)) == 1  # what the session saw is bo's now
        late = ShownList("late", None, "ana", "s-ana", None, None, now_ms(), ("i01",), ("popular",))
        # Who came under the same id after it was shown is somebody else; the list may be of the erased one.
        early = late._replace(recommendation_id="early", user_id="bo", shown_at=1)
        assert insert_shown(connection, [late, early]) == 1
        assert insert_shown(connection, [late]) == 0
        # What she was shown before the erasure, and another process writes after it, is not kept at all.
        assert insert_shown(connection, [late._replace(recommendation_id="before", shown_at=1)]) == 0
        visit = late._replace(recommendation_id="visit", user_id=None, session_id="gone", shown_at=1)
        assert insert_shown(connection, [visit]) == 0
    rows = stored(database)
    assert rows["late"].user_id is None
    assert not {"early", "before"} & set(rows)
    with serving(database_url, tmp_path) as client:
        assert client.delete("/v1/users/bo").status_code == 200
    left = stored(database).values()
    assert {(row.user_id, row.session_id) for row in left} == {(None, None)}


def test_nothing_is_recorded_where_nothing_is_kept(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    with serving(database_url, tmp_path, shown_days=0) as client:
        fill(client)
        first = ask(client, n=4)
        second = ask(client, n=4, after=first["recommendation_id"])
    assert not set(names(first)) & set(names(second))
    assert stored(database) == {}


class Writer:
    """Takes batches, after so many refusals."""

    def __init__(self, refusals: int = 0, error: Exception | None = None) -> None:
        self.refusals = refusals
        self.error = error or Unavailable("away")
        self.attempts = 0
        self.lists: list[str] = []

    async def __call__(self, function: Any, batch: list[ShownList]) -> int:
        assert function is insert_shown
        self.attempts += 1
        if self.refusals:
            self.refusals -= 1
            raise self.error
        self.lists += [each.recommendation_id for each in batch]
        return len(batch)


def note(recorder: Shown, name: str, items: int = 10) -> None:
    entries = [{"item_id": str(item), "source": "popular"} for item in range(items)]
    answer = {"recommendation_id": name, "model_version": None, "items": entries}
    recorder.note(RecommendationRequest(), answer, None)


def test_a_full_queue_loses_lists_and_counts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "CAPACITY", 100)
    monkeypatch.setattr(shown, "RECENT", 60)
    before = counted("dropped")
    writer = Writer()
    recorder = Shown(writer, True)

    async def run() -> None:
        async with recorder.recording():
            for number in range(8):
                note(recorder, f"r{number}")

    asyncio.run(run())
    assert writer.lists == [f"r{number}" for number in range(5)]  # of 20 each, with what a list costs
    assert counted("dropped") - before == 3
    assert [recorder.find(f"r{number}") is not None for number in (4, 5, 7)] == [False, True, True]
    asyncio.run(run())  # what was written has made room
    assert len(writer.lists) == 10


@pytest.mark.parametrize(
    ("refusals", "error", "attempts", "arrives"),
    [
        (3, None, 4, True),
        (99, None, shown.ATTEMPTS, False),
        (1, RuntimeError("a row that nobody takes"), 1, False),
    ],
)
def test_a_database_that_is_away_is_tried_again(
    refusals: int,
    error: Exception | None,
    attempts: int,
    arrives: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shown, "FLUSH_SECONDS", 0.001)
    before = counted("recorded"), counted("dropped")
    writer = Writer(refusals, error)

    async def run() -> None:
        recorder = Shown(writer, True)
        async with recorder.recording():
            note(recorder, "r")
            while (counted("recorded"), counted("dropped")) == before:
                await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(run(), 20))
    assert writer.attempts == attempts
    assert (counted("recorded") - before[0], counted("dropped") - before[1]) == (arrives, not arrives)


def test_the_end_does_not_wait_for_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "BATCH", 2)
    before = counted("dropped")
    writer = Writer(99)

    async def run() -> None:
        recorder = Shown(writer, True)
        async with recorder.recording():
            for number in range(7):
                note(recorder, f"r{number}")

    asyncio.run(asyncio.wait_for(run(), 20))
    assert writer.attempts == 1
    assert counted("dropped") - before == 7


def test_the_next_ones_are_others_on_every_worker(
    database_url: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown, "FLUSH_SECONDS", 0.02)
    with serving(database_url, tmp_path) as one, serving(database_url, tmp_path) as other:
        fill(one)
        whole = names(ask(one, user_id="ana", n=30))
        answers = [ask(one, user_id="ana", n=5)]
        for client in (one, other, other, one, other):  # not written yet when the other one is asked
            after = answers[-1]["recommendation_id"]
            got = client.get("/v1/users/ana/recommendations", params={"n": 5, "after": after})
            assert got.status_code == 200, got.text
            answers.append(got.json())
        chained = [name for answer in answers for name in names(answer)]
        assert chained == whole
        assert len(chained) == len(set(chained)) == len(ITEMS) - 1  # all but what ana has seen
        assert all(len(answer["warnings"]) == 1 for answer in answers[:-1])  # no model yet, nothing else
        assert names(answers[-1]) == chained[25:]

        after = answers[1]["recommendation_id"]
        pinned = {"position": 1, "item_id": chained[0]}, {"position": 2, "item_id": chained[20]}
        request = {"user_id": "ana", "n": 5, "after": after, "pins": pinned, "exclude": [chained[10]]}
        again = ask(other, **request)
        assert names(again) == [chained[11], chained[20], *chained[12:15]]
        first, second = one.post(
            "/v1/recommendations/batch", json={"requests": [request, {"user_id": "bo", "n": 5}]}
        ).json()["results"]
        assert names(first) == names(again)
        assert names(second)[0] in chained[:2]
        await_stored(database, 10)
    rows = stored(database)
    assert [rows[answer["recommendation_id"]].after for answer in answers] == [
        None,
        *(answer["recommendation_id"] for answer in answers[:-1]),
    ]
    assert rows[first["recommendation_id"]].after == after


def test_a_chain_without_end_is_cut(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(next_items, "FLUSH_SECONDS", 0.001)
    with serving(database_url, tmp_path) as client:
        fill(client)
        answers = [ask(client, n=4)]
        for _ in range(3):
            answers.append(ask(client, n=4, after=answers[-1]["recommendation_id"]))
    last = answers[-1]["recommendation_id"]
    with serving(database_url, tmp_path) as client:
        for name, most, items in (("MAX_LISTS", 2, 8), ("MAX_ITEMS", 6, 6)):
            with monkeypatch.context() as patched:
                patched.setattr(next_items, name, most)
                cut = ask(client, n=4, after=last)
            said = f"Only the latest {items} items of the lists before are left out."
            assert cut["warnings"][-1] == said
            assert set(names(cut)) == set(names(answers[0]))
        whole = ask(client, n=30, after=last)
        assert not set(names(whole)) & {item for answer in answers for item in names(answer)}
        assert len(whole["items"]) == len(ITEMS) - 16


def test_whose_list_it_was(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_items, "FLUSH_SECONDS", 0.001)
    with serving(database_url, tmp_path) as client:
        fill(client)
        of_ana = ask(client, user_id="ana", n=3)["recommendation_id"]
        of_session = ask(client, session={"session_id": "s-1"}, n=3)["recommendation_id"]
        of_nobody = ask(client, n=3)["recommendation_id"]
    with serving(database_url, tmp_path) as client:  # one that remembers nothing

        def refused(after: str, **request: Any) -> None:
            response = client.post("/v1/recommendations", json={"after": after, **request})
            assert_problem(response, 422, "of_another_person", "/after")

        refused(of_ana, user_id="bo")
        refused(of_ana, session={"session_id": "s-ana"})
        refused(of_session, session={"session_id": "s-ana"})
        refused(of_session, user_id="bo")
        got = client.get("/v1/users/bo/recommendations", params={"after": of_ana})
        assert_problem(got, 422, "of_another_person", "/query/after")
        requests = [{"user_id": "ana", "after": of_ana}, {"after": of_ana}]
        got = client.post("/v1/recommendations/batch", json={"requests": requests})
        assert_problem(got, 422, "of_another_person", "/requests/1/after")
        # Whoever logs in goes on.
        assert client.post("/v1/users/bo/merge", json={"session_id": "s-1"}).status_code == 200
        assert len(ask(client, user_id="bo", after=of_session)["warnings"]) == 1
        assert len(ask(client, user_id="ana", after=of_nobody)["warnings"]) == 1
        for never in ("never", str(uuid4())):
            unknown = ask(client, user_id="ana", n=3, after=never)
            assert unknown["warnings"][-1].startswith(f"The list '{never}' is not known")
            assert len(unknown["items"]) == 3
        for wrong in ("", "a\x00", "x" * 257):
            got = client.get("/v1/users/bo/recommendations", params={"after": wrong})
            assert got.status_code == 422
