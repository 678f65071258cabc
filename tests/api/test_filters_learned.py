"""Lists by the rules of the shop in a shop that has a model, beside what one item at a time says."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from app.learning.filtering.grammar import parse
from app.learning.filtering.item_fields import ITEMS
from app.learning.filtering.writing import plain_of
from tests.api.conftest import TrainedShop
from tests.api.test_ask import ids, recommended
from tests.learning.filtering.shelves import passes

FILTERS = [
    "price > 30",
    "not price > 30",
    "brand exists and category under 'Shoes'",
    "price < 0",
    "tags missing or price < 20",
]


@pytest.mark.parametrize("text", FILTERS)
def test_exactly_what_passes(open_shop: TestClient, trained: TrainedShop, text: str) -> None:
    """With a model: what a naive evaluation of each item allows, all of it, once each, in the same order."""
    plain = plain_of(parse(text, ITEMS))
    known = {item["item_id"]: item for item in trained.shop.items()}
    nothing: dict[str, Any] = {"categories": [], "tags": [], "attributes": {}}
    expected = {name for name, item in known.items() if passes(plain, nothing | item)}
    user = next(iter(trained.shop.users()))["user_id"]
    everything = ids(recommended(open_shop, user_id=user, exclude_seen=False, n=500))
    wanted = {"user_id": user, "exclude_seen": False, "filter": text, "n": 500}
    found = ids(recommended(open_shop, **wanted))
    assert set(found) == expected & set(everything)
    assert found == [name for name in everything if name in expected]
    assert ids(recommended(open_shop, **wanted)) == found


@pytest.mark.parametrize("diversity", [0, 0.4, 1])
def test_all_rules_together(open_shop: TestClient, trained: TrainedShop, diversity: float) -> None:
    known = {item["item_id"]: item for item in trained.shop.items()}
    everything = ids(recommended(open_shop, n=70, exclude_seen=False))
    last = everything[-1]
    wanted: dict[str, Any] = {
        "session": {"events": [{"item_id": everything[5]}]},
        "n": 20,
        "filter": {"not": {"field": "item_id", "op": "in", "value": everything[:2]}},
        "boost": [{"filter": "price > 20", "weight": 3}],
        "pins": [{"position": 2, "item_id": last}],
        "caps": [{"field": "category", "at_most": 3}],
        "diversity": diversity,
    }
    body = recommended(open_shop, **wanted)
    assert ids(body)[1] == last
    assert not set(ids(body)) & set(everything[:2])
    counts = Counter(path for name in ids(body) for path in known[name]["categories"])
    assert max(counts.values()) == 3
    assert ids(recommended(open_shop, **wanted)) == ids(body)
    alone = recommended(open_shop, session=wanted["session"], n=20, diversity=diversity)
    plain = recommended(open_shop, session=wanted["session"], n=20)
    assert alone["items"][0]["item_id"] == plain["items"][0]["item_id"]
    assert (ids(alone) == ids(plain)) is (diversity == 0)
    scores = [item["score"] for item in plain["items"]]
    assert scores == sorted(scores, reverse=True)
    least = recommended(open_shop, session=wanted["session"], n=20, minimum_score=scores[3])
    assert ids(least) == ids(plain)[: sum(score >= scores[3] for score in scores)]


_part = st.one_of(
    st.fixed_dictionaries(
        {
            "field": st.just("price"),
            "op": st.sampled_from(["<", ">="]),
            "value": st.integers(5, 60),
        }
    ),
    st.fixed_dictionaries(
        {
            "field": st.just("category"),
            "op": st.just("under"),
            "value": st.sampled_from(["Kitchen", "Toys > Soft Toys", "Pets"]),
        }
    ),
    st.fixed_dictionaries(
        {
            "field": st.sampled_from(["brand", "title"]),
            "op": st.just("contains"),
            "value": st.sampled_from(["mora", "LUN", "x"]),
        }
    ),
    st.fixed_dictionaries({"field": st.sampled_from(["attributes.colour", "tags"]), "op": st.just("exists")}),
)
_filter = st.recursive(
    _part,
    lambda inner: (
        st.fixed_dictionaries({"not": inner})
        | st.fixed_dictionaries({"and": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"or": st.lists(inner, min_size=1, max_size=3)})
    ),
    max_leaves=4,
)
_requests = st.fixed_dictionaries(
    {"n": st.integers(5, 80), "filter": _filter},
    optional={
        "boost": st.lists(
            st.fixed_dictionaries({"filter": _filter, "weight": st.sampled_from([0.01, 0.5, 3.0])}),
            max_size=2,
        ),
        "pins": st.lists(
            st.fixed_dictionaries(
                {"position": st.integers(1, 5), "item_id": st.integers(0, 75).map(lambda i: f"i{i:06}")}
            ),
            max_size=3,
            unique_by=(lambda pin: pin["position"], lambda pin: pin["item_id"]),
        ),
        "caps": st.lists(
            st.fixed_dictionaries(
                {
                    "field": st.sampled_from(["brand", "category", "attributes.colour"]),
                    "at_most": st.integers(1, 3),
                }
            ),
            max_size=2,
        ),
        "diversity": st.sampled_from([0.0, 0.3, 1.0]),
    },
)


@settings(max_examples=40)
@given(request_=_requests)
def test_whatever_the_rules(open_shop: TestClient, trained: TrainedShop, request_: dict[str, Any]) -> None:
    """Only what passes and can be bought, all of it where nothing bounds it; pins in place, caps held."""
    known = {item["item_id"]: item for item in trained.shop.items()}
    sold = {name for name, item in known.items() if item["availability"] != "out_of_stock"}
    body = recommended(open_shop, **request_)
    found = ids(body)
    allowed = {
        name for name in sold if passes(request_["filter"], {"attributes": {}, "tags": []} | known[name])
    }
    assert set(found) <= allowed
    pins = [pin for pin in request_.get("pins", []) if pin["item_id"] in allowed]
    for pin in pins:
        assert found.index(pin["item_id"]) + 1 == pin["position"] or len(found) < pin["position"] + len(pins)
    pinned_ids = {pin["item_id"] for pin in pins}
    for cap in request_.get("caps", []):
        free = Counter(
            group for name in found if name not in pinned_ids for group in groups(known[name], cap)
        )
        pinned = Counter(group for name in pinned_ids for group in groups(known[name], cap))
        assert all(pinned[group] + count <= cap["at_most"] for group, count in free.items())
    if not request_.get("caps"):
        assert len(found) == min(request_["n"], len(allowed))
    assert ids(recommended(open_shop, **request_)) == found


def groups(item: dict[str, Any], cap: dict[str, Any]) -> list[str]:
    """The values of an item that a cap counts."""
    if cap["field"] == "category":
        return [str(path) for path in item["categories"]]
    value = item.get("attributes", {}).get("colour") if "." in cap["field"] else item.get(cap["field"])
    return [] if value is None else [value]
