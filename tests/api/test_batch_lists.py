"""A batch of lists, scored together, says what each list says by itself."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from app.services.histories import histories_of
from tests.api.conftest import TrainedShop
from tests.api.test_ask import recommended, sent

OPTIONS: list[dict[str, Any]] = [
    {},
    {"n": 30, "exclude_seen": True},
    {"exclude_seen": False, "diversity": 0.4},
    {"sources": ["collaborative", "popular"]},
    {"sources": ["latest"]},
    {"filter": "price <= 50", "fallback": "relax"},
    {"boost": [{"filter": "price <= 30", "weight": 3}], "caps": [{"field": "brand", "at_most": 2}]},
    {"explain": True, "n": 5},
    {"scenario": "home"},
    {"scenario": "nowhere"},
    {"value": {"field": "price", "weight": 0.4}},
    {"minimum_score": 0.2},
    {"item_ids": ["i000001"], "about": "item"},
    {"session": {"events": [{"item_id": "i000002", "event": "view_item"}]}},
]


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """Scores are sums in another order."""
    items = [{**item, "score": pytest.approx(item["score"], rel=1e-4)} for item in answer["items"]]
    for item in items:
        for evidence in item.get("reason", {}).get("because", []):
            evidence["weight"] = pytest.approx(evidence["weight"], rel=1e-3)
    return {"items": items, **{name: answer[name] for name in ("warnings", "scenario", "model_version")}}


def test_each_list_is_what_a_single_call_says(
    shop: TestClient, trained: TrainedShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.together.AT_ONCE", 17)
    names = [user["user_id"] for user in trained.shop.users()][:60]
    # Somebody new, somebody of whom little is known, and somebody whose latest item is newer than the model.
    assert (
        shop.put("/v1/items/newest", json={"title": "A soft toy", "categories": ["Toys"]}).status_code < 300
    )
    sent(shop, "view_item", "i000003", user_id="one-item")
    sent(shop, "view_item", "newest", user_id=names[1])
    sent(shop, "purchase", "i000004", user_id=names[2])
    correction = {"item_id": "i000004", "kind": "gift"}
    assert shop.post(f"/v1/users/{names[2]}/corrections", json=correction).status_code < 300
    people = ["nobody", "one-item", *names]
    requests = [
        {"user_id": name, "n": 10, **OPTIONS[place % len(OPTIONS)]} for place, name in enumerate(people)
    ]
    response = shop.post("/v1/recommendations/batch", json={"requests": requests})
    assert response.status_code == 200, response.text
    found = response.json()["results"]
    for request, answer in zip(requests, found, strict=True):
        assert answer["items"] or request.get("minimum_score")
        assert comparable(recommended(shop, **request)) == comparable(answer), request


def test_models_are_asked_for_many_at_once(
    open_shop: TestClient, trained: TrainedShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = histories_of

    def counted(people: Any, *rest: Any) -> Any:
        asked.append(len(people))
        return real(people, *rest)

    monkeypatch.setattr("app.services.together.histories_of", counted)
    monkeypatch.setattr("app.services.together.AT_ONCE", 30)
    names = [user["user_id"] for user in trained.shop.users()][:70]
    body = {"requests": [{"user_id": name} for name in names]}
    assert open_shop.post("/v1/recommendations/batch", json=body).status_code == 200
    assert asked == [30, 30, 10]


def test_a_change_within_a_page_of_lists_counts_for_each(shop: TestClient) -> None:
    first = recommended(shop, user_id="u000003", n=5)["items"][0]["item_id"]
    assert shop.patch(f"/v1/items/{first}", json={"availability": "out_of_stock"}).status_code == 200
    body = {"requests": [{"user_id": "u000003", "n": 5}] * 3}
    for answer in shop.post("/v1/recommendations/batch", json=body).json()["results"]:
        assert first not in [item["item_id"] for item in answer["items"]]
