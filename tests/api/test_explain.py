"""Reasons name the person's own items that carried the score: a shop in which the right ones are known."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.core.settings import Settings
from app.db.session import Database
from app.schemas.recommendations import Reason
from app.trainer import options_of
from app.training.worker import Trainer
from tests.api.conftest import ENGINES, new_database
from tests.api.serving import serving
from tests.api.test_ask import ids, recommended, sent

START = datetime(2026, 8, 1, tzinfo=UTC)
RUNNING = [f"run{number}" for number in range(7)]
KITCHEN = [f"pan{number}" for number in range(7)]
A, C = "run0", "run1"
B, D = "pan0", "pan1"


def catalogue() -> Iterator[dict[str, Any]]:
    for number, item_id in enumerate(RUNNING):
        yield {
            "item_id": item_id,
            "title": f"Swift trainer {number}",
            "categories": ["Sport > Running"],
            "brand": "Hermes",
        }
    for number, item_id in enumerate(KITCHEN):
        yield {"item_id": item_id, "title": f"Copper pot {number}", "categories": ["Home > Kitchen"]}


def purchases() -> Iterator[dict[str, Any]]:
    """60 runners and 45 cooks; A and C go together, B and D do, and nobody has of both kinds."""
    rng = np.random.default_rng(5)
    for kind, count, items in (("r", 60, RUNNING), ("k", 45, KITCHEN)):
        for person in range(count):
            others = rng.permutation(np.arange(2, 7))[:3]
            chosen = [items[0], items[1], *(items[other] for other in others)]
            for place in rng.permutation(len(chosen)).tolist():
                moment = START + timedelta(days=int(rng.integers(80)), minutes=person * 7 + place)
                yield {
                    "user_id": f"{kind}{person}",
                    "item_id": chosen[place],
                    "event": "purchase",
                    "occurred_at": moment.isoformat(),
                }


@pytest.fixture(scope="module", params=ENGINES)
def known_shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    folder: Path = tmp_path_factory.mktemp("known")
    with (
        new_database(request, request.param, folder, None) as url,
        serving(url, folder / "artifacts") as client,
    ):
        for path, entries in (("items", catalogue()), ("interactions", purchases())):
            answer = client.post(f"/v1/{path}/batch", json={path: list(entries)})
            assert answer.status_code == 200, answer.text
            assert answer.json()["rejected"] == 0
        for kind, count in (("r", 60), ("k", 45)):
            for person in range(count):
                other = f"{kind}{(person + 1) % count}"
                tie = client.put(f"/v1/users/{kind}{person}/relations/{other}", json={"kind": "friend"})
                assert tie.status_code == 200, tie.text
        assert client.post("/v1/training-runs").status_code == 202
        database = Database(url)
        Trainer(database, options_of(Settings(database_url=url, artifacts=folder / "artifacts"))).work_once()
        database.close()
        run = client.get("/v1/training-runs", params={"limit": 1}).json()["training_runs"][0]
        assert run["state"] == "succeeded", run
        version = client.get("/v1/models").json()["models"][0]["version"]
        assert client.post(f"/v1/models/{version}/activate").status_code == 200
        yield client


def reasons(client: TestClient, **request: Any) -> dict[str, dict[str, Any]]:
    """The reason of each recommended item; all as the schema says."""
    body = recommended(client, explain=True, n=20, **request)
    for item in body["items"]:
        reason = Reason.model_validate(item["reason"])
        assert reason.text
        weights = [evidence.weight for evidence in reason.because]
        assert weights == sorted(weights, reverse=True)
        assert all(weight > 0 for weight in weights)
        assert sum(weights) <= 1.001
    return {item["item_id"]: item["reason"] for item in body["items"]}


def test_who_bought_a_and_b_gets_c_because_of_a_alone(known_shop: TestClient) -> None:
    for item_id in (A, B):
        sent(known_shop, "view_item", item_id, user_id="zoe")
        sent(known_shop, "purchase", item_id, user_id="zoe")
    found = reasons(known_shop, user_id="zoe", exclude_seen=True)
    for wanted, own, other in ((C, A, B), (D, B, A)):
        because = found[wanted]["because"]
        assert because[0]["item_id"] == own
        assert because[0]["event"] == "purchase"
        assert because[0]["weight"] > 0.3
        assert other not in [evidence["item_id"] for evidence in because]
    assert found[C]["text"] in (
        "Because you bought: Swift trainer 0",
        "Similar to what you bought: Swift trainer 0",
        "Popular in Running, from which you bought: Swift trainer 0",
    )


def test_what_was_only_looked_at_is_told_so(known_shop: TestClient) -> None:
    sent(known_shop, "view_item", B, user_id="xena")
    reason = reasons(known_shop, user_id="xena", exclude_seen=True)[D]
    assert [(one["item_id"], one["event"]) for one in reason["because"]] == [(B, "view_item")]
    assert "you looked at: Copper pot 0" in reason["text"]


def test_a_session_of_another_order_gets_the_same_evidence(known_shop: TestClient) -> None:
    events = [{"item_id": item_id, "event": "add_to_cart"} for item_id in (A, B)]
    for order in (events, events[::-1]):
        because = reasons(known_shop, session={"events": order})[C]["because"]
        assert [(one["item_id"], one["event"]) for one in because] == [(A, "add_to_cart")]


def test_an_item_that_nobody_has_chosen_is_told_by_what_it_is_like(known_shop: TestClient) -> None:
    fresh = {"title": "Swift spike", "categories": ["Sport > Running"], "brand": "Hermes"}
    assert known_shop.put("/v1/items/fresh", json=fresh).status_code == 200
    try:
        sent(known_shop, "purchase", A, user_id="yan")
        sent(known_shop, "purchase", B, user_id="yan")
        reason = reasons(known_shop, user_id="yan", exclude_seen=True)["fresh"]
    finally:
        assert known_shop.delete("/v1/items/fresh").status_code in (200, 204)
    assert reason["source"] == "content"
    assert {alike["item_id"] for alike in reason["similar_to"]} <= set(RUNNING)
    assert sum(alike["weight"] for alike in reason["similar_to"]) <= 1.001
    assert [evidence["item_id"] for evidence in reason["because"]] == [A]
    first = reason["similar_to"][0]
    assert first["title"] in reason["text"]
    assert reason["text"].startswith("Similar to")
    assert {"Running", "Hermes", "Swift"} & set(reason["shared"])
    assert not {"Kitchen", "spike"} & set(reason["shared"])


def test_interest_in_an_item_newer_than_the_model_is_taste_at_once(known_shop: TestClient) -> None:
    fresh = {"title": "Copper pot deluxe", "categories": ["Home > Kitchen"]}
    assert known_shop.put("/v1/items/deluxe", json=fresh).status_code == 200
    try:
        for event in ("view_item", "purchase"):
            sent(known_shop, event, "deluxe", user_id=f"new {event}")
            found = reasons(known_shop, user_id=f"new {event}", exclude_seen=True)
            assert "deluxe" not in found
            # All seven pots come before anything else, and the new pot is named as what they follow from.
            assert set(list(found)[:7]) == set(KITCHEN)
            named = [(one["item_id"], one["event"]) for one in found[D]["because"]]
            assert named == [("deluxe", event)]
    finally:
        assert known_shop.delete("/v1/items/deluxe").status_code == 204


def test_what_the_shop_has_no_more_is_not_named_as_alike(known_shop: TestClient) -> None:
    fresh = {"title": "Swift spike", "categories": ["Sport > Running"], "brand": "Hermes"}
    gone = RUNNING[2:]
    assert known_shop.put("/v1/items/fresh", json=fresh).status_code == 200
    whole = {item_id: known_shop.get(f"/v1/items/{item_id}").json() for item_id in gone}
    try:
        for item_id in gone:
            assert known_shop.delete(f"/v1/items/{item_id}").status_code in (200, 204)
        sent(known_shop, "purchase", A, user_id="wim")
        reason = reasons(known_shop, user_id="wim")["fresh"]
    finally:
        known_shop.delete("/v1/items/fresh")
        for item_id, item in whole.items():
            fields = {name: item[name] for name in ("title", "categories", "brand")}
            assert known_shop.put(f"/v1/items/{item_id}", json=fields).status_code == 200
    assert not set(gone) & {alike["item_id"] for alike in reason.get("similar_to", [])}
    assert [evidence["item_id"] for evidence in reason["because"]] == [A]


def test_newcomers_are_told_how_many_of_their_circle_like_an_item_and_not_who(known_shop: TestClient) -> None:
    assert known_shop.put("/v1/users/ida", json={}).status_code == 200
    for friend in ("k1", "k2", "k3"):
        tie = known_shop.put(f"/v1/users/ida/relations/{friend}", json={"kind": "friend"})
        assert tie.status_code == 200
    found = reasons(known_shop, user_id="ida")
    social = {item_id: reason for item_id, reason in found.items() if reason["source"] == "social"}
    assert social, found
    for item_id, reason in social.items():
        events = known_shop.get("/v1/users/k1/interactions").json()["interactions"]
        assert events
        liked = sum(
            item_id
            in {e["item_id"] for e in known_shop.get(f"/v1/users/{who}/interactions").json()["interactions"]}
            for who in ("k1", "k2", "k3")
        )
        assert reason["related_users"] == liked
        assert reason["because"] == []
        assert not {"k1", "k2", "k3"} & set(map(str, reason.values()))
    assert found[D]["related_users"] == 3


def test_of_nobody_reasons_are_impersonal(known_shop: TestClient) -> None:
    found = reasons(known_shop, user_id="nobody knows")
    assert set(found) == {*RUNNING, *KITCHEN}
    for reason in found.values():
        assert reason["because"] == []
        assert reason["source"] in ("popular", "trending", "latest")
        assert "related_users" not in reason


def test_reasons_change_nothing_of_the_list(known_shop: TestClient) -> None:
    sent(known_shop, "purchase", RUNNING[3], user_id="uma")
    plain = recommended(known_shop, user_id="uma", n=20)
    told = recommended(known_shop, user_id="uma", n=20, explain=True)
    assert ids(plain) == ids(told)
    assert all("reason" not in item for item in plain["items"])
    assert all(item["reason"]["source"] == item["source"] for item in told["items"])
