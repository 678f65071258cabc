"""Many writers at once: nothing is lost, nothing is stored twice, nobody is refused."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.api import edge
from tests.api.serving import pages

WRITERS = 6


def _at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Answers of calls made at the same time, all of them good."""
    with ThreadPoolExecutor(len(calls)) as pool:
        answers = [future.result() for future in [pool.submit(call) for call in calls]]
    assert {answer.status_code for answer in answers} <= {200, 201, 202, 204}, [a.text for a in answers]
    return [answer.json() if answer.content else None for answer in answers]


def test_the_same_ids_from_many_writers(client: TestClient) -> None:
    def sender(number: int) -> Callable[[], Any]:
        turned = range(200) if number % 2 else range(199, -1, -1)  # in each other's way
        events = [
            {
                "user_id": f"u{n % 50}",
                "session_id": f"s{n % 20}",
                "item_id": f"i{n % 70}",
                "event": f"own_{n % 9}",
                "event_id": f"e{n}",
            }
            for n in turned
        ]
        return lambda: client.post("/v1/interactions/batch", json={"interactions": events})

    results = _at_once(*map(sender, range(WRITERS)))
    assert sum(result["accepted"] for result in results) == 200
    assert sum(result["duplicate"] for result in results) == 200 * (WRITERS - 1)
    assert sum(result["rejected"] for result in results) == 0
    for kind, expected in (("users", 50), ("items", 70)):
        names = [row[f"{kind[:-1]}_id"] for page in pages(client, f"/v1/{kind}", kind, 30) for row in page]
        assert len(names) == len(set(names)) == expected


def test_upserts_and_patches_of_the_same_things(client: TestClient) -> None:
    for kind in ("users", "items"):
        names = [f"x{n}" for n in range(40)]
        entries = [{f"{kind[:-1]}_id": name, "attributes": {"a": 1}} for name in names]
        client.post(f"/v1/{kind}/batch", json={kind: entries})

        def upsert(turned: bool, kind: str = kind, entries: list[Any] = entries) -> Any:
            return client.post(f"/v1/{kind}/batch", json={kind: entries[::-1] if turned else entries})

        def patch(name: str, field: str, kind: str = kind) -> Any:
            return client.patch(f"/v1/{kind}/{name}", json={"attributes": {field: True}})

        calls: list[Callable[[], Any]] = []
        for number in range(5):
            calls += [
                lambda: upsert(True),
                lambda: upsert(False),
                lambda number=number: patch(f"x{number}", "b"),  # type: ignore[misc]
                lambda number=number: patch(f"x{39 - number}", "c"),  # type: ignore[misc]
            ]
        _at_once(*calls)
        assert len(client.get(f"/v1/{kind}").json()[kind]) == 40


def test_patches_of_one_user_do_not_overwrite_each_other(client: TestClient) -> None:
    client.put("/v1/users/ana", json={})

    def patch(number: int) -> Callable[[], Any]:
        return lambda: client.patch("/v1/users/ana", json={"attributes": {f"a{number}": number}})

    _at_once(*map(patch, range(12)))
    assert client.get("/v1/users/ana").json()["attributes"] == {f"a{n}": n for n in range(12)}


def test_one_order_sent_many_times_at_once(client: TestClient) -> None:
    items = [{"item_id": f"i{n}", "price": 1.0} for n in range(20)]
    order = {"order_id": "o", "user_id": "ana", "items": items}
    results = _at_once(*[lambda: client.post("/v1/orders", json=order)] * WRITERS)
    assert sorted(result["lines"] for result in results) == [0] * (WRITERS - 1) + [20]
    assert sorted(result["status"] for result in results) == ["accepted"] + ["duplicate"] * (WRITERS - 1)
    assert len(client.get("/v1/users/ana/interactions").json()["interactions"]) == 20


def test_runs_asked_for_at_once_are_one(client: TestClient) -> None:
    results = _at_once(*[lambda: client.post("/v1/training-runs")] * WRITERS)
    assert len({result["run_id"] for result in results}) == 1
    assert len(client.get("/v1/training-runs").json()["training_runs"]) == 1


@pytest.fixture
def only_one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transactions that collide do not begin anew: it is seen whether they do."""
    monkeypatch.setattr(edge, "_ATTEMPTS", 1)


@pytest.mark.usefixtures("only_one_attempt")
def test_erasure_while_events_arrive(client: TestClient) -> None:
    for name in ("ana", "bo"):
        client.put(f"/v1/users/{name}", json={})

    def send() -> Any:
        events = [
            {"user_id": name, "session_id": "s", "item_id": "mug", "event": "view"} for name in ("ana", "bo")
        ]
        return client.post("/v1/interactions/batch", json={"interactions": events * 20})

    def erase() -> Any:
        client.put("/v1/users/ana", json={})
        response = client.delete("/v1/users/ana")
        return client.get("/health/live") if response.status_code == 404 else response

    _at_once(*[send, erase] * 6)
    assert len(pages(client, "/v1/users/bo/interactions", "interactions", 1000)[0]) == 120


@pytest.mark.usefixtures("only_one_attempt")
def test_sessions_are_merged_and_erased_while_events_arrive(client: TestClient) -> None:
    def send() -> Any:
        events = [{"session_id": name, "item_id": "mug", "event": "view"} for name in ("s2", "s1", "s3")]
        return client.post("/v1/interactions/batch", json={"interactions": events * 20})

    def merge(user: str, session: str) -> Callable[[], Any]:
        return lambda: client.post(f"/v1/users/{user}/merge", json={"session_id": session})

    def erase(path: str) -> Callable[[], Any]:
        def erasing() -> Any:
            response = client.delete(path)
            return client.get("/health/live") if response.status_code == 404 else response

        return erasing

    send()
    _at_once(*[send, merge("ana", "s1"), erase("/v1/sessions/s2")] * 4)
    for _ in range(6):
        merge("bo", "s3")()
        _at_once(*[send] * 4, erase("/v1/users/bo"), *[send] * 4)
    found = pages(client, "/v1/users/ana/interactions", "interactions", 1000)
    assert sum(map(len, found)) == 20 * (1 + 4 + 6 * 8)


@pytest.mark.usefixtures("only_one_attempt")
def test_users_with_and_without_a_beginning_at_once(client: TestClient) -> None:
    def put(number: int) -> Callable[[], Any]:
        def entry(name: int) -> dict[str, Any]:
            given = {"created_at": "2026-01-01T00:00:00Z"} if (name + number) % 2 else {}
            return {"user_id": f"u{name}"} | given

        return lambda: client.post("/v1/users/batch", json={"users": [entry(n) for n in range(60)]})

    _at_once(*[put(number) for number in range(WRITERS)])
    assert client.get("/v1/users/u0").json()["created_at"] == "2026-01-01T00:00:00.000Z"


@pytest.mark.usefixtures("only_one_attempt")
def test_the_same_correction_many_times_at_once(client: TestClient) -> None:
    client.put("/v1/items/mug", json={})

    def correct() -> Any:
        correction = {"item_id": "mug", "kind": "not_interested"}
        return client.post("/v1/users/ana/corrections", json=correction)

    assert len({answer["correction_id"] for answer in _at_once(*[correct] * WRITERS)}) == 1
