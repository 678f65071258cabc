"""Lists that are moved by what items are worth to the shop, with the effect, over HTTP."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tests.api.conftest import TrainedShop
from tests.api.serving import assert_problem
from tests.api.test_ask import ids, recommended, sent
from tests.api.test_filters import put
from tests.api.test_filters_learned import groups
from tests.api.test_scenarios import saved

PATH = "/v1/recommendations"


def by(field: str, weight: float) -> dict[str, Any]:
    return {"field": field, "weight": weight}


@pytest.fixture
def shelf(client: TestClient) -> TestClient:
    """Six items, the later the more popular and the less they bring: margins 6, 5, … 1; one has no cost."""
    for number in range(6):
        put(
            client,
            f"i{number}",
            price=10.0,
            cost=4.0 + number,
            currency="EUR",
            brand="AB"[number % 2],
            attributes={"stock": number, "colour": "red"},
            available_from=f"2026-01-0{number + 1}T00:00:00Z",
        )
        for who in range(number + 3):
            sent(client, "view", f"i{number}", user_id=f"u{who}")
    put(client, "plain", price=99.0, available_from="2025-01-01T00:00:00Z")
    sent(client, "view", "plain", user_id="u1")
    return client


def test_what_brings_more_comes_first_and_the_effect_is_told(shelf: TestClient) -> None:
    plain = recommended(shelf, n=3)
    assert ids(plain) == ["i5", "i4", "i3"]
    assert "effects" not in plain
    same = recommended(shelf, n=3, value=by("margin", 0))
    assert same["items"] == plain["items"]
    told = {"field": "margin", "mean": 2.0, "mean_without": 2.0, "relevance": 1.0}
    assert same["effects"] == {"value": told}
    # Views 8 7 6 5 4 3 of margins 1 … 6, percentiles 1/12 … 11/12: times 1/6 1/2 5/6 7/6 3/2 11/6.
    body = recommended(shelf, n=3, value=by("margin", 1))
    assert ids(body) == ["i1", "i2", "i0"]
    assert [item["score"] for item in body["items"]] == pytest.approx([6, 5 * 7 / 6, 5.5])
    told |= {"mean": 5.0, "relevance": pytest.approx((4 + 5 + 3) / (8 + 7 + 6), abs=1e-6)}
    assert body["effects"] == {"value": told}
    # The item without a cost counts as the median: its one view stays one view.
    assert recommended(shelf, value=by("margin", 1))["items"][-1]["score"] == 1.0


def test_what_is_new_moves_too(shelf: TestClient) -> None:
    newest = {"sources": ["latest"], "n": 4}
    assert ids(recommended(shelf, **newest)) == ["i5", "i4", "i3", "i2"]
    assert ids(recommended(shelf, **newest, value=by("margin", 0))) == ["i5", "i4", "i3", "i2"]
    body = recommended(shelf, **newest, value=by("margin", 1))
    # 1/1 … 1/6 times 1/6 1/2 5/6 7/6 3/2 11/6
    assert ids(body) == ["i0", "i1", "i2", "i3"]
    assert {item["score"] for item in body["items"]} == {0}
    assert body["effects"]["value"] == {
        "field": "margin",
        "mean": 4.5,
        "mean_without": 2.5,
        "relevance": None,
    }


def test_money_of_another_currency_is_not_compared(shelf: TestClient) -> None:
    put(shelf, "yen", price=9000.0, cost=100.0, currency="JPY")
    for who in range(5):
        sent(shelf, "view", "yen", user_id=f"u{who}")
    body = recommended(shelf, value=by("margin", 1), n=20)
    score = {item["item_id"]: item["score"] for item in body["items"]}
    assert (score["yen"], score["i0"]) == (5.0, pytest.approx(5.5)), "neither moved nor counted"
    assert body["effects"]["value"]["mean"] == 3.5
    # What names no currency counts as being in the shop's own: 99 is the highest price.
    body = recommended(shelf, value=by("price", 1), n=20)
    score = {item["item_id"]: item["score"] for item in body["items"]}
    assert score["plain"] == pytest.approx(1 + 6 / 7)
    assert score["yen"] == 5.0


def test_changes_and_availability_count_at_once(shelf: TestClient) -> None:
    wanted = {"value": by("attributes.stock", 0.5), "n": 1}
    assert recommended(shelf, **wanted)["items"][0]["score"] == pytest.approx(8 * (1 + 0.5 * 5 / 6))
    shelf.patch("/v1/items/i0", json={"availability": "out_of_stock"})
    assert recommended(shelf, **wanted)["items"][0]["score"] == pytest.approx(8 * (1 + 0.5 * 4 / 5))
    shelf.patch("/v1/items/i5", json={"attributes": {"stock": -1}})
    body = recommended(shelf, **wanted)
    assert ids(body) == ["i4"]
    assert body["items"][0]["score"] == pytest.approx(7 * 1.4)


def test_a_scenario_has_it_and_a_request_overrides(shelf: TestClient) -> None:
    saved(shelf, "rich", 201, n=3, value=by("margin", 1))
    assert ids(recommended(shelf, scenario="rich")) == ["i1", "i2", "i0"]
    url = "/v1/users/nobody/recommendations"
    assert shelf.get(url, params={"scenario": "rich"}).json()["effects"]["value"]["mean"] == 5.0
    off = recommended(shelf, scenario="rich", value=None)
    assert ids(off) == ["i5", "i4", "i3"]
    assert "effects" not in off
    other = recommended(shelf, scenario="rich", value=by("attributes.stock", 0.2))
    assert other["effects"]["value"] == {
        "field": "attributes.stock",
        "mean": 4.0,
        "mean_without": 4.0,
        "relevance": 1.0,
    }
    # What holds no numbers is refused in a request, and empties no page of a scenario.
    saved(shelf, "rich", n=3, value=by("attributes.colour", 1))
    body = recommended(shelf, scenario="rich")
    assert ids(body) == ["i5", "i4", "i3"]
    assert body["effects"]["value"]["mean"] is None
    said = "No item that can be bought has a number in 'attributes.colour': value has no effect."
    assert said in body["warnings"]
    refused = shelf.post(PATH, json={"value": by("attributes.colour", 1)})
    assert_problem(refused, 422, "value_field", "/value/field")
    batch = shelf.post(f"{PATH}/batch", json={"requests": [{}, {"value": by("attributes.colour", 1)}]})
    assert_problem(batch, 422, "value_field", "/requests/1/value/field")
    unknown = recommended(shelf, value=by("attributes.stok", 1))
    assert "No item has 'attributes.stok'. Did you mean 'attributes.stock'?" in unknown["warnings"]


def test_margin_is_a_field_of_filters(shelf: TestClient) -> None:
    assert ids(recommended(shelf, filter="margin between 2 and 3")) == ["i4", "i3"]
    assert ids(recommended(shelf, filter="margin missing")) == ["plain"]
    shelf.patch("/v1/items/i5", json={"cost": 7.7, "price": 10.0})
    assert ids(recommended(shelf, filter="margin = 2.3")) == ["i5"], "not 2.3000000000000003"


@pytest.mark.parametrize(
    ("value", "code", "pointer"),
    [
        (by("prise", 0.5), "string_pattern_mismatch", "/value/field"),
        (by("title", 0.5), "string_pattern_mismatch", "/value/field"),
        (by("attributes.", 0.5), "string_pattern_mismatch", "/value/field"),
        (by("margin", 1.01), "less_than_equal", "/value/weight"),
        (by("margin", -0.1), "greater_than_equal", "/value/weight"),
        ({"field": "margin"}, "missing", "/value/weight"),
        ({"weight": 1}, "missing", "/value/field"),
    ],
)
def test_what_is_refused(steady: TestClient, value: dict[str, Any], code: str, pointer: str) -> None:
    assert_problem(steady.post(PATH, json={"value": value}), 422, code, pointer)
    refused = steady.put("/v1/scenarios/wrong", json={"settings": {"value": value}})
    assert_problem(refused, 422, code, f"/settings{pointer}")


_requests = st.fixed_dictionaries(
    {"n": st.integers(1, 30), "user_id": st.sampled_from(["u000003", "nobody"])},
    optional={
        "filter": st.sampled_from(["price > 20", "not tags exists", "price > 40 or brand exists"]),
        "pins": st.just([{"position": 1, "item_id": "i000007"}]),
        "caps": st.sampled_from([[{"field": field, "at_most": 2}] for field in ("brand", "category")]),
        "boost": st.just([{"filter": "price < 30", "weight": 2}]),
        "diversity": st.sampled_from([0.0, 0.4]),
        "sources": st.sampled_from([["latest"], ["popular"], ["trending", "content"]]),
        "fallback": st.just("relax"),
    },
)


@settings(max_examples=30)
@given(request_=_requests, weight=st.sampled_from([0.1, 0.5, 1.0]))
def test_whatever_else_is_asked(
    open_shop: TestClient, trained: TrainedShop, request_: dict[str, Any], weight: float
) -> None:
    """Weight 0 is as without; what the effect compares with is that list; pins, caps and filters hold."""
    known = {item["item_id"]: item for item in trained.shop.items()}
    plain = recommended(open_shop, **request_)
    still = recommended(open_shop, **request_, value=by("price", 0))
    assert still["items"] == plain["items"]
    assert still["warnings"] == plain["warnings"]
    body = recommended(open_shop, **request_, value=by("price", weight))
    assert ids(recommended(open_shop, **request_, value=by("price", weight))) == ids(body)
    prices = [known[name]["price"] for name in ids(plain)]
    effect = body["effects"]["value"]
    assert effect["mean_without"] == (pytest.approx(sum(prices) / len(prices)) if prices else None)
    free = [name for name in ids(body) if name != "i000007"]
    if "diversity" not in request_ and "caps" not in request_:
        # Chosen by score alone: the list without has the highest sum of scores.
        assert effect["relevance"] is None or effect["relevance"] <= 1 + 1e-4
    if "filter" in request_ and "fallback" not in request_:
        allowed = ids(recommended(open_shop, filter=request_["filter"], n=100, exclude_seen=False))
        assert set(ids(body)) <= set(allowed)
    if "pins" in request_ and not any("pinned item" in warning for warning in plain["warnings"]):
        assert ids(body)[0] == ids(plain)[0] == "i000007"
    for cap in request_.get("caps", []):
        counts = Counter(group for name in free for group in groups(known[name], cap))
        assert all(count <= 2 for count in counts.values())


@pytest.mark.parametrize("source", ["popular", "latest", "collaborative"])
def test_more_weight_is_no_less_worth(open_shop: TestClient, trained: TrainedShop, source: str) -> None:
    """Chosen by score alone, of items that all have the field: the mean percentile never falls."""
    prices = {item["item_id"]: item["price"] for item in trained.shop.items()}
    order = sorted(prices.values())
    last = 0.0
    for weight in (0, 0.1, 0.3, 0.6, 1):
        wanted = {"user_id": "u000005", "sources": [source], "n": 8, "exclude_seen": False}
        found = ids(recommended(open_shop, **wanted, value=by("price", weight)))
        share = sum(order.index(prices[name]) for name in found) / len(found)
        assert share >= last
        last = share
    plain = ids(recommended(open_shop, **wanted))
    assert last > sum(order.index(prices[name]) for name in plain) / len(plain)
