"""Corrections of taste: what happened stays, and says no more what the person likes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.core.events import DEFAULT_WEIGHTS
from app.db.queries.persons import person_of
from app.db.session import Database
from app.schemas.corrections import Correction
from app.training.progress import Progress
from app.training.snapshot import load_snapshot
from tests.api.conftest import TrainedShop, new_database
from tests.api.serving import assert_problem, encoded, pages, serving
from tests.training.shops import queue, run_row, trainer

AT = "2026-03-{:02}T12:00:00Z"


def event(
    item: str | None = "mug", name: str = "view_item", user: str = "ana", **rest: Any
) -> dict[str, Any]:
    given = {"user_id": user, "event": name, **rest}
    return given if item is None else given | {"item_id": item}


def send(client: TestClient, *events: dict[str, Any]) -> None:
    response = client.post("/v1/interactions/batch", json={"interactions": events})
    assert response.json()["accepted"] == len(events), response.text


def correct(client: TestClient, status: int = 201, user: str = "ana", **fields: Any) -> dict[str, Any]:
    response = client.post(f"/v1/users/{encoded(user)}/corrections", json=fields)
    assert response.status_code == status, response.text
    body: dict[str, Any] = response.json()
    Correction.model_validate(body, strict=True)
    return body


def listed(client: TestClient, user: str = "ana") -> list[dict[str, Any]]:
    response = client.get(f"/v1/users/{encoded(user)}/corrections")
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["corrections"]
    return found


@pytest.fixture
def workers(
    trained: TrainedShop, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[TestClient, TestClient]]:
    """Two instances on a database of their own, with a model."""
    with (
        new_database(request, trained.engine, tmp_path, trained.source) as url,
        serving(url, trained.artifacts) as one,
        serving(url, trained.artifacts) as two,
    ):
        yield one, two


def test_a_gift_is_no_taste_from_the_next_answer_on(workers: tuple[TestClient, TestClient]) -> None:
    one, two = workers
    items = [row["item_id"] for row in one.get("/v1/items", params={"limit": 40}).json()["items"]]
    own = [event(name, "add_to_cart", occurred_at=AT.format(n)) for n, name in enumerate(items[:3], 1)]
    gift = event(items[5], "purchase", price=20.0, currency="EUR", occurred_at=AT.format(4), event_id="gift")
    send(one, *own, gift, *[given | {"user_id": "bo"} for given in own])

    def scores(worker: TestClient, user: str) -> list[tuple[str, float]]:
        ranked = worker.post("/v1/rankings", json={"user_id": user, "item_ids": items})
        assert ranked.status_code == 200, ranked.text
        return [(row["item_id"], row["score"]) for row in ranked.json()["items"]]

    def reasons(worker: TestClient) -> set[str]:
        body = {"user_id": "ana", "n": 30, "explain": True}
        shown = worker.post("/v1/recommendations", json=body).json()["items"]
        return {of["item_id"] for row in shown for of in row["reason"]["because"]}

    def told(worker: TestClient) -> Any:
        profile = worker.get("/v1/users/ana/profile").json()
        figures = ("frequency", "monetary")
        return profile["totals"], [profile["features"].get(name) for name in figures]

    def sales(worker: TestClient) -> Any:
        params = {"from": "2026-03-04", "to": "2026-03-05", "currency": "EUR"}
        response = worker.get("/v1/reports/sales", params=params)
        assert response.status_code == 200, response.text
        return response.json()["totals"]

    before, facts, report = scores(two, "ana"), told(two), sales(two)
    without = scores(two, "bo")
    assert before != without
    assert items[5] in reasons(two)
    assert facts[0]["purchases"] == 1
    assert None not in facts[1]
    assert report["gross"]["value"] >= 20
    made = correct(one, event_id="gift", kind="gift", note="for mum")
    assert made | {"correction_id": "", "created_at": ""} == {
        "correction_id": "",
        "user_id": "ana",
        "kind": "gift",
        "item_id": items[5],
        "event": None,
        "event_id": "gift",
        "note": "for mum",
        "interactions": 1,
        "created_at": "",
    }
    for worker in workers:
        assert scores(worker, "ana") == without
        assert items[5] not in reasons(worker)
        assert told(worker) == facts, "it is still bought"
        assert sales(worker) == report
        assert len(worker.get("/v1/users/ana/interactions").json()["interactions"]) == 4
        assert listed(worker) == [made]
    assert two.delete(f"/v1/users/ana/corrections/{made['correction_id']}").status_code == 204
    for worker in workers:
        assert scores(worker, "ana") == before
        assert listed(worker) == []


def test_which_events_are_taken_out(client: TestClient) -> None:
    send(
        client,
        event("mug", event_id="v1"),
        event("mug", event_id="v2"),
        event("mug", "purchase", event_id="p1"),
        event("tea", "purchase", event_id="p2"),
        event("mug", "purchase", user="bo", event_id="p3"),
    )
    assert correct(client, item_id="mug", kind="not_me")["interactions"] == 3
    bought = correct(client, item_id="mug", event="Order Completed", kind="gift")
    assert (bought["interactions"], bought["event"]) == (1, "purchase")
    both = correct(client, event_id="p2", item_id="tea", kind="gift")
    assert (both["interactions"], both["item_id"], both["event_id"]) == (1, "tea", "p2")
    plain = client.post("/v1/interactions", json=event("cup")).json()["event_id"]
    assert correct(client, event_id=plain, kind="gift")["item_id"] == "cup", "an id that was given for it"
    path = "/v1/users/ana/corrections"
    for wrong in (
        {"event_id": "nothing"},
        {"event_id": "p3"},  # of somebody else
        {"event_id": "p2", "item_id": "mug"},
        {"event_id": "p2", "event": "view_item"},
        {"item_id": "unknown"},
        {"item_id": "tea", "event": "refund"},
        {"item_id": "tea", "event": "never_seen"},
        {"event_id": plain.upper()},
        {"event_id": "0" * 32},
    ):
        assert_problem(client.post(path, json=wrong | {"kind": "gift"}), 404, "not_found")
    assert_problem(
        client.post("/v1/users/nobody/corrections", json={"item_id": "mug", "kind": "gift"}), 404, "not_found"
    )
    assert_problem(client.get("/v1/users/nobody"), 404, "not_found")
    send(client, event(None, "search", event_id="s"))
    itemless = client.post(path, json={"event_id": "s", "kind": "not_me"})
    assert_problem(itemless, 422, "no_item", "/event_id")
    assert len(listed(client)) == 4
    assert listed(client, "bo") == []


def test_the_same_again_changes_nothing_but_takes_in_what_is_new(client: TestClient) -> None:
    send(client, event(), event("tea"))
    first = correct(client, item_id="mug", kind="gift", note="a")
    assert correct(client, 200, item_id="mug", kind="gift") == first
    assert correct(client, 200, item_id="mug", kind="gift", note="b") == first | {"note": "b"}
    send(client, event())
    assert listed(client)[0]["interactions"] == 1, "what comes later counts"
    assert correct(client, 200, item_id="mug", kind="gift")["interactions"] == 2
    other = correct(client, item_id="mug", kind="not_me")
    assert other["correction_id"] != first["correction_id"]
    assert [row["kind"] for row in listed(client)] == ["gift", "not_me"]


def taste(url: str) -> tuple[list[str], int]:
    """Names of the events that recommenders learn from, and how many events there are."""
    database = Database(url)
    dataset = load_snapshot(database, DEFAULT_WEIGHTS, Progress(lambda _stage, _fraction: None)).dataset
    database.close()
    liked = dataset.of_taste()
    assert (liked.as_of, liked.n_subjects) == (dataset.as_of, dataset.n_subjects)
    return [liked.event_names[code] for code in liked.log.event], len(dataset.with_all_events().log)


def test_an_event_with_two_corrections_counts_when_both_are_taken_back(
    client: TestClient, database_url: str
) -> None:
    send(client, event("mug", "purchase", event_id="p"), event("tea"), event(None, "search"))
    assert taste(database_url) == (["purchase", "view_item"], 3)
    one = correct(client, event_id="p", kind="gift")
    two = correct(client, item_id="mug", kind="not_me")
    assert taste(database_url) == (["view_item"], 3)
    path = "/v1/users/ana/corrections/"
    assert client.delete(path + one["correction_id"]).status_code == 204
    assert taste(database_url) == (["view_item"], 3)
    assert client.delete(path + two["correction_id"]).status_code == 204
    assert taste(database_url) == (["purchase", "view_item"], 3)
    assert_problem(client.delete(path + two["correction_id"]), 404, "not_found")


def test_a_correction_is_taken_back_by_its_own_user_alone(client: TestClient) -> None:
    send(client, event(), event(user="bo"))
    made = correct(client, item_id="mug", kind="gift")
    for user, name in (
        ("bo", made["correction_id"]),
        ("ana", "0"),
        ("ana", "x"),
        ("ana", "9" * 30),
        ("cy", "1"),
    ):
        assert_problem(client.delete(f"/v1/users/{user}/corrections/{name}"), 404, "not_found")
    assert listed(client) == [made]


def test_who_is_not_interested_need_not_be_known(client: TestClient, database_url: str) -> None:
    send(client, event("mug", user="bo"), event("tea", user="bo"), event("cup", user="bo", event_id="c"))
    made = correct(client, user="ana/1", item_id="mug", kind="not_interested")
    assert made["interactions"] == 0
    assert client.get("/v1/users/ana%2F1").status_code == 200
    unknown = client.post("/v1/users/ana/corrections", json={"item_id": "none", "kind": "not_interested"})
    assert_problem(unknown, 404, "not_found")
    assert_problem(client.get("/v1/users/ana"), 404, "not_found")
    correct(client, user="bo", item_id="tea", kind="gift")
    correct(client, user="bo", event_id="c", kind="not_interested")
    database = Database(database_url)
    with database.read() as connection:
        keys = {
            row.external_id: row.id for row in connection.exec_driver_sql("SELECT id, external_id FROM items")
        }
        for user, exclude_seen, wanted in (
            ("ana/1", False, ["mug"]),
            ("ana/1", True, ["mug"]),
            ("bo", False, ["cup"]),
            ("bo", True, ["cup", "tea"]),
            ("nobody", True, []),
        ):
            found = person_of(connection, user, 1).left_out(exclude_seen)
            assert sorted(found) == sorted(keys[name] for name in wanted), (user, exclude_seen)
    database.close()


def test_corrections_are_listed_in_pages(client: TestClient) -> None:
    send(client, *[event(f"i{n}") for n in range(7)])
    for number in range(7):
        correct(client, item_id=f"i{number}", kind="gift")
    found = pages(client, "/v1/users/ana/corrections", "corrections", 3)
    assert [len(page) for page in found] == [3, 3, 1]
    assert [row["item_id"] for page in found for row in page] == [f"i{n}" for n in range(7)]
    assert_problem(client.get("/v1/users/nobody/corrections"), 404, "not_found")
    bad = client.get("/v1/users/ana/corrections", params={"cursor": "x"})
    assert_problem(bad, 422, "bad_cursor", "/query/cursor")


def test_bad_input_is_named(steady: TestClient) -> None:
    path = "/v1/users/ana/corrections"
    mug = {"item_id": "mug", "kind": "gift"}
    for body, code, pointer in (
        ({"kind": "gift"}, "missing", "/item_id"),
        ({"kind": "gift", "event": "purchase"}, "missing", "/item_id"),
        ({"kind": "gift", "item_id": None, "event_id": None}, "missing", "/item_id"),
        ({"item_id": "mug"}, "missing", "/kind"),
        (mug | {"kind": "boring"}, "literal_error", "/kind"),
        (mug | {"kind": None}, "literal_error", "/kind"),
        (mug | {"event": "Bought it"}, "unknown_event", "/event"),
        (mug | {"item_id": ""}, "string_too_short", "/item_id"),
        (mug | {"event_id": "x" * 257}, "string_too_long", "/event_id"),
        (mug | {"note": "x" * 1_001}, "string_too_long", "/note"),
        (mug | {"note": "nul \u0000"}, "string_pattern_mismatch", "/note"),
        (mug | {"note": 5}, "string_type", "/note"),
        (mug | {"reason": "x"}, "extra_forbidden", "/reason"),
    ):
        assert_problem(steady.post(path, json=body), 422, code, pointer)
    assert_problem(steady.post(path, content=b"[1"), 400, "malformed_json")


def test_scopes(client: TestClient) -> None:
    send(client, event())
    admin = client.post("/v1/keys", json={"name": "a", "scopes": ["admin"]}).json()["key"]
    path = "/v1/users/ana/corrections"
    calls: list[tuple[str, str, Any, set[str]]] = [
        ("POST", path, {"item_id": "mug", "kind": "gift"}, {"ingest"}),
        ("GET", path, None, {"ingest", "query"}),
        ("DELETE", f"{path}/none", None, {"ingest"}),
    ]
    for name in ("track", "query", "ingest"):
        made = client.post("/v1/keys", json={"name": name, "scopes": [name]}, headers={"X-API-Key": admin})
        for method, where, body, allowed in calls:
            headers = {"X-API-Key": made.json()["key"]}
            response = client.request(method, where, json=body, headers=headers)
            if name in allowed:
                assert response.status_code in (200, 201, 404), response.text
            else:
                assert_problem(response, 403, "forbidden")


def test_erasure_takes_corrections_along(client: TestClient, database_url: str) -> None:
    send(client, event(), event(user="bo"))
    correct(client, item_id="mug", kind="gift", note="a secret")
    kept = correct(client, user="bo", item_id="mug", kind="not_interested")
    removed = client.delete("/v1/users/ana").json()["removed"]
    assert (removed["interactions"], removed["corrections"]) == (1, 1)
    database = Database(database_url)
    with database.read() as connection:
        for table in ("corrections", "corrected_interactions"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() == 1
    database.close()
    assert listed(client, "bo") == [kept]
    client.put("/v1/users/ana", json={})
    assert listed(client) == []


def test_what_comes_of_a_merged_session_can_be_corrected(client: TestClient, database_url: str) -> None:
    client.post(
        "/v1/interactions", json={"session_id": "s", "item_id": "mug", "event": "view", "event_id": "e"}
    )
    path = "/v1/users/ana/corrections"
    assert_problem(client.post(path, json={"event_id": "e", "kind": "not_me"}), 404, "not_found")
    client.post("/v1/users/ana/merge", json={"session_id": "s"})
    assert correct(client, event_id="e", kind="not_me")["interactions"] == 1
    assert taste(database_url) == ([], 1)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def test_the_same_correction_at_the_same_time_is_one(client: TestClient) -> None:
    send(client, *[event() for _ in range(10)])

    def ask() -> Any:
        return client.post("/v1/users/ana/corrections", json={"item_id": "mug", "kind": "gift"})

    def arrive() -> Any:
        return client.post("/v1/interactions", json=event("tea"))

    def hide(user: str) -> Callable[[], Any]:
        body = {"item_id": "mug", "kind": "not_interested"}
        return lambda: client.post(f"/v1/users/{user}/corrections", json=body)

    answers = at_once(*[ask, arrive, hide("new"), ask, hide("new")] * 3)
    assert {answer.status_code for answer in answers} == {200, 201}, [a.text for a in answers]
    (found,) = listed(client)
    assert found["interactions"] == 10
    assert len(listed(client, "new")) == 1


@pytest.mark.parametrize("corrected", [True, False])
def test_the_next_training_learns_without_them(database_url: str, tmp_path: Path, corrected: bool) -> None:
    artifacts = tmp_path / "artifacts"
    users = [f"u{n:02}" for n in range(30)]
    with serving(database_url, artifacts) as client:
        for number, user in enumerate(users):
            send(
                client,
                *[
                    event(f"i{(number + step) % 6}", user=user, occurred_at=AT.format(1 + step))
                    for step in range(4)
                ],
                event("wrap", "purchase", user, price=2.0, currency="EUR", occurred_at=AT.format(9)),
            )
        for user in users if corrected else []:
            assert correct(client, user=user, item_id="wrap", kind="gift")["interactions"] == 1
    database = Database(database_url)
    run = queue(database)
    trainer(database, artifacts).work_once()
    assert run_row(database, run).state == "succeeded", run_row(database, run).error
    database.close()
    with serving(database_url, artifacts) as client:
        shown = client.get("/v1/users/nobody/recommendations", params={"n": 10}).json()
        assert shown["model_version"]
        sources = {row["item_id"]: row["source"] for row in shown["items"]}
        assert sources["i0"] == "popular"
        alike = client.get("/v1/items/i0/similar", params={"by": "behaviour"}).json()["items"]
        # All bought it, so that all of it is popular, and alike whatever else they looked at.
        assert sources["wrap"] == ("latest" if corrected else "popular")
        assert ("wrap" in {row["item_id"] for row in alike}) is not corrected
        profile = client.get("/v1/users/u00/profile").json()
        assert profile["totals"]["purchases"] == 1
        assert profile["features"]["frequency"]["value"] == 1
        assert profile["totals"]["money"][0]["spent"] == pytest.approx(2.0)
        sold = client.get("/v1/reports/sales", params={"from": "2026-03-01", "to": "2026-04-01"}).json()
        assert sold["totals"]["gross"]["value"] == pytest.approx(60.0)
