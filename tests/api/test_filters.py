"""Lists by the rules of the shop: filters, boosts, pins, caps and diversity, over HTTP."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from app.learning.filtering.grammar import parse
from app.learning.filtering.item_fields import ITEMS
from app.learning.filtering.writing import plain_of
from tests.api.serving import assert_problem
from tests.api.test_ask import ids, recommended, sent

PATH = "/v1/recommendations"


def put(client: TestClient, item_id: str, **fields: Any) -> None:
    assert client.put(f"/v1/items/{item_id}", json=fields).status_code == 200


@pytest.fixture
def shelf(client: TestClient) -> TestClient:
    """Eight items, the later the more popular, of two brands and three categories."""
    for number in range(8):
        put(
            client,
            f"i{number}",
            price=10.0 * number,
            brand="AB"[number % 2],
            categories=[["Shoes > Running", "Shoes", "Socks"][number % 3]],
            tags=["sale"] if number > 5 else [],
            attributes={"size": number % 4},
        )
        for who in range(number):
            sent(client, "view", f"i{number}", user_id=f"u{who}")
    return client


def test_text_and_tree_answer_the_same(shelf: TestClient) -> None:
    text = 'price <= 50 and category under "Shoes" and not tags has "sale"'
    body = recommended(shelf, filter=text)
    assert ids(body) == ["i4", "i3", "i1", "i0"]
    assert body["warnings"][-1].startswith("The list is shorter than n")
    assert ids(recommended(shelf, filter=plain_of(parse(text, ITEMS)))) == ids(body)
    response = shelf.get("/v1/users/nobody/recommendations", params={"filter": text, "n": 2})
    assert ids(response.json()) == ["i4", "i3"]
    both = {"filter": "category under 'Shoes > Running'", "category": "Shoes"}
    assert ids(recommended(shelf, **both)) == ["i6", "i3", "i0"]
    assert ids(recommended(shelf, category="Shoes")) == ids(
        recommended(shelf, filter="category under 'Shoes'")
    )


def test_parameters_are_values_and_nothing_else(shelf: TestClient) -> None:
    wanted = {"filter": "price between $low and $high and brand in $brands", "n": 8}
    given: dict[str, Any] = {"low": 20, "high": 60.0, "brands": ["A", 'B" or price > 0 or brand = "B']}
    assert ids(recommended(shelf, **wanted, parameters=given)) == ["i6", "i4", "i2"]
    given["low"] = 30
    assert ids(recommended(shelf, **wanted, parameters=given)) == ["i6", "i4"]


def test_too_few_that_pass(shelf: TestClient) -> None:
    wanted = {"filter": "price > 50", "category": "Shoes", "n": 4}
    assert ids(recommended(shelf, **wanted)) == ["i7", "i6"]
    body = recommended(shelf, **wanted, fallback="relax")
    assert ids(body) == ["i7", "i6", "i4", "i3"], "those that pass come first; socks never"
    assert "The filter lets 2 items through" in body["warnings"][-1]
    assert ids(recommended(shelf, **(wanted | {"n": 2}), fallback="relax")) == ["i7", "i6"]
    assert ids(recommended(shelf, filter="price > 500")) == []
    unknown = recommended(shelf, filter="not attributes.seize = 3", n=1)
    assert "No item has 'attributes.seize'. Did you mean 'attributes.size'?" in unknown["warnings"]


def test_changes_count_in_the_next_answer(shelf: TestClient) -> None:
    wanted = {"filter": "price < 25 and attributes.size >= 1", "n": 8}
    assert ids(recommended(shelf, **wanted)) == ["i2", "i1"]
    shelf.patch("/v1/items/i7", json={"price": 1.0})
    assert ids(recommended(shelf, **wanted)) == ["i7", "i2", "i1"]
    shelf.patch("/v1/items/i2", json={"attributes": {"size": None}})
    assert ids(recommended(shelf, **wanted)) == ["i7", "i1"]
    put(shelf, "new", price=2.0, attributes={"size": 9})
    assert ids(recommended(shelf, **wanted)) == ["i7", "i1", "new"]
    shelf.patch("/v1/items/i7", json={"availability": "out_of_stock"})
    assert shelf.delete("/v1/items/i1").status_code < 300
    assert ids(recommended(shelf, **wanted)) == ["new"]
    put(shelf, "i1", price=99.0, attributes={"size": 1})
    assert ids(recommended(shelf, **wanted)) == ["new"]


def test_boosts_and_burials(shelf: TestClient) -> None:
    popular = ["i7", "i6", "i5", "i4", "i3", "i2", "i1", "i0"]
    assert ids(recommended(shelf)) == popular
    boosted = recommended(shelf, boost=[{"filter": "brand = 'A'", "weight": 10}])
    assert ids(boosted) == ["i6", "i4", "i2", "i7", "i5", "i3", "i1", "i0"]
    assert boosted["items"][0]["score"] == pytest.approx(60)
    buried = recommended(
        shelf, boost=[{"filter": "tags has $tag", "weight": 1e-9}], parameters={"tag": "sale"}
    )
    assert ids(buried) == ["i5", "i4", "i3", "i2", "i1", "i7", "i6", "i0"], "buried, but not gone"
    several = [{"filter": "price exists", "weight": 100}] * 20
    endless = recommended(shelf, boost=several)
    assert ids(endless) == [*sorted(popular[:-1]), "i0"]
    assert all(item["score"] < 1e39 for item in endless["items"])


def test_pins_have_their_places(shelf: TestClient) -> None:
    pins = [{"position": 3, "item_id": "i0"}, {"position": 1, "item_id": "i2"}]
    body = recommended(shelf, pins=pins, n=4, explain=True)
    assert ids(body) == ["i2", "i7", "i0", "i6"]
    assert [item["source"] for item in body["items"]] == ["pinned", "popular", "pinned", "popular"]
    assert body["items"][0]["reason"]["text"] == "Chosen by the shop"
    short = recommended(shelf, pins=[{"position": 9, "item_id": "i0"}], filter="price < 15", n=10)
    assert ids(short) == ["i1", "i0"], "a list that is too short has no gaps"
    seen = {"user_id": "u0", "exclude_seen": True, "pins": [{"position": 1, "item_id": "i7"}]}
    assert ids(recommended(shelf, **seen)) == ["i7", "i0"], "what was seen may be pinned"


def test_pins_that_may_not_be_shown(shelf: TestClient) -> None:
    shelf.patch("/v1/items/i1", json={"availability": "out_of_stock"})
    shelf.patch("/v1/items/i2", json={"expires_at": "2020-01-01T00:00:00Z"})
    shelf.patch("/v1/items/i3", json={"available_from": "2999-01-01T00:00:00Z"})
    names = ["i1", "i2", "i3", "nothing", "i4", "i6", "i5"]
    pins = [{"position": place, "item_id": name} for place, name in enumerate(names, 1)]
    body = recommended(shelf, pins=pins, filter="not tags has 'sale'", exclude=["i4"], n=9)
    assert ids(body) == ["i0", "i5"]
    assert [warning for warning in body["warnings"] if "pinned" in warning] == [
        f"The pinned item '{name}' may not be shown now." for name in names[:-1]
    ]


def test_caps(shelf: TestClient) -> None:
    assert ids(recommended(shelf, caps=[{"field": "brand", "at_most": 1}])) == ["i7", "i6"]
    by_size = [{"field": "attributes.size", "at_most": 1}]
    assert ids(recommended(shelf, caps=by_size)) == ["i7", "i6", "i5", "i4"]
    both = [*by_size, {"field": "category", "at_most": 1}]
    assert ids(recommended(shelf, caps=both)) == ["i7", "i6", "i5"]
    # A pin counts, and is never taken away.
    pins = [{"position": 1, "item_id": "i0"}, {"position": 2, "item_id": "i2"}]
    assert ids(recommended(shelf, caps=[{"field": "brand", "at_most": 1}], pins=pins)) == ["i0", "i2", "i7"]
    put(shelf, "plain", price=1.0)
    put(shelf, "plain2", price=1.0)
    one = recommended(shelf, caps=[{"field": "brand", "at_most": 1}])
    assert set(ids(one)) == {"i7", "i6", "plain", "plain2"}, "what has no brand is not counted"


def test_a_least_score(shelf: TestClient) -> None:
    body = recommended(shelf, minimum_score=0.5)
    assert (ids(body), body["warnings"][-1][:21]) == ([], "The list is shorter t")


def wrong(**request: Any) -> dict[str, Any]:
    return request


@pytest.mark.parametrize(
    ("request_", "pointer", "code", "detail"),
    [
        (
            wrong(filter="prise < 5"),
            "/filter",
            "filter_field",
            "column 1: there is no field 'prise'; did you mean",
        ),
        (wrong(filter="price <"), "/filter", "filter_syntax", "column 8: expected"),
        (wrong(filter=""), "/filter", "filter_syntax", "column 1: "),
        (wrong(filter="x" * 4001), "/filter", "filter_syntax", "column 4001: "),
        (
            wrong(filter={"not": {"field": "price", "op": "<", "value": []}}),
            "/filter/not/value",
            "filter_syntax",
            "",
        ),
        (wrong(filter={"field": "prise", "op": "<", "value": 1}), "/filter/field", "filter_field", "price"),
        (wrong(filter={"field": "price", "op": "<", "value": 2**70}), None, "", ""),
        (wrong(filter=5), "/filter", "filter_type", ""),
        (
            wrong(filter="price < $a"),
            "/filter",
            "filter_parameter",
            "column 9: the parameter 'a' is not given",
        ),
        (wrong(filter="price < $a", parameters={"a": "x"}), "/filter", "filter_field", "column 9"),
        (
            wrong(filter="price < 1", parameters={"a": 1}),
            "/parameters/a",
            "filter_parameter",
            "no filter uses",
        ),
        (wrong(parameters={"a": {}}), "/parameters/a", "parameter_type", ""),
        (wrong(parameters={"a": [None]}), "/parameters/a", "parameter_type", ""),
        (wrong(fallback="guess"), "/fallback", "literal_error", ""),
        (
            wrong(boost=[{"filter": "price > 1", "weight": 2}, {"filter": "(", "weight": 2}]),
            "/boost/1/filter",
            "filter_syntax",
            "column 2",
        ),
        (wrong(boost=[{"filter": "price > 1", "weight": 0}]), "/boost/0/weight", "greater_than", ""),
        (wrong(pins=[{"position": 11, "item_id": "a"}]), "/pins", "pin_beyond_n", ""),
        (
            wrong(pins=[{"position": 1, "item_id": "a"}, {"position": 1, "item_id": "b"}]),
            "/pins",
            "duplicate_pin",
            "",
        ),
        (
            wrong(pins=[{"position": 1, "item_id": "a"}, {"position": 2, "item_id": "a"}]),
            "/pins",
            "duplicate_pin",
            "",
        ),
        (wrong(caps=[{"field": "price", "at_most": 1}]), "/caps/0/field", "string_pattern_mismatch", ""),
        (wrong(caps=[{"field": "brand", "at_most": 0}]), "/caps/0/at_most", "greater_than_equal", ""),
        (wrong(diversity=1.1), "/diversity", "less_than_equal", ""),
        (wrong(minimum_score=-1), "/minimum_score", "greater_than_equal", ""),
    ],
)
def test_what_is_wrong_is_named(
    steady: TestClient, request_: dict[str, Any], pointer: str | None, code: str, detail: str
) -> None:
    response = steady.post(PATH, json=request_)
    if pointer is None:
        assert response.status_code == 200, response.text
        return
    problem = assert_problem(response, 422, code, pointer)
    assert detail in problem["errors"][0]["detail"]
    batch = steady.post(f"{PATH}/batch", json={"requests": [{}, request_]})
    assert_problem(batch, 422, code, f"/requests/1{pointer}")


def test_a_wrong_filter_of_the_short_form(steady: TestClient) -> None:
    response = steady.get("/v1/users/u/recommendations", params={"filter": "price < $most"})
    assert_problem(response, 422, "filter_parameter", "/query/filter")
