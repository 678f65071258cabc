"""Scenarios of a shop with a trained model: what the defaults list, and where it comes from."""

import json

from starlette.testclient import TestClient

from tests.api.conftest import TrainedShop
from tests.api.test_ask import ids, recommended
from tests.api.test_scenarios import BUILT_IN


def test_the_defaults_of_a_trained_shop(open_shop: TestClient, trained: TrainedShop) -> None:
    events = list(trained.shop.interactions())
    buyer = next(event["user_id"] for event in reversed(events) if event["event"] == "purchase")
    known = [item["item_id"] for item in trained.shop.items()]
    for who in ({"user_id": buyer}, {"user_id": "nobody"}, {}):
        for name in BUILT_IN:
            body = recommended(open_shop, scenario=name, item_ids=known[:2], explain=True, **who)
            assert len(body["items"]) == 10, (name, who)
            assert not {*ids(body)} & {*known[:2]}
            sources = {item["source"] for item in body["items"]}
            assert name != "email" or not sources & {"session", "trending", "latest", "pinned"}
    on_page = recommended(open_shop, scenario="product", item_ids=known[:1], user_id=buyer, explain=True)
    told = [
        reason["because"] for reason in (item["reason"] for item in on_page["items"]) if reason["because"]
    ]
    assert told
    named = {(own["item_id"], own["event"]) for because in told for own in because}
    assert named == {(known[0], "view_item")}, "the page's item alone"
    for item_ids in ([], ["nothing"]):
        body = recommended(open_shop, scenario="product", item_ids=item_ids, user_id=buyer)
        assert len(body["items"]) == 10
        assert "No item of item_ids is known: the list is about the person." in body["warnings"]


def test_sources_of_a_trained_shop(open_shop: TestClient, trained: TrainedShop) -> None:
    user = {"user_id": next(iter(trained.shop.users()))["user_id"], "exclude_seen": False, "n": 60}
    for allowed in (["collaborative"], ["content", "latest"], ["popular"], ["trending"]):
        body = recommended(open_shop, **user, sources=allowed, explain=True)
        sources = {item["source"] for item in body["items"]}
        assert sources
        assert sources <= set(allowed), allowed


def test_what_is_bought_together(open_shop: TestClient) -> None:
    rules = open_shop.get("/v1/rules", params={"limit": 1}).json()["rules"]
    antecedent, consequent = rules[0]["antecedent"], rules[0]["consequent"]
    cart = [entry["item_id"] if isinstance(entry, dict) else entry for entry in antecedent]
    goes = consequent["item_id"] if isinstance(consequent, dict) else consequent
    body = recommended(open_shop, scenario="cart", item_ids=cart, explain=True)
    by_id = {item["item_id"]: item for item in body["items"]}
    assert by_id[goes]["source"] == "bought_together"
    assert by_id[goes]["reason"]["text"] == "Often bought together"
    assert body["items"][0]["source"] == "bought_together"
    without = recommended(open_shop, scenario="cart", item_ids=cart, sources=["collaborative", "popular"])
    assert {item["source"] for item in without["items"]} <= {"collaborative", "popular"}
    capped = recommended(open_shop, scenario="cart", item_ids=cart, filter=f"item_id != {json.dumps(goes)}")
    assert goes not in ids(capped)


def test_a_page_about_an_item_that_is_newer_than_the_model(shop: TestClient, trained: TrainedShop) -> None:
    old = next(iter(trained.shop.items()))
    twin = {key: value for key, value in old.items() if key != "item_id"}
    assert shop.put("/v1/items/twin", json=twin).status_code == 200
    body = recommended(shop, scenario="product", item_ids=["twin"], explain=True)
    assert body["items"][0]["item_id"] == old["item_id"]
    assert (body["items"][0]["source"], body["items"][0]["reason"]["text"]) == ("content", "Described alike")


def test_what_was_bought_lately_does_not_come(shop: TestClient, trained: TrainedShop) -> None:
    user = {"user_id": next(iter(trained.shop.users()))["user_id"], "n": 100, "exclude_seen": False}
    first = ids(recommended(shop, **user))[0]
    bought = {"user_id": user["user_id"], "item_id": first, "event": "purchase"}
    assert shop.post("/v1/interactions", json=bought).status_code == 201
    assert first in ids(recommended(shop, **user))
    assert first not in ids(recommended(shop, **user, exclude_bought_days=1))
