"""What one API process has acknowledged counts in the next answer of another one: nothing is waited for."""

from typing import Any

import pytest

from tests.api.conftest import TrainedShop
from tests.api.test_ask import ids
from tests.api.two_workers import Way, catalogue, event, got, listed, scores, sent, way, workers

pytestmark = pytest.mark.processes
__all__ = ["way", "workers"]

CLICKS = 14
"""Events that make a customer one of whom much is known."""


def test_an_event(way: Way) -> None:
    user = way.name
    path = f"/v1/users/{user}/recommendations"
    before = got(way.ask, path, exclude_seen=True)
    assert before["warnings"] == ["The user is unknown: this is not personal."]
    chosen = ids(before)[2]
    event(way.write, "purchase", chosen, user_id=user)
    after = got(way.ask, path, exclude_seen=True, explain=True)
    assert (chosen in ids(after), after["warnings"]) == (False, [])
    own = [row["reason"]["because"] for row in after["items"] if row["reason"]["because"]]
    assert {evidence["item_id"] for because in own for evidence in because} == {chosen}
    told = got(way.ask, f"/v1/users/{user}/interactions")["interactions"]
    assert [row["item_id"] for row in told] == [chosen]
    assert got(way.ask, f"/v1/users/{user}/profile")["totals"]["purchases"] == 1


def test_the_last_clicks(way: Way) -> None:
    """In the list of a customer of whom much is known, and the more of them the later they came."""
    items = catalogue(way.write)
    taste, (first, second), others = items[:CLICKS], items[30:32], items[32:]
    orders = {"a": (first, second), "b": (second, first)}
    for who in orders:
        history = [
            {
                "user_id": way.name + who,
                "item_id": name,
                "event": "view_item",
                "occurred_at": f"2026-06-{day:02}T12:00:00Z",
            }
            for day, name in enumerate(taste, 1)
        ]
        sent(way.write, "/v1/interactions/batch", interactions=history)
    wanted: dict[str, Any] = {"n": 50, "exclude_seen": True, "explain": True}
    before = listed(way.ask, user_id=way.name + "a", **wanted)
    assert before["items"] == listed(way.ask, user_id=way.name + "b", **wanted)["items"]
    shares, after = {}, before
    for who, order in orders.items():
        for clicked in order:
            event(way.write, "view_item", clicked, user_id=way.name + who)
            last, after = after, listed(way.ask, user_id=way.name + who, **wanted)
            assert clicked not in ids(after)
            assert [row["score"] for row in after["items"]] != [row["score"] for row in last["items"]]
        # What the visit alone says: the last click says most of it.
        visit = listed(way.ask, user_id=way.name + who, sources=["session"], **wanted)["items"]
        assert {row["source"] for row in visit} == {"session"}
        shares[who] = {
            (row["item_id"], evidence["item_id"]): evidence["weight"]
            for row in visit
            for evidence in row["reason"]["because"]
        }
    for late, early, click in (("a", "b", second), ("b", "a", first)):
        both = [pair for pair in shares[late].keys() & shares[early].keys() if pair[1] == click]
        assert sum(shares[late][pair] for pair in both) > sum(shares[early][pair] for pair in both)
    told = [scores(way.ask, others, user_id=way.name + who) for who in orders]
    assert told[0] != told[1]
    session: dict[str, Any] = {"events": [{"item_id": name} for name in (*taste, *orders["b"])]}
    assert scores(way.ask, others, session=session) != scores(
        way.ask, others, session={"events": session["events"][::-1]}
    ), "also those of a visit that the request tells"


def test_what_an_item_costs_and_is(way: Way) -> None:
    chosen, tag = catalogue(way.write)[3], way.name
    path = f"/v1/items/{chosen}"
    was = got(way.write, path)
    filters: dict[str, dict[str, Any]] = {
        "price > 90000": {"price": 99_000.5},
        f"category under '{tag}'": {"categories": [f"{tag} > Deep"]},
        f"attributes.fresh = '{tag}'": {"attributes": {"fresh": tag}},
        f"tags has '{tag}' and brand = '{tag}'": {"tags": [tag], "brand": tag},
    }
    for text, change in filters.items():
        assert listed(way.ask, filter=text)["items"] == []
        sent(way.write, path, "PATCH", **change)
        found = listed(way.ask, filter=text, fields=["price", "brand"])["items"]
        assert [row["item_id"] for row in found] == [chosen]
    assert found[0]["item"] == {"price": 99_000.5, "brand": tag}
    assert ids(got(way.ask, "/v1/latest", category=tag)) == [chosen]
    assert ids(got(way.ask, "/v1/users/nobody/recommendations", category=tag)) == [chosen]
    back = {name: was[name] for name in ("price", "categories", "tags", "brand")}
    sent(way.write, path, "PATCH", **back, attributes={"fresh": None})
    assert [listed(way.ask, filter=text)["items"] for text in filters] == [[]] * 4


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
    ids=["out of stock", "expired", "not yet", "deleted"],
)
def test_what_cannot_be_bought(way: Way, away: dict[str, Any] | None, back: dict[str, Any] | None) -> None:
    gone, neighbour = ids(listed(way.ask, n=2))
    path = f"/v1/items/{gone}"
    whole = got(way.write, path)
    request: dict[str, Any] = {"n": 500, "exclude_seen": False}

    def shown() -> list[bool]:
        lists = [got(way.ask, f"/v1/{name}", n=500) for name in ("popular", "latest")]
        lists += [got(way.ask, f"/v1/items/{neighbour}/similar", n=500), listed(way.ask, **request)]
        lists += sent(way.ask, "/v1/recommendations/batch", requests=[{**request, "user_id": "u000001"}])[
            "results"
        ]
        lists.append(listed(way.ask, pins=[{"position": 1, "item_id": gone}]))
        return [gone in ids(body) for body in lists]

    before = shown()
    assert before == [True] * 6
    if away is None:
        sent(way.write, path, "DELETE")
        assert way.ask.get(path).status_code == 404
    else:
        sent(way.write, path, "PATCH", **away)
    assert shown() == [False] * 6
    kept = {name: whole[name] for name in whole if name not in ("item_id", "created_at", "updated_at")}
    sent(way.write, path, "PUT" if back is None else "PATCH", **(kept if back is None else back))
    assert shown() == before


