"""Anonymous visitors who log in: their session becomes theirs, on every worker, whoever asks at once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.db import migrate
from app.db.session import Database
from tests.api.conftest import TrainedShop, new_database
from tests.api.serving import assert_problem, encoded, pages, serving

AT = "2026-03-0{}T12:00:00Z"


@pytest.fixture
def other(client: TestClient, database_url: str, tmp_path: Path) -> Iterator[TestClient]:
    """Another instance on the database of `client`."""
    with serving(database_url, tmp_path / "artifacts") as opened:
        opened.get("/health/live")  # routes are built at the first call: not while others are asked at once
        yield opened


def event(item: str = "mug", **rest: Any) -> dict[str, Any]:
    return {"item_id": item, "event": "view_item", **rest}


def send(client: TestClient, *events: dict[str, Any]) -> dict[str, Any]:
    response = client.post("/v1/interactions/batch", json={"interactions": events})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    assert body["rejected"] == 0, body
    return body


def merge(client: TestClient, user: str, session: str) -> dict[str, Any]:
    response = client.post(f"/v1/users/{encoded(user)}/merge", json={"session_id": session})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    assert (body["user_id"], body["session_id"]) == (user, session)
    return body


def events_of(client: TestClient, user: str) -> list[dict[str, Any]]:
    response = client.get(f"/v1/users/{encoded(user)}/interactions", params={"limit": 1000})
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["interactions"]
    return found


def test_a_session_becomes_the_users_on_every_worker(client: TestClient, other: TestClient) -> None:
    send(
        client,
        event("mug", session_id="s", event_id="e1"),
        event("tea", session_id="s", event_id="e2"),
        event("pot", session_id="another"),
        event("cup", user_id="bo"),
    )
    assert merge(client, "ana", "s") == {
        "user_id": "ana",
        "session_id": "s",
        "merged": 2,
        "warnings": [],
    }
    for worker in (client, other):
        found = events_of(worker, "ana")
        assert {(row["item_id"], row["session_id"]) for row in found} == {("mug", "s"), ("tea", "s")}
        assert worker.get("/v1/users/ana").status_code == 200, "the user is created"
        shown = worker.get("/v1/users/ana/recommendations").json()["items"]
        assert {row["item_id"] for row in shown} == {"pot", "cup"}, "what was seen in the session is seen"
    assert [row["item_id"] for row in events_of(client, "bo")] == ["cup"]
    merged_again = merge(other, "ana", "s")
    assert (merged_again["merged"], merged_again["warnings"]) == (0, [])
    assert len(events_of(client, "ana")) == 2


def test_what_comes_later_in_the_session_is_the_users(client: TestClient, other: TestClient) -> None:
    send(client, event("mug", session_id="s"))
    merge(client, "ana", "s")
    send(other, event("tea", session_id="s"), event("pot", session_id="t"), event("cup", user_id="bo"))
    single = other.post("/v1/interactions", json=event("jar", session_id="s"))
    assert single.status_code == 201
    line = '{"item_id": "lid", "event": "view_item", "session_id": "s"}\n'
    assert other.post("/v1/import/interactions", content=line).json()["accepted"] == 1
    assert {row["item_id"] for row in events_of(client, "ana")} == {"mug", "tea", "jar", "lid"}
    # Who is named keeps the event, also in a session that is somebody else's.
    send(client, event("hat", user_id="bo", session_id="s"))
    assert {row["item_id"] for row in events_of(client, "bo")} == {"cup", "hat"}
    assert merge(client, "ana", "s")["merged"] == 0


def test_a_session_may_be_merged_before_its_events_come(client: TestClient) -> None:
    early = merge(client, "ana", "to come")
    assert early["merged"] == 0
    assert early["warnings"] == ["Session 'to come' has no events yet; those to come will count."]
    assert events_of(client, "ana") == []
    send(client, event("mug", session_id="to come"))
    assert [row["item_id"] for row in events_of(client, "ana")] == ["mug"]


def test_several_sessions_of_one_user_and_ids_of_all_kinds(client: TestClient) -> None:
    send(client, event("a", session_id="s/1 ü"), event("b", session_id="s2"), event("c", user_id="x/y"))
    assert merge(client, "x/y", "s/1 ü")["merged"] == 1
    assert merge(client, "x/y", "s2")["merged"] == 1
    assert {row["item_id"] for row in events_of(client, "x/y")} == {"a", "b", "c"}


def test_a_session_of_somebody_else_is_refused(client: TestClient) -> None:
    send(client, event("mug", session_id="s"))
    merge(client, "ana", "s")
    refused = assert_problem(client.post("/v1/users/bo/merge", json={"session_id": "s"}), 409, "conflict")
    assert refused["detail"] == (
        "Session 's' belongs to another user. Begin a new session when somebody logs out."
    )
    assert_problem(client.get("/v1/users/bo"), 404, "not_found")
    assert len(events_of(client, "ana")) == 1
    # Nobody merged it, but somebody was logged in there.
    send(client, event("tea", session_id="t"), event("tea", user_id="cy", session_id="t"))
    assert_problem(client.post("/v1/users/ana/merge", json={"session_id": "t"}), 409, "conflict")
    assert merge(client, "cy", "t")["merged"] == 1


def test_an_event_that_was_sent_under_both_counts_once(client: TestClient) -> None:
    assert send(client, event(session_id="s", event_id="e"))["accepted"] == 1
    assert send(client, event(user_id="ana", event_id="e"))["duplicate"] == 1
    assert merge(client, "ana", "s")["merged"] == 1
    assert send(client, event(user_id="ana", session_id="s", event_id="e"))["duplicate"] == 1
    dated = event(session_id="s", occurred_at=AT.format(1))
    assert send(client, dated)["accepted"] == 1
    assert send(client, dated)["duplicate"] == 1, "its facts are those that were sent"
    assert len(events_of(client, "ana")) == 2


def test_erasure_takes_merged_sessions_along(client: TestClient, database_url: str) -> None:
    send(client, event(session_id="s"), event(session_id="s"), event(session_id="nobodys"))
    send(client, event(user_id="bo", session_id="shared"))
    merge(client, "ana", "s")
    merge(client, "ana", "empty")
    merge(client, "bo", "shared")
    send(client, event(user_id="ana", session_id="shared"))
    removed = client.delete("/v1/users/ana").json()["removed"]
    assert (removed["users"], removed["interactions"], removed["sessions"]) == (1, 3, 2)
    database = Database(database_url)
    with database.read() as connection:
        left = connection.exec_driver_sql("SELECT external_id FROM sessions ORDER BY 1").scalars().all()
        owners = connection.exec_driver_sql("SELECT count(*) FROM session_owners").scalar_one()
    database.close()
    assert (left, owners) == (["nobodys", "shared"], 1)
    # Whoever comes with that id again is somebody new.
    send(client, event("tea", session_id="s"))
    client.put("/v1/users/ana", json={})
    assert events_of(client, "ana") == []
    assert merge(client, "bo", "s")["merged"] == 1


def test_bad_input_is_named(steady: TestClient) -> None:
    path = "/v1/users/ana/merge"
    for body, code, pointer in (
        ({}, "missing", "/session_id"),
        ({"session_id": ""}, "string_too_short", "/session_id"),
        ({"session_id": None}, "string_type", "/session_id"),
        ({"session_id": 5}, "string_type", "/session_id"),
        ({"session_id": "x" * 257}, "string_too_long", "/session_id"),
        ({"session_id": "nul \u0000"}, "string_pattern_mismatch", "/session_id"),
        ({"session_id": "s", "user_id": "bo"}, "extra_forbidden", "/user_id"),
    ):
        assert_problem(steady.post(path, json=body), 422, code, pointer)
    assert_problem(steady.post(path, content=b""), 400, "malformed_json")
    bad_user = steady.post(f"/v1/users/{'x' * 257}/merge", json={"session_id": "s"})
    assert_problem(bad_user, 422, "string_too_long", "/path/user_id")
    assert_problem(steady.get("/v1/users/ana"), 404, "not_found")


def test_a_browsers_key_may_not_merge(client: TestClient) -> None:
    admin = client.post("/v1/keys", json={"name": "a", "scopes": ["admin"]}).json()["key"]
    for name, allowed in (("track", False), ("query", False), ("ingest", True)):
        made = client.post("/v1/keys", json={"name": name, "scopes": [name]}, headers={"X-API-Key": admin})
        headers = {"X-API-Key": made.json()["key"]}
        response = client.post("/v1/users/ana/merge", json={"session_id": "s"}, headers=headers)
        if allowed:
            assert response.status_code == 200
        else:
            assert_problem(response, 403, "forbidden")
    assert_problem(client.post("/v1/users/ana/merge", json={"session_id": "s"}), 401, "unauthorized")


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def test_merges_at_the_same_time(client: TestClient, other: TestClient) -> None:
    send(client, *[event(f"i{n}", session_id="s") for n in range(30)])

    def ask(worker: TestClient, user: str) -> Callable[[], Any]:
        return lambda: worker.post(f"/v1/users/{user}/merge", json={"session_id": "s"})

    answers = at_once(
        *[ask(worker, user) for user in ("ana", "bo", "ana", "bo") for worker in (client, other)]
    )
    assert sorted({answer.status_code for answer in answers}) == [200, 409]
    merged = {answer.json()["user_id"] for answer in answers if answer.status_code == 200}
    assert len(merged) == 1
    assert sum(answer.json()["merged"] for answer in answers if answer.status_code == 200) == 30
    assert len(events_of(client, merged.pop())) == 30


def test_merge_while_events_arrive(client: TestClient, other: TestClient) -> None:
    send(client, event(session_id="s0"), event(session_id="s1"))

    def arrive(worker: TestClient, number: int) -> Callable[[], Any]:
        names = ["s0", "s1"] if number % 2 else ["s1", "s0"]
        events = [
            event(f"i{n}", session_id=name, event_id=f"{number}-{n}-{name}")
            for n in range(20)
            for name in names
        ]
        return lambda: worker.post("/v1/interactions/batch", json={"interactions": events})

    def log_in(worker: TestClient, session: str) -> Callable[[], Any]:
        return lambda: worker.post("/v1/users/ana/merge", json={"session_id": session})

    calls: list[Callable[[], Any]] = []
    for number in range(6):
        calls += [
            arrive((client, other)[number % 2], number),
            log_in((other, client)[number % 2], f"s{number % 2}"),
        ]
    answers = at_once(*calls)
    assert {answer.status_code for answer in answers} == {200}, [a.text for a in answers]
    assert len(pages(client, "/v1/users/ana/interactions", "interactions", 1000)[0]) == 2 + 6 * 40


def test_erasure_while_sessions_are_merged(client: TestClient, other: TestClient) -> None:
    def log_in(number: int) -> Callable[[], Any]:
        def call() -> Any:
            send(client, event(session_id=f"s{number}"))
            return client.post("/v1/users/ana/merge", json={"session_id": f"s{number}"})

        return call

    client.put("/v1/users/ana", json={})
    answers = at_once(
        *[call for n in range(5) for call in (log_in(n), lambda: other.delete("/v1/users/ana"))]
    )
    assert {answer.status_code for answer in answers} <= {200, 404, 503}, [a.text for a in answers]
    client.put("/v1/users/ana", json={})
    client.delete("/v1/users/ana")
    client.put("/v1/users/ana", json={})
    send(client, *[event(session_id=f"s{n}") for n in range(5)])
    assert events_of(client, "ana") == [], "nothing of who was erased leads to who comes after"


def test_a_session_stays_the_users_though_somebody_else_who_was_in_it_is_erased(client: TestClient) -> None:
    merge(client, "cyd", "fresh")
    send(client, event(session_id="fresh", user_id="bo"))
    assert client.delete("/v1/users/bo").status_code == 200
    send(client, event(session_id="fresh"))
    assert len(events_of(client, "cyd")) == 1


def test_merged_events_count_as_the_users_own(
    trained: TrainedShop, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with (
        new_database(request, trained.engine, tmp_path, trained.source) as url,
        serving(url, trained.artifacts) as one,
        serving(url, trained.artifacts) as two,
    ):
        items = [row["item_id"] for row in one.get("/v1/items", params={"limit": 40}).json()["items"]]
        done = [
            event(name, event="add_to_cart", occurred_at=AT.format(n + 1)) for n, name in enumerate(items[:3])
        ]
        send(one, *[given | {"user_id": "direct"} for given in done])
        send(one, *[given | {"session_id": "visit"} for given in done])

        def scores(worker: TestClient, **who: Any) -> list[tuple[str, float]]:
            ranked = worker.post("/v1/rankings", json={**who, "item_ids": items})
            assert ranked.status_code == 200, ranked.text
            return [(row["item_id"], row["score"]) for row in ranked.json()["items"]]

        wanted = scores(one, user_id="direct")
        assert scores(one, user_id="ana") != wanted
        merge(one, "ana", "visit")
        for worker in (one, two):
            assert scores(worker, user_id="ana") == wanted
            # A storefront goes on to name the session: nothing counts twice.
            assert scores(worker, user_id="ana", session={"session_id": "visit"}) == wanted


def test_the_schema_comes_and_goes_with_data_in_place(client: TestClient, database_url: str) -> None:
    send(client, event("mug", session_id="s"), event("tea", session_id="s"), event("tea", user_id="bo"))
    merge(client, "ana", "s")
    correction = client.post("/v1/users/ana/corrections", json={"item_id": "mug", "kind": "gift"})
    assert correction.status_code == 201
    database = Database(database_url)
    migrate.downgrade(database, "0002")
    with database.read() as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM interactions").scalar_one()
        sessions = connection.exec_driver_sql("SELECT count(*) FROM sessions").scalar_one()
    assert (kept, sessions) == (3, 1)
    migrate.upgrade(database)
    migrate.check(database)
    database.close()
    assert len(events_of(client, "ana")) == 2, "what was merged stays merged"
    assert client.get("/v1/users/ana/corrections").json()["corrections"] == []
    assert merge(client, "ana", "s")["merged"] == 0
    send(client, event("pot", session_id="s"))
    assert len(events_of(client, "ana")) == 3
