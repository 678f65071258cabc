"""Several lists of one page: no repeats, pins with their lists, every item by its own list's rules."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from app.services.distinct import Distinct
from tests.api.serving import assert_problem
from tests.api.test_ask import ids

ITEMS = 24


@pytest.fixture(scope="module")
def stocked(steady: TestClient) -> TestClient:
    """Items of which the later ones are the more popular; the last one is sold out."""
    for number in range(ITEMS):
        body = {"price": number, "brand": "ABC"[number % 3]}
        assert steady.put(f"/v1/items/i{number}", json=body).status_code == 200
        for who in range(number // 4):
            event = {"event": "view", "item_id": f"i{number}", "user_id": f"u{who}"}
            assert steady.post("/v1/interactions", json=event).status_code == 201
    sold_out = {"availability": "out_of_stock"}
    assert steady.patch(f"/v1/items/i{ITEMS - 1}", json=sold_out).status_code == 200
    saved = {"settings": {"n": 3, "filter": "price >= 12", "pins": [{"position": 2, "item_id": "i13"}]}}
    assert steady.put("/v1/scenarios/dear", json=saved).status_code == 201
    return steady


def page(client: TestClient, requests: list[dict[str, Any]], distinct: bool = True) -> list[dict[str, Any]]:
    body = {"requests": requests, "distinct": distinct}
    response = client.post("/v1/recommendations/batch", json=body)
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def test_each_list_takes_the_next_best(stocked: TestClient) -> None:
    wanted: list[dict[str, Any]] = [{"n": 4}, {"n": 4}, {"n": 4, "filter": "price >= 18"}]
    first, second, third = page(stocked, wanted, distinct=False)
    assert ids(first) == ids(second)
    lists = [ids(result) for result in page(stocked, wanted)]
    alone = ids(page(stocked, [{"n": 8}])[0])
    assert lists[0] + lists[1] == alone
    assert lists[2] == [name for name in ids(third) if name not in alone]
    assert ids(first) == lists[0]
    assert [ids(result) for result in page(stocked, wanted)] == lists, "nothing is remembered of a page"


def test_a_pin_belongs_to_the_first_list_that_has_it(stocked: TestClient) -> None:
    top = ids(page(stocked, [{"n": 1}])[0])[0]
    pin = [{"position": 2, "item_id": top}]
    one, two, three = page(stocked, [{"n": 3}, {"n": 3, "pins": pin}, {"n": 3, "pins": pin}])
    assert top not in ids(one)
    assert ids(two)[1] == top
    assert top not in ids(three)
    assert f"The pinned item '{top}' may not be shown now." in three["warnings"]
    assert [len(result["items"]) for result in (one, two, three)] == [3, 3, 3]
    plain, dear = page(stocked, [{"n": 8}, {"scenario": "dear"}])
    assert "i13" not in ids(plain)
    assert ids(dear)[1] == "i13", "pins of scenarios count too"


REQUEST = st.fixed_dictionaries(
    {"n": st.integers(1, 12)},
    optional={
        "least": st.integers(0, ITEMS),
        "pin": st.tuples(st.integers(1, 12), st.integers(0, ITEMS)),
        "user_id": st.sampled_from(["u1", "u4", "nobody"]),
        "scenario": st.sampled_from(["dear", "home", "nothing"]),
        "exclude": st.lists(st.integers(0, ITEMS), max_size=4),
        "fallback": st.sampled_from(["strict", "relax"]),
    },
)


def _as_asked(drawn: dict[str, Any]) -> dict[str, Any]:
    request = {key: value for key, value in drawn.items() if key not in ("least", "pin", "exclude")}
    if "least" in drawn:
        request |= {"filter": "price >= $least", "parameters": {"least": drawn["least"]}}
    if "pin" in drawn:
        position, number = drawn["pin"]
        request["pins"] = [{"position": min(position, drawn["n"]), "item_id": f"i{number}"}]
    request["exclude"] = [f"i{number}" for number in drawn.get("exclude", [])]
    return request


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(REQUEST, min_size=1, max_size=7))
def test_pages_are_without_repeats(stocked: TestClient, drawn: list[dict[str, Any]]) -> None:
    requests = [_as_asked(one) for one in drawn]
    results = page(stocked, requests)
    shown = [name for result in results for name in ids(result)]
    assert len(set(shown)) == len(shown)
    pinned: dict[str, int] = {}
    for place, request in enumerate(requests):
        own = request.get("pins", [])
        if request.get("scenario") == "dear" and "pins" not in request and request["n"] >= 2:
            own = [{"position": 2, "item_id": "i13"}]
        for pin in own:
            pinned.setdefault(pin["item_id"], place)
    for place, (request, result) in enumerate(zip(requests, results, strict=True)):
        names = ids(result)
        least = 12 if request.get("scenario") == "dear" else 0
        least = request.get("parameters", {}).get("least", least)
        strict = request.get("fallback") != "relax"
        assert not {*names} & {*request["exclude"], f"i{ITEMS - 1}", f"i{ITEMS}"}
        assert len(names) <= request["n"]
        assert not strict or all(int(name[1:]) >= least for name in names)
        assert all(pinned.get(name, place) == place for name in names), "pins of others stay away"
        for pin in request.get("pins", []):
            if strict and pin["item_id"] in names and len(names) >= pin["position"]:
                assert names[pin["position"] - 1] == pin["item_id"]
        # Nothing that this list might have shown is left while it is short.
        free = {f"i{number}" for number in range(least if strict else 0, ITEMS - 1)} - {*request["exclude"]}
        free -= {name for name, owner in pinned.items() if owner != place}
        free -= {name for earlier in results[:place] for name in ids(earlier)}
        if request.get("user_id", "nobody") == "nobody":
            assert len(names) == min(request["n"], len(free))


def test_a_thousand_lists(stocked: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Distinct] = []
    first = Distinct.__init__

    def counted(self: Distinct, *args: Any) -> None:
        made.append(self)
        first(self, *args)

    monkeypatch.setattr(Distinct, "__init__", counted)
    results = page(stocked, [{"n": 1}] * 1000)
    shown = [name for result in results for name in ids(result)]
    assert len(set(shown)) == len(shown) == ITEMS - 1
    assert len(made) == 1
    refused = stocked.post("/v1/recommendations/batch", json={"requests": [{}], "distinct": "yes"})
    assert_problem(refused, 422, "bool_type", "/distinct")
