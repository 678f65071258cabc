"""Recommendations and rankings, before the first training and after it."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import TrainedShop
from tests.api.serving import assert_problem

NOBODY = "/v1/users/nobody/recommendations"


def recommended(client: TestClient, **request: Any) -> dict[str, Any]:
    response = client.post("/v1/recommendations", json=request)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    items = body["items"]
    assert [item["rank"] for item in items] == list(range(1, len(items) + 1))
    assert len({item["item_id"] for item in items}) == len(items) <= request.get("n", 10)
    return body


def ids(body: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in body["items"]]


def sent(client: TestClient, event: str, item_id: str, **who: Any) -> None:
    body = {"event": event, "item_id": item_id, **who}
    assert client.post("/v1/interactions", json=body).status_code == 201


@pytest.fixture(scope="module")
def histories(trained: TrainedShop) -> dict[str, set[str]]:
    """What each user did something with."""
    found: dict[str, set[str]] = {user["user_id"]: set() for user in trained.shop.users()}
    for event in trained.shop.interactions():
        if "user_id" in event:
            found[event["user_id"]].add(event["item_id"])
    return found


@pytest.fixture(scope="module")
def busy(histories: dict[str, set[str]]) -> str:
    """A user with many different items, but not all."""
    return min(histories, key=lambda name: abs(len(histories[name]) - 15))


def test_an_empty_shop_answers(client: TestClient) -> None:
    body = client.get(NOBODY).json()
    assert (body["items"], body["model_version"]) == ([], None)
    assert len(body["warnings"]) == 2
    for path in ("/v1/popular", "/v1/trending", "/v1/latest"):
        assert client.get(path).json()["items"] == []
    assert client.post("/v1/recommendations", json={}).json()["items"] == []
    ranked = client.post("/v1/rankings", json={"user_id": "u", "item_ids": ["b", "a", "b"]}).json()
    assert [(item["item_id"], item["score"]) for item in ranked["items"]] == [("a", 0), ("b", 0)]
    assert ranked["warnings"]


def test_before_the_first_training(client: TestClient) -> None:
    for number in range(6):
        day = f"2026-01-0{number + 1}T00:00:00Z"
        assert client.put(f"/v1/items/i{number}", json={"available_from": day}).status_code == 200
    for number, count in ((1, 3), (2, 1), (4, 2)):
        for who in range(count):
            sent(client, "view", f"i{number}", user_id=f"u{who}")
    body = recommended(client, user_id="nobody", explain=True, n=5)
    assert ids(body) == ["i1", "i4", "i2", "i5", "i3"], "the popular ones, then the newest"
    assert [item["source"] for item in body["items"]] == ["popular"] * 3 + ["latest"] * 2
    assert all(item["reason"]["text"] for item in body["items"])
    assert body["warnings"][0] != body["warnings"][1]
    assert ids(recommended(client, user_id="u0", exclude_seen=True)) == ["i5", "i3", "i0"]
    assert client.get("/v1/items/i1/similar").json()["items"] == []
    assert client.get("/v1/items/i1/similar").json()["warnings"]
    for path in ("/v1/users/u0/similar", "/v1/segments", "/v1/users/u0/segments", "/v1/segments/kmeans-1"):
        assert_problem(client.get(path), 409, "model_not_ready")
    wanted = {"user_id": "u0", "item_ids": ["i1"]}
    assert_problem(client.post("/v1/predictions/ratings", json=wanted), 409, "model_not_ready")
    assert client.get("/v1/models").json() == {"models": [], "next_cursor": None}
    # What comes later counts in the next answer.
    for _ in range(9):
        sent(client, "purchase", "i0", session_id="s")
    assert ids(recommended(client, n=1)) == ["i0"]


def test_a_known_user(open_shop: TestClient, busy: str, histories: dict[str, set[str]]) -> None:
    seen = histories[busy]
    body = recommended(open_shop, user_id=busy, n=8, exclude_seen=True)
    assert body["model_version"]
    assert body["warnings"] == []
    assert len(body["items"]) == 8
    assert not seen & set(ids(body))
    scores = [item["score"] for item in body["items"]]
    assert scores == sorted(scores, reverse=True)
    short = open_shop.get(f"/v1/users/{busy}/recommendations?n=8&exclude_seen=true").json()
    assert short["items"] == body["items"]
    assert short["recommendation_id"] != body["recommendation_id"]
    others = recommended(open_shop, user_id=busy, n=500, exclude_seen=False)
    assert seen & set(ids(others))


def test_unknown_and_cold_people_get_what_is_popular(open_shop: TestClient) -> None:
    unknown = recommended(open_shop, user_id="nobody")
    assert len(unknown["items"]) == 10
    assert {item["source"] for item in unknown["items"]} <= {"popular", "trending", "latest"}
    assert len(unknown["warnings"]) == 1
    anonymous = recommended(open_shop)
    assert ids(anonymous) == ids(unknown)
    assert anonymous["warnings"] == []
    for session in ({}, {"session_id": "nowhere"}, {"events": [{"item_id": "no such"}]}):
        visit = recommended(open_shop, session=session)
        assert ids(visit) == ids(unknown)
        assert visit["warnings"] == ["Nothing is known of this session: this is not personal."]
    everything = recommended(open_shop, n=500)
    assert len(everything["items"]) > 50


def test_sessions_and_carts(shop: TestClient, open_shop: TestClient) -> None:
    first, second = ids(recommended(shop, n=2))
    events = [{"item_id": first, "event": "view"}, {"item_id": second}]
    given = recommended(shop, session={"events": events}, exclude_seen=True)
    assert not {first, second} & set(ids(given))
    assert {item["source"] for item in given["items"]} - {"popular", "latest", "trending"}
    for event in events:
        sent(shop, event.get("event", "view_item"), event["item_id"], session_id="visit")
    stored = recommended(shop, session={"session_id": "visit"}, exclude_seen=True)
    assert ids(stored) == ids(given)
    cart = recommended(shop, item_ids=[first], exclude_seen=False)
    assert first not in ids(cart)
    assert ids(cart) != ids(recommended(shop, exclude=[first]))
    unknown = recommended(shop, item_ids=["no such"], session={"events": [{"item_id": "nor this"}]})
    assert ids(unknown) == ids(recommended(shop))
    assert ids(recommended(open_shop, session={"session_id": "no such"})) == ids(recommended(open_shop))


def test_a_new_event_counts_in_the_very_next_answer(shop: TestClient) -> None:
    before = recommended(shop, user_id="newcomer", explain=True, exclude_seen=True)
    chosen = before["items"][3]["item_id"]
    sent(shop, "purchase", chosen, user_id="newcomer")
    after = recommended(shop, user_id="newcomer", explain=True, exclude_seen=True)
    assert after["warnings"] == []
    assert chosen not in ids(after)
    personal = [item for item in after["items"] if item["reason"]["because"]]
    assert personal
    for item in personal:
        assert [evidence["item_id"] for evidence in item["reason"]["because"]] == [chosen]
    # And so does its erasure.
    assert shop.delete("/v1/users/newcomer").status_code == 200
    erased = recommended(shop, user_id="newcomer", exclude_seen=True)
    assert ids(erased) == ids(before)


def test_evidence_comes_from_the_persons_own_items(
    open_shop: TestClient, busy: str, histories: dict[str, set[str]]
) -> None:
    seen = histories[busy]
    body = recommended(open_shop, user_id=busy, explain=True, exclude_seen=True, n=20)
    personal = 0
    for item in body["items"]:
        because = item["reason"]["because"]
        assert item["reason"]["text"]
        assert {evidence["item_id"] for evidence in because} <= seen
        assert len(because) <= 3
        assert sum(evidence["weight"] for evidence in because) <= 1.001
        personal += bool(because)
    assert personal >= 5


def test_exclude_category_and_fields(open_shop: TestClient, busy: str) -> None:
    usual = ids(recommended(open_shop, user_id=busy))
    fewer = ids(recommended(open_shop, user_id=busy, exclude=[*usual[:3], "no such"], n=7))
    assert fewer == usual[3:]
    shown = recommended(open_shop, user_id=busy, fields=["title", "categories", "price"], n=500)["items"]
    assert {tuple(item["item"]) for item in shown} == {("title", "categories", "price")}
    path = shown[0]["item"]["categories"][0]
    top = path.split(" > ")[0]
    for category, spelt in ((path, path.replace(" > ", ">")), (top, f" {top} ")):
        under = [
            item["item_id"]
            for item in shown
            if any(f"{own} > ".startswith(f"{category} > ") for own in item["item"]["categories"])
        ]
        body = recommended(open_shop, user_id=busy, category=spelt, n=500)
        assert set(ids(body)) == set(under)
        assert body["warnings"] == []
    nothing = recommended(open_shop, user_id=busy, category="No Such")
    assert nothing["items"] == []
    assert "No Such" in nothing["warnings"][0]
    assert "item" not in recommended(open_shop, user_id=busy)["items"][0]


@pytest.mark.parametrize(
    ("away", "back"),
    [
        ({"availability": "out_of_stock"}, {"availability": "in_stock"}),
        (
            {"available_from": "2019-01-01T00:00:00Z", "expires_at": "2020-01-01T00:00:00Z"},
            {"available_from": None, "expires_at": None},
        ),
        ({"available_from": "2999-01-01T00:00:00Z"}, {"available_from": None}),
        (None, None),
    ],
)
def test_what_cannot_be_bought_is_never_shown(
    shop: TestClient, busy: str, away: dict[str, Any] | None, back: dict[str, Any] | None
) -> None:
    usual = ids(recommended(shop, user_id=busy, n=500))
    gone = usual[0]
    neighbour = usual[1]
    path = f"/v1/items/{gone}"
    whole = shop.get(path).json()
    for name in ("item_id", "created_at", "updated_at"):
        whole.pop(name)

    def shown() -> list[bool]:
        lists = [shop.get(f"/v1/{name}?n=500").json() for name in ("popular", "latest")]
        lists.append(shop.get(f"/v1/items/{neighbour}/similar?n=500").json())
        return [gone in ids(body) for body in (recommended(shop, user_id=busy, n=500), *lists)]

    before = shown()
    assert before[:3] == [True, True, True]
    answered = shop.delete(path) if away is None else shop.patch(path, json=away)
    assert answered.status_code in (200, 204)
    assert shown() == [False] * 4
    assert gone not in shop.get("/v1/trending?n=500").text
    again = shop.put(path, json=whole) if back is None else shop.patch(path, json=back)
    assert again.status_code == 200
    assert shown() == before
    assert ids(recommended(shop, user_id=busy, n=500)) == usual


def test_rankings(open_shop: TestClient, busy: str) -> None:
    best = ids(recommended(open_shop, user_id=busy, n=12, exclude_seen=True))
    wanted = [*reversed(best), "no such", best[0]]
    body = open_shop.post("/v1/rankings", json={"user_id": busy, "item_ids": wanted}).json()
    assert ids(body) == [*best, "no such"]
    assert body["items"][-1]["score"] == 0
    assert [item["rank"] for item in body["items"]] == list(range(1, 14))
    session = {"session": {"events": [{"item_id": best[0]}]}, "item_ids": best}
    assert ids(open_shop.post("/v1/rankings", json=session).json()) != best
    cold = open_shop.post("/v1/rankings", json={"user_id": "nobody", "item_ids": best})
    assert len(cold.json()["items"]) == 12


def test_a_batch_answers_in_order_what_single_requests_get(open_shop: TestClient, busy: str) -> None:
    requests: list[dict[str, Any]] = [
        {"user_id": busy},
        {"user_id": "nobody", "n": 3},
        {"n": 2, "fields": ["title"]},
    ]
    results = open_shop.post("/v1/recommendations/batch", json={"requests": requests}).json()["results"]
    assert [result["items"] for result in results] == [
        recommended(open_shop, **request)["items"] for request in requests
    ]
    assert len({result["recommendation_id"] for result in results}) == 3


def test_the_same_request_gets_the_same_answer(open_shop: TestClient, busy: str) -> None:
    requests: list[dict[str, Any]] = [
        {"user_id": busy, "n": 500, "explain": True},
        {"n": 500},
        {"item_ids": ["i000001"]},
    ]
    for request in requests:
        first, second = (recommended(open_shop, **request)["items"] for _ in range(2))
        assert first == second