def test_a_new_item(way: Way) -> None:
    """It is recommended by what it is described like, and to have chosen it says something."""
    fan, friend = way.name, way.name + "-2"
    for name in catalogue(way.write)[:4]:
        event(way.write, "purchase", name, user_id=fan)
    liked = listed(way.ask, user_id=fan, n=1, exclude_seen=True)["items"][0]
    like = got(way.write, f"/v1/items/{liked['item_id']}")
    told = {name: like[name] for name in ("title", "description", "categories", "brand", "tags", "price")}
    new = f"new-{way.name}"
    sent(way.write, f"/v1/items/{new}", "PUT", **told)
    found = listed(way.ask, user_id=fan, n=30, exclude_seen=True, explain=True)["items"]
    (came,) = [row for row in found if row["item_id"] == new]
    assert came["source"] == "content"
    assert came["reason"]["text"]
    assert 0 < came["score"] < liked["score"]
    assert scores(way.ask, [new], user_id=fan)[new] > 0
    assert new in ids(got(way.ask, f"/v1/items/{liked['item_id']}/similar", n=50))
    assert new in ids(got(way.ask, "/v1/latest", n=1))
    event(way.write, "view_item", new, user_id=friend)
    rows = listed(way.ask, user_id=friend, explain=True, exclude_seen=True)["items"]
    assert new in {evidence["item_id"] for row in rows for evidence in row["reason"]["because"]}
    sent(way.write, f"/v1/items/{new}", "DELETE")
    assert new not in ids(listed(way.ask, user_id=fan, n=500))


def test_a_correction(way: Way) -> None:
    user, items = way.name, catalogue(way.write)
    for name in items[:2]:
        event(way.write, "purchase", name, user_id=user)

    def because() -> set[str]:
        rows = listed(way.ask, user_id=user, explain=True, n=40)["items"]
        return {evidence["item_id"] for row in rows for evidence in row["reason"]["because"]}

    assert because() == {*items[:2]}
    path = f"/v1/users/{user}/corrections"
    made = sent(way.write, path, item_id=items[0], kind="gift")
    assert because() == {items[1]}
    sent(way.write, f"{path}/{made['correction_id']}", "DELETE")
    assert because() == {*items[:2]}
    unwanted = ids(listed(way.ask, user_id=user))[0]
    sent(way.write, path, item_id=unwanted, kind="not_interested")
    assert unwanted not in ids(listed(way.ask, user_id=user, n=500, exclude_seen=False))


def test_an_erased_person(way: Way, trained: TrainedShop) -> None:
    """Somebody of whom the model was trained is in no answer any more."""
    people = [user["user_id"] for user in trained.shop.users()]
    user = people[5 + len(way.name) % 2]
    told = got(way.ask, f"/v1/users/{user}/interactions")["interactions"]
    assert len(told) > 3
    own = ("", "/interactions", "/profile", "/segments", "/predictions", "/similar", "/relations", "/export")
    assert {way.ask.get(f"/v1/users/{user}{part}").status_code for part in own} == {200}
    segments = got(way.ask, f"/v1/users/{user}/segments")["segments"]
    places = [f"/v1/segments/{segment['segment_id']}/users?limit=1000" for segment in segments]
    near = got(way.ask, f"/v1/users/{user}/similar", n=50)["users"]
    places += [f"/v1/users/{other['user_id']}/similar?n=50" for other in near[:5]]
    places += ["/v1/users?limit=1000"]

    def naming() -> list[bool]:
        answers = [way.ask.get(path) for path in places]
        assert {answer.status_code for answer in answers} == {200}
        return [f'"{user}"' in answer.text for answer in answers]

    before = naming()
    assert all(before[: len(segments)])
    assert before[-1]
    assert any(before[len(segments) : -1])
    items = [row["item_id"] for row in told if row["item_id"] is not None]
    assert listed(way.ask, user_id=user)["warnings"] == []
    sent(way.write, f"/v1/users/{user}", "DELETE")
    assert not any(naming())
    assert {way.ask.get(f"/v1/users/{user}{part}").status_code for part in own} == {404}
    nobody = listed(way.ask, user_id="nobody", n=30)
    left = listed(way.ask, user_id=user, n=30)
    assert (left["items"], left["warnings"]) == (nobody["items"], nobody["warnings"])
    assert scores(way.ask, items, user_id=user) == scores(way.ask, items, user_id="nobody")
    rated: dict[str, Any] = {"item_ids": items[:3]}
    assert (
        sent(way.ask, "/v1/predictions/ratings", user_id=user, **rated)["predictions"]
        == sent(way.ask, "/v1/predictions/ratings", user_id="nobody", **rated)["predictions"]
    )


