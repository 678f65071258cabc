"""What holds of every list, whatever is asked and whatever has changed a moment before, on another worker."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from app.core.clock import now_ms
from tests.api.conftest import TrainedShop, new_database
from tests.api.serving import pages, serving
from tests.api.test_ask import ids, recommended
from tests.api.test_filters_learned import groups
from tests.learning.filtering.shelves import passes

NUMBERS = count()
EXTRA = [f"extra{number}" for number in range(4)]
NAMES = [f"i{number:06}" for number in range(70)] + EXTRA


class Two(NamedTuple):
    """Two workers on one database, which all examples share."""

    write: TestClient
    ask: TestClient


@pytest.fixture(scope="module")
def two(
    trained: TrainedShop, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Two]:
    folder = tmp_path_factory.mktemp("lists")
    with (
        new_database(request, trained.engine, folder, trained.source) as url,
        serving(url, trained.artifacts) as one,
        serving(url, trained.artifacts) as other,
    ):
        yield Two(one, other)


_name = st.sampled_from(NAMES)
_fields = st.fixed_dictionaries(
    {},
    optional={
        "price": st.sampled_from([None, 0, 9.5, 30, 70.25]),
        "brand": st.sampled_from([None, "Mora", "Luna"]),
        "categories": st.sampled_from([[], ["Toys"], ["Toys > Soft Toys", "Pets"], ["Pets"]]),
        "tags": st.sampled_from([[], ["sale"], ["sale", "new"]]),
        "group_id": st.sampled_from([None, "g1", "g2"]),
        "attributes": st.fixed_dictionaries({}, optional={"colour": st.sampled_from([None, "red", "blue"])}),
        "availability": st.sampled_from(["in_stock", "out_of_stock", "preorder"]),
    },
)
_changes = st.lists(
    st.tuples(st.sampled_from(["patch", "patch", "put", "delete"]), _name, _fields), max_size=6
)
_leaf = st.one_of(
    st.tuples(st.just("price"), st.sampled_from(["<", ">=", "="]), st.sampled_from([9.5, 30, 70])),
    st.tuples(st.just("category"), st.just("under"), st.sampled_from(["Toys", "Toys > Soft Toys", "Pets"])),
    st.tuples(st.just("brand"), st.just("in"), st.sampled_from([["Mora"], ["Luna", "x"]])),
    st.tuples(st.just("tags"), st.just("has"), st.sampled_from(["sale", "new"])),
    st.tuples(st.just("attributes.colour"), st.just("="), st.sampled_from(["red", "blue"])),
).map(lambda leaf: dict(zip(("field", "op", "value"), leaf, strict=True)))
_filter = st.recursive(
    _leaf,
    lambda inner: (
        st.fixed_dictionaries({"not": inner})
        | st.fixed_dictionaries({"or": st.lists(inner, min_size=2, max_size=3)})
        | st.fixed_dictionaries({"and": st.lists(inner, min_size=2, max_size=2)})
    ),
    max_leaves=3,
)
_rules = {
    "filter": _filter | _filter.map(lambda inner: {"not": inner}),
    "pins": st.lists(
        st.fixed_dictionaries({"position": st.integers(1, 6), "item_id": _name}),
        min_size=1,
        max_size=4,
        unique_by=(lambda pin: pin["position"], lambda pin: pin["item_id"]),
    ),
    "caps": st.lists(
        st.fixed_dictionaries(
            {
                "field": st.sampled_from(["brand", "category", "group_id", "attributes.colour"]),
                "at_most": st.integers(1, 4),
            }
        ),
        min_size=1,
        max_size=2,
    ),
    "diversity": st.sampled_from([0.0, 0.5]),
    "exclude": st.lists(_name, max_size=3, unique=True),
    "user_id": st.sampled_from(["u000003", "nobody"]),
}
_asked = st.fixed_dictionaries({"n": st.sampled_from([6, 20, 500])}, optional=_rules)


def changed(client: TestClient, changes: list[tuple[str, str, dict[str, Any]]]) -> None:
    for method, name, fields in changes:
        path = f"/v1/items/{name}"
        status = client.request(method, path, json=None if method == "delete" else fields).status_code
        assert status in (200, 201, 204, 404), (method, name, fields)


@settings(max_examples=30, derandomize=True)
@given(changes=_changes, asked=_asked)
def test_any_rules_after_any_changes(two: Two, changes: Any, asked: dict[str, Any]) -> None:
    """Exactly what a naive look at each item allows; pins in place, caps held, no repeats, order stable."""
    changed(two.write, changes)
    known = {item["item_id"]: item for page in pages(two.write, "/v1/items", "items", 500) for item in page}
    wanted = {"exclude_seen": False, **asked}
    body = recommended(two.ask, **wanted)
    found = ids(body)
    allowed = {
        name
        for name, item in known.items()
        if item["availability"] != "out_of_stock"
        and name not in asked.get("exclude", [])
        and ("filter" not in asked or passes(asked["filter"], item))
    }
    assert len(set(found)) == len(found)
    assert set(found) <= allowed

    pins = {pin["position"]: pin["item_id"] for pin in asked.get("pins", []) if pin["item_id"] in allowed}
    others = [name for name in found if name not in pins.values()]
    in_place: list[str] = []
    waiting, rest = dict(sorted(pins.items())), list(others)
    while waiting or rest:
        at = len(in_place) + 1
        if at in waiting or not rest:
            in_place.append(waiting.pop(at if at in waiting else next(iter(waiting))))
        else:
            in_place.append(rest.pop(0))
    assert found == in_place

    counted = [
        (cap, Counter(group for name in found for group in groups(known[name], cap))) for cap in caps(asked)
    ]
    for cap, groups_ in counted:
        for name in others:
            assert all(groups_[group] <= cap["at_most"] for group in groups(known[name], cap))
    if len(found) < asked["n"]:
        left = [known[name] for name in allowed.difference(found)]
        full = [
            any(groups_[group] >= cap["at_most"] for cap, groups_ in counted for group in groups(item, cap))
            for item in left
        ]
        assert all(full), "a list is short only where nothing more may come"
    for worker in two:
        assert recommended(worker, **wanted)["items"] == body["items"]


def caps(asked: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = asked.get("caps", [])
    return found


@settings(max_examples=15, derandomize=True)
@given(asked=_asked, kept=st.sets(st.sampled_from([*_rules, "n"])))
def test_a_scenario_says_what_a_request_could(two: Two, asked: dict[str, Any], kept: set[str]) -> None:
    """Whichever part of the rules is the scenario's, and whichever the request's."""
    whole = recommended(two.ask, **asked)
    saved = {name: value for name, value in asked.items() if name in kept - {"user_id", "exclude"}}
    if "pins" in saved:
        saved["n"] = asked["n"]
    response = two.write.put("/v1/scenarios/part", json={"settings": saved})
    assert response.status_code in (200, 201), response.text
    rest = {name: value for name, value in asked.items() if name not in saved}
    body = two.ask.post("/v1/recommendations", json={**rest, "scenario": "part"}).json()
    assert (body["scenario"], body["items"]) == ("part", whole["items"])
    # What the request says stands above what the scenario says.
    other = {"settings": saved | {"diversity": 1.0, "filter": "price < 0"}}
    assert two.write.put("/v1/scenarios/part", json=other).status_code == 200
    said = {"filter": None, "diversity": 0.0} | asked
    assert (
        two.ask.post("/v1/recommendations", json={**said, "scenario": "part"}).json()["items"]
        == whole["items"]
    )


_event = st.tuples(
    st.sampled_from(NAMES[:70]),
    st.sampled_from(
        ["view_item", "view_item", "add_to_cart", "purchase", "remove_from_cart", "view_item_list"]
    ),
)


def at(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds")


def stored(client: TestClient, events: list[dict[str, Any]]) -> None:
    response = client.post("/v1/interactions/batch", json={"interactions": events})
    assert response.json()["accepted"] == len(events), response.text


@settings(max_examples=20, derandomize=True)
@given(
    events=st.lists(_event, min_size=1, max_size=40),
    who=st.sampled_from([{}, {"user_id": "u000007"}]),
    sources=st.sampled_from([None, ["session"]]),
    exclude_seen=st.sampled_from([None, True, False]),
)
def test_a_visit_told_is_a_visit_stored(
    two: Two, events: list[tuple[str, str]], who: dict[str, str], sources: Any, exclude_seen: Any
) -> None:
    """A list for events that the request tells, and for the same events of a session that were sent."""
    session = f"visit-{next(NUMBERS)}"
    told = [{"item_id": name, "event": event} for name, event in events]
    began = now_ms() - len(told)
    own = [{**one, "session_id": session, "occurred_at": at(began + n)} for n, one in enumerate(told)]
    stored(two.write, own)
    wanted = {**who, "n": 500, "sources": sources, "exclude_seen": exclude_seen}
    visits: list[dict[str, Any]] = [{"events": told}, {"session_id": session}]
    lists = [recommended(two.ask, session=visit, **wanted)["items"] for visit in visits]
    ranked = [
        two.ask.post("/v1/rankings", json={**who, "session": visit, "item_ids": NAMES}).json()["items"]
        for visit in visits
    ]
    for one, other in (lists, ranked):
        if not who:
            assert one == other
        # Beside what a user did long ago, the moment of the request shows in the last digits.
        scores = [{row["item_id"]: row["score"] for row in rows} for rows in (one, other)]
        assert scores[0] == pytest.approx(scores[1], rel=1e-4, abs=1e-6)


_steps = st.lists(
    st.tuples(st.just("visit"), st.integers(0, 2), _event)
    | st.tuples(st.just("own"), st.just(0), _event)
    | st.tuples(st.just("merge"), st.integers(0, 2), st.none()),
    min_size=2,
    max_size=12,
)


@settings(max_examples=10, derandomize=True)
@given(steps=_steps)
def test_merged_again_and_again(two: Two, steps: list[tuple[str, int, Any]]) -> None:
    """A user has the events of each merged session once, as if they had been the user's from the start."""
    number = next(NUMBERS)
    merged, twin = f"merged-{number}", f"twin-{number}"
    for client, who in ((two.write, merged), (two.ask, twin)):
        assert client.put(f"/v1/users/{who}", json={}).status_code == 200
    mine: list[dict[str, Any]] = []
    waiting: dict[int, list[dict[str, Any]]] = {0: [], 1: [], 2: []}
    theirs: set[int] = set()
    moment = now_ms() - 1000
    for place, (kind, session, what) in enumerate(steps):
        worker = two[place % 2]
        name = f"s{session}-{number}"
        if kind == "merge":
            answer = worker.post(f"/v1/users/{merged}/merge", json={"session_id": name}).json()
            assert answer["merged"] == len(waiting[session])
            mine += waiting[session]
            waiting[session] = []
            theirs.add(session)
            continue
        event = {"item_id": what[0], "event": what[1], "occurred_at": at(moment + place)}
        stored(worker, [event | ({"user_id": merged} if kind == "own" else {"session_id": name})])
        (mine if kind == "own" or session in theirs else waiting[session]).append(event)
    if mine:
        stored(two.write, [event | {"user_id": twin} for event in mine])
    wanted = {"n": 30, "exclude_seen": True}
    for worker in two:
        told = worker.get(f"/v1/users/{merged}/interactions?limit=100").json()["interactions"]
        assert Counter((row["item_id"], row["event"]) for row in told) == Counter(
            (event["item_id"], event["event"]) for event in mine
        )
        lists = [recommended(worker, user_id=who, **wanted)["items"] for who in (merged, twin)]
        assert lists[0] == lists[1]
