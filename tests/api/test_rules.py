"""Association rules and what is bought together, over HTTP."""

import csv
from collections.abc import Iterator
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.simulation.catalogue import item_id
from tests.api.conftest import ENGINES, TrainedShop
from tests.api.handmade import Handmade, handmade
from tests.api.serving import assert_problem
from tests.api.test_ask import ids, recommended, sent

GOODS = ("bread", "butter", "jam", "tea", "milk", "honey", "rice", "salt", "oil", "nuts", "soap", "ink")
NUMBERS = ("support", "confidence", "lift")


def orders() -> list[set[str]]:
    """Who buys tea buys milk; who buys bread and butter buys jam; all else is chance."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(500):
        cart = {good for good in GOODS if rng.random() < (0.3 if good in ("bread", "butter") else 0.12)}
        if "tea" in cart and rng.random() < 0.85:
            cart.add("milk")
        if {"bread", "butter"} <= cart and rng.random() < 0.9:
            cart.add("jam")
        found.append(cart or {"ink"})
    return found


def lines(carts: list[set[str]]) -> list[dict[str, Any]]:
    """The carts as purchases: eight a day, by sixty customers in turn."""
    return [
        {
            "user_id": f"u{number % 60}",
            "item_id": good,
            "event": "purchase",
            "order_id": f"o{number}",
            "price": 2,
            "occurred_at": f"{date(2026, 8, 1) + timedelta(days=number // 8)}T{number % 8 + 9:02}:00:00Z",
        }
        for number, cart in enumerate(carts)
        for good in sorted(cart)
    ]


def goods() -> list[dict[str, Any]]:
    return [
        {"item_id": good, "title": f"Fine {good}", "categories": ["Food" if place < 10 else "Other"]}
        for place, good in enumerate(GOODS)
    ]


@pytest.fixture(scope="module", params=ENGINES)
def grocer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Handmade]:
    folder = tmp_path_factory.mktemp("grocer")
    with handmade(request, request.param, folder, goods(), lines(orders())) as made:
        yield made


@pytest.fixture(scope="module")
def open_grocer(grocer: Handmade, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """For tests that change nothing."""
    with grocer.opened(tmp_path_factory.mktemp("open_grocer")) as client:
        yield client


@pytest.fixture
def own_grocer(grocer: Handmade, tmp_path: Path) -> Iterator[TestClient]:
    with grocer.opened(tmp_path) as client:
        yield client


def ruled(client: TestClient, **params: Any) -> dict[str, Any]:
    response = client.get("/v1/rules", params=params)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def together(client: TestClient, *cart: str, **more: Any) -> dict[str, Any]:
    response = client.post("/v1/bought-together", json={"item_ids": cart, **more})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    items = body["items"]
    assert [item["rank"] for item in items] == list(range(1, len(items) + 1))
    assert len({item["item_id"] for item in items}) == len(items) <= more.get("n", 10)
    assert not {item["item_id"] for item in items} & set(cart)
    for item in items:
        if item["source"] == "bought_together":
            assert set(item["because"]) <= set(cart)
            assert item["because"]
            assert all(item[name] > 0 for name in NUMBERS)
            assert item["score"] == pytest.approx(item["confidence"] * item["lift"], rel=1e-5)
        else:
            assert item["because"] == []
            assert [item[name] for name in NUMBERS] == [None] * 3
    return body


def names(rule: dict[str, Any]) -> tuple[tuple[str, ...], str]:
    return tuple(item["item_id"] for item in rule["antecedent"]), rule["consequent"]["item_id"]


def test_rules_say_what_the_orders_hold(open_grocer: TestClient) -> None:
    body = ruled(open_grocer, limit=1000)
    assert body["missing"] is None
    assert body["n_rules"] == body["n_matching"] == len(body["rules"]) >= 4
    assert {(("tea",), "milk"), (("bread", "butter"), "jam")} <= {names(rule) for rule in body["rules"]}
    carts = orders()
    for rule in body["rules"]:
        antecedent, consequent = names(rule)
        left = sum(set(antecedent) <= cart for cart in carts)
        right = sum(consequent in cart for cart in carts)
        both = sum({*antecedent, consequent} <= cart for cart in carts)
        n = len(carts)
        assert rule["count"] == both
        assert rule["support"] == pytest.approx(both / n)
        assert rule["confidence"] == pytest.approx(both / left)
        assert rule["lift"] == pytest.approx(both * n / left / right)
        assert rule["leverage"] == pytest.approx(both / n - left * right / n**2)
        conviction = None if both == left else pytest.approx((1 - right / n) / (1 - both / left))
        assert rule["conviction"] == conviction
        assert rule["consequent"]["title"] == f"Fine {consequent}"
        assert [item["title"] for item in rule["antecedent"]] == [f"Fine {name}" for name in antecedent]
    used = body["thresholds"]
    assert (used["n_baskets"], used["min_count"], used["min_support_from"]) == (500, 5, "found")
    assert used["min_support"] == 0.01
    assert min(rule["count"] for rule in body["rules"]) >= 5
    assert min(rule["confidence"] for rule in body["rules"]) >= used["min_confidence"] > 0


def test_rules_are_chosen_and_ordered(open_grocer: TestClient) -> None:
    whole = ruled(open_grocer, limit=1000)["rules"]
    strength = [rule["confidence"] * rule["lift"] for rule in whole]
    assert strength == sorted(strength, reverse=True)
    for order in ("lift", "confidence", "support"):
        values = [rule[order] for rule in ruled(open_grocer, order=order, limit=1000)["rules"]]
        assert values == sorted((rule[order] for rule in whole), reverse=True)
        # Equal ones keep their order: so pages fit together.
        cursor: str | None = None
        paged: list[dict[str, Any]] = []
        while cursor is not None or not paged:
            page = ruled(open_grocer, order=order, limit=3, **({"cursor": cursor} if cursor else {}))
            paged += page["rules"]
            cursor = page["next_cursor"]
        assert paged == ruled(open_grocer, order=order, limit=1000)["rules"]
    for name in NUMBERS:
        bound = sorted(rule[name] for rule in whole)[len(whole) // 2]
        found = ruled(open_grocer, **{f"min_{name}": bound})
        assert [names(rule) for rule in found["rules"]] == [
            names(rule) for rule in whole if rule[name] >= bound
        ]
        assert 0 < found["n_matching"] < found["n_rules"] == len(whole)
    sides = {
        side: [names(rule) for rule in ruled(open_grocer, item_id="jam", side=side)["rules"]]
        for side in ("any", "antecedent", "consequent")
    }
    every = [names(rule) for rule in whole]
    assert sides["antecedent"] == [rule for rule in every if "jam" in rule[0]] != []
    assert sides["consequent"] == [rule for rule in every if rule[1] == "jam"] != []
    assert sides["any"] == [rule for rule in every if "jam" in (*rule[0], rule[1])]
    assert ruled(open_grocer, min_lift=1e9)["rules"] == []


def test_items_without_rules(own_grocer: TestClient) -> None:
    assert_problem(own_grocer.get("/v1/rules?item_id=no-such"), 404, "not_found")
    assert own_grocer.put("/v1/items/brand-new", json={}).status_code == 200
    body = ruled(own_grocer, item_id="brand-new")
    assert (body["rules"], body["n_matching"], body["missing"]) == ([], 0, None)
    assert body["n_rules"] > 0
    assert "milk" in str(ruled(own_grocer, item_id="tea")["rules"])
    # A deleted item is in no list from the next answer on.
    assert own_grocer.delete("/v1/items/milk").status_code == 204
    assert_problem(own_grocer.get("/v1/rules?item_id=milk"), 404, "not_found")
    assert "milk" not in str(ruled(own_grocer)["rules"])


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("min_support=-0.1", "/query/min_support", "greater_than_equal"),
        ("min_support=1.1", "/query/min_support", "less_than_equal"),
        ("min_confidence=2", "/query/min_confidence", "less_than_equal"),
        ("min_confidence=x", "/query/min_confidence", "float_parsing"),
        ("min_lift=-1", "/query/min_lift", "greater_than_equal"),
        ("min_lift=inf", "/query/min_lift", "finite_number"),
        ("min_lift=nan", "/query/min_lift", "finite_number"),
        ("side=left", "/query/side", "literal_error"),
        ("order=best", "/query/order", "literal_error"),
        ("limit=0", "/query/limit", "greater_than_equal"),
        ("limit=1001", "/query/limit", "less_than_equal"),
        ("format=xml", "/query/format", "literal_error"),
        ("cursor=x", "/query/cursor", "bad_cursor"),
        ("cursor=WyJ4IiwtMV0", "/query/cursor", "bad_cursor"),
        ("item_id=", "/query/item_id", "string_too_short"),
    ],
)
def test_bad_questions_are_refused(open_grocer: TestClient, query: str, pointer: str, code: str) -> None:
    assert_problem(open_grocer.get(f"/v1/rules?{query}"), 422, code, pointer)


def test_a_page_of_another_training_is_refused(open_grocer: TestClient) -> None:
    assert_problem(open_grocer.get("/v1/rules?cursor=WyJ4IiwzXQ"), 409, "conflict")


def test_rules_as_a_table(open_grocer: TestClient) -> None:
    response = open_grocer.get("/v1/rules?format=csv&order=lift")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    table = list(csv.DictReader(StringIO(response.text)))
    whole = ruled(open_grocer, order="lift", limit=1000)["rules"]
    assert len(table) == len(whole)
    for row, rule in zip(table, whole, strict=True):
        antecedent = [row[name] for name in row if name.startswith("antecedent_") and "title" not in name]
        assert (tuple(filter(None, antecedent)), row["consequent"]) == names(rule)
        assert row["consequent_title"] == rule["consequent"]["title"]
        assert float(row["lift"]) == rule["lift"]
        assert row["conviction"] == ("" if rule["conviction"] is None else str(rule["conviction"]))
    short = open_grocer.get("/v1/rules?format=csv&order=lift&limit=2").text
    assert short.splitlines() == response.text.splitlines()[:3]


def test_a_cart_is_asked_about_as_a_set(open_grocer: TestClient) -> None:
    body = together(open_grocer, "butter", "bread", "bread", n=3)
    first = body["items"][0]
    assert (first["item_id"], first["because"]) == ("jam", ["bread", "butter"])
    alone = [
        item
        for single in ("bread", "butter")
        for item in together(open_grocer, single, n=10)["items"]
        if item["item_id"] == "jam" and item["source"] == "bought_together"
    ]
    assert all(first["score"] > 1.5 * item["score"] for item in alone)
    (rule,) = [rule for rule in ruled(open_grocer)["rules"] if names(rule) == (("bread", "butter"), "jam")]
    assert [first[name] for name in NUMBERS] == [rule[name] for name in NUMBERS]
    # Two carts in one have both partners.
    both = together(open_grocer, "bread", "butter", "tea", n=2)
    assert set(ids(both)) == {"jam", "milk"}
    assert together(open_grocer, "tea", "butter", "bread", n=2)["items"] == both["items"]
    one = open_grocer.get("/v1/items/tea/bought-together?n=4").json()
    assert one["items"] == together(open_grocer, "tea", n=4)["items"]
    assert (one["items"][0]["item_id"], one["items"][0]["because"]) == ("milk", ["tea"])
    assert one["model_version"] == ruled(open_grocer)["model_version"]


def test_where_rules_have_less_the_rest_is_alike_or_popular(open_grocer: TestClient) -> None:
    body = together(open_grocer, "tea", n=500)
    assert len(body["items"]) == len(GOODS) - 1
    sources = [item["source"] for item in body["items"]]
    order = ["bought_together", "similar", "content", "popular"]
    assert sources == sorted(sources, key=order.index)
    assert {"bought_together", "similar"} <= set(sources)
    assert len(body["warnings"]) == 1
    few = sources.count("bought_together")
    assert together(open_grocer, "tea", n=few)["warnings"] == []
    assert together(open_grocer, "tea", n=few + 1)["items"] == body["items"][: few + 1]


def test_what_cannot_be_bought_is_gone_at_once(own_grocer: TestClient) -> None:
    gone = (
        {"availability": "out_of_stock"},
        {"expires_at": "2026-01-01T00:00:00Z"},
        {"available_from": "2099-01-01T00:00:00Z"},
    )
    before = together(own_grocer, "tea", n=3)
    assert ids(before)[0] == "milk"
    for fields in gone:
        assert own_grocer.put("/v1/items/milk", json=fields).status_code == 200
        for body in (
            together(own_grocer, "tea", n=3),
            own_grocer.get("/v1/items/tea/bought-together?n=3").json(),
        ):
            assert ids(body)[:2] == ids(before)[1:]
            assert len(body["items"]) == 3, "others take its place"
        assert own_grocer.put("/v1/items/milk", json={}).status_code == 200
        assert ids(together(own_grocer, "tea", n=3)) == ids(before)
    assert own_grocer.delete("/v1/items/milk").status_code == 204
    assert ids(together(own_grocer, "tea", n=3))[:2] == ids(before)[1:]
    # In the cart it still tells what goes with it.
    assert "tea" in ids(together(own_grocer, "milk", n=3))
    assert_problem(own_grocer.get("/v1/items/milk/bought-together"), 404, "not_found")


def test_unknown_and_new_items_in_the_cart(own_grocer: TestClient) -> None:
    assert_problem(own_grocer.get("/v1/items/no-such/bought-together"), 404, "not_found")
    body = together(own_grocer, "no-such", "tea", n=1)
    assert ids(body) == ["milk"]
    assert "no-such" in body["warnings"][0]
    nothing = together(own_grocer, "no-such", "nor-this", n=4)
    assert {item["source"] for item in nothing["items"]} == {"popular"}
    assert len(nothing["items"]) == 4
    twin = {"title": "Fine honey", "categories": ["Food"]}
    assert own_grocer.put("/v1/items/new-honey", json=twin).status_code == 200
    new = own_grocer.get("/v1/items/new-honey/bought-together?n=3").json()
    assert (new["items"][0]["item_id"], new["items"][0]["source"]) == ("honey", "content")
    assert new["warnings"]
    assert "new-honey" not in ids(together(own_grocer, "honey", n=500))


def test_what_the_user_bought_is_left_out(own_grocer: TestClient) -> None:
    stranger = together(own_grocer, "tea", n=1, user_id="fan")
    assert ids(stranger) == ["milk"]
    assert len(stranger["warnings"]) == 1
    for event in ("view_item", "purchase"):
        sent(own_grocer, event, "milk", user_id="fan")
        known = together(own_grocer, "tea", n=500, user_id="fan")
        assert ("milk" in ids(known)) is (event == "view_item")
        assert stranger["warnings"][0] not in known["warnings"]
    assert ids(together(own_grocer, "tea", n=1)) == ["milk"], "of others nothing changes"


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/item_ids", "missing"),
        ({"item_ids": []}, "/item_ids", "too_short"),
        ({"item_ids": ["tea"] * 201}, "/item_ids", "too_long"),
        ({"item_ids": ["tea", ""]}, "/item_ids/1", "string_too_short"),
        ({"item_ids": [7]}, "/item_ids/0", "string_type"),
        ({"item_ids": ["tea"], "n": 0}, "/n", "greater_than_equal"),
        ({"item_ids": ["tea"], "n": 501}, "/n", "less_than_equal"),
        ({"item_ids": ["tea"], "basket": 1}, "/basket", "extra_forbidden"),
    ],
)
def test_bad_carts_are_refused(open_grocer: TestClient, body: Any, pointer: str, code: str) -> None:
    assert_problem(open_grocer.post("/v1/bought-together", json=body), 422, code, pointer)


def test_the_largest_cart_is_answered(open_grocer: TestClient) -> None:
    cart = ["tea", *(f"no-such-{number}" for number in range(199))]
    assert ids(together(open_grocer, *cart, n=1)) == ["milk"]
    assert open_grocer.post("/v1/bought-together", content=b"{").status_code == 400


def test_before_the_first_training(client: TestClient) -> None:
    assert_problem(client.get("/v1/rules"), 409, "model_not_ready")
    assert_problem(client.get("/v1/rules?format=csv"), 409, "model_not_ready")
    empty = together(client, "a")
    assert (empty["items"], empty["model_version"], len(empty["warnings"])) == ([], None, 2)
    for number, count in enumerate((3, 5, 4)):
        for who in range(count):
            sent(client, "purchase", f"i{number}", user_id=f"u{who}")
    body = together(client, "i1")
    assert (ids(body), [item["source"] for item in body["items"]]) == (["i2", "i0"], ["popular"] * 2)
    assert len(body["warnings"]) == 1
    assert client.get("/v1/items/i1/bought-together").json()["items"] == body["items"]
    assert ids(together(client, "i1", user_id="u3")) == ["i0"]


@pytest.mark.parametrize("world", ["no purchases", "one item each", "one day"])
@pytest.mark.parametrize("engine", ENGINES)
def test_thin_data_say_what_they_lack(
    request: pytest.FixtureRequest, engine: str, world: str, tmp_path: Path
) -> None:
    events = lines(
        [{GOODS[number % 12]} for number in range(60)] if world == "one item each" else orders()[:60]
    )
    for event in events:
        if world == "no purchases":
            event["event"] = "view_item"
        elif world == "one day":
            event["occurred_at"] = f"2026-08-01{str(event['occurred_at'])[10:]}"
    with handmade(request, engine, tmp_path, goods(), events) as made, made.opened(tmp_path) as client:
        body = ruled(client)
        if world == "one day":
            assert body["missing"] is None
            assert body["thresholds"]["n_baskets"] == 60
        else:
            assert (body["rules"], body["n_rules"], body["thresholds"]) == ([], 0, None)
            assert "need" in body["missing"]
            assert ruled(client, item_id="tea")["rules"] == []
            assert client.get("/v1/rules?format=csv").text.startswith("antecedent_1,consequent,")
            told = together(client, "tea", n=5)
            assert body["missing"] in told["warnings"][0]
            assert "bought_together" not in {item["source"] for item in told["items"]}
        assert len(together(client, "tea", n=5)["items"]) == 5
        for path in ("/v1/forecasts/sales", "/v1/forecasts/demand", "/v1/items/tea/forecast"):
            for by in ("day", "week"):
                answered = client.get(path, params={"by": by})
                assert answered.status_code == 200, answered.text
                assert "needs" in answered.json()["missing"], (path, by)
                assert client.get(path, params={"by": by, "format": "csv"}).status_code == 200


def test_the_simulated_companions_are_found(open_shop: TestClient, trained: TrainedShop) -> None:
    """Of an item's companion that can be bought; by chance one in seventy would come first."""
    pairs = trained.shop.truth.complements.reshape(-1, 2)
    partner = {int(one): int(other) for pair in pairs for one, other in (pair, pair[::-1])}
    available = set(ids(recommended(open_shop, n=500)))
    places = []
    for item, other in partner.items():
        if item_id(other) in available:
            found = ids(open_shop.get(f"/v1/items/{item_id(item)}/bought-together?n=10").json())
            places.append(found.index(item_id(other)) if item_id(other) in found else 99)
    assert len(places) >= 10
    assert np.mean(np.array(places) == 0) >= 0.8, "precision at 1"
    assert np.mean(np.array(places) < 3) >= 0.9, "hit rate at 3"


def test_keys_of_a_browser_may_ask_for_carts_only(own_grocer: TestClient) -> None:
    secrets: dict[str, str] = {}
    for one in ("admin", "track", "query"):
        made = own_grocer.post(
            "/v1/keys", json={"name": one, "scopes": [one]}, headers={"X-API-Key": secrets.get("admin", "")}
        )
        assert made.status_code == 201, made.text
        secrets[one] = made.json()["key"]
    for one, allowed in (("track", 403), ("query", 200)):
        headers = {"X-API-Key": secrets[one]}
        assert own_grocer.get("/v1/items/tea/bought-together", headers=headers).status_code == 200
        cart = {"item_ids": ["tea"]}
        assert own_grocer.post("/v1/bought-together", json=cart, headers=headers).status_code == 200
        for path in ("/v1/rules", "/v1/forecasts/sales", "/v1/forecasts/demand", "/v1/items/tea/forecast"):
            assert own_grocer.get(path, headers=headers).status_code == allowed