def test_a_session_and_whose_it_is(way: Way) -> None:
    session, user = f"s-{way.name}", way.name
    items = catalogue(way.write)
    wanted: dict[str, Any] = {"session": {"session_id": session}, "exclude_seen": True, "n": 30}
    before = listed(way.ask, **wanted)
    chosen = ids(before)[1]
    event(way.write, "add_to_cart", chosen, session_id=session)
    after = listed(way.ask, **wanted)
    assert chosen not in ids(after)
    assert after["items"] != [row for row in before["items"] if row["item_id"] != chosen]
    visit = scores(way.ask, items, session={"session_id": session})
    assert scores(way.ask, items, user_id=user) != visit
    assert sent(way.write, f"/v1/users/{user}/merge", session_id=session)["merged"] == 1
    assert scores(way.ask, items, user_id=user) == visit
    assert chosen not in ids(listed(way.ask, user_id=user, exclude_seen=True, n=500))
    event(way.write, "view_item", items[9], session_id=session)
    told = got(way.ask, f"/v1/users/{user}/interactions")["interactions"]
    assert {row["item_id"] for row in told} == {chosen, items[9]}


def test_a_scenario(way: Way) -> None:
    path = f"/v1/scenarios/{way.name}"[:70].lower()
    name = path.rpartition("/")[2]
    unknown = listed(way.ask, scenario=name)
    assert (unknown["scenario"], len(unknown["items"])) == (None, 10)
    for n in (3, 5):
        sent(way.write, path, "PUT", settings={"n": n})
        assert len(listed(way.ask, scenario=name)["items"]) == n
    sent(way.write, path, "DELETE")
    assert listed(way.ask, scenario=name)["scenario"] is None


def test_a_key(way: Way) -> None:
    made = sent(way.write, "/v1/keys", name=way.name, scopes=["query"])

    def status(key: str) -> int:
        return way.ask.get("/v1/popular", headers={"Authorization": f"Bearer {key}"}).status_code

    assert status(made["key"]) == 200
    rotated = sent(way.write, f"/v1/keys/{made['key_id']}/rotate", overlap_seconds=0)
    assert (status(made["key"]), status(rotated["key"])) == (401, 200)
    sent(way.write, f"/v1/keys/{rotated['key_id']}", "DELETE")
    assert status(rotated["key"]) == 401


def test_what_is_popular_and_trending(way: Way) -> None:
    chosen = catalogue(way.write)[-1 - way.name.endswith("back")]

    def counted(name: str) -> float:
        rows = got(way.ask, f"/v1/{name}", n=500, window="1h")["items"]
        return sum(float(row["score"]) for row in rows if row["item_id"] == chosen)

    popular, trending = counted("popular"), counted("trending")
    event(way.write, "purchase", chosen, user_id=way.name)
    assert counted("popular") == popular + 5
    assert counted("trending") > trending
    order = {"order_id": way.name, "user_id": way.name, "currency": "EUR"}
    sent(way.write, "/v1/orders", **order, items=[{"item_id": chosen, "quantity": 1, "price": 2.0}])
    assert counted("popular") == popular + 10


def test_who_somebody_is(way: Way) -> None:
    user, rule = way.name, f"vip-{way.name}"[:60].lower()
    event(way.write, "view_item", catalogue(way.write)[0], user_id=user)
    sent(way.write, f"/v1/users/{user}", "PATCH", attributes={"vip": True})
    sent(way.write, f"/v1/segment-rules/{rule}", "PUT", name="VIP", filter="vip = true")

    def segments() -> set[str]:
        return {segment["segment_id"] for segment in got(way.ask, f"/v1/users/{user}/segments")["segments"]}

    assert f"rule-{rule}" in segments()
    sent(way.write, f"/v1/users/{user}", "PATCH", attributes={"vip": False})
    assert f"rule-{rule}" not in segments()
    assert got(way.ask, f"/v1/users/{user}/profile")["attributes"] == {"vip": False}
