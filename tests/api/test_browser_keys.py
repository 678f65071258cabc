"""What a key that stands in a page, where anybody can read it, tells about people: nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.api.browsers import _untold
from app.services.user_tokens import token_of
from tests.api.conftest import TrainedShop, new_database
from tests.api.serving import assert_problem, serving

SECRET = "known to the shop's backend alone"


class Shop:
    """A trained shop with a key for pages and one for its backend."""

    def __init__(self, client: TestClient, trained: TrainedShop) -> None:
        self.client = client
        self.admin = self._key("admin")
        self.track = {"X-API-Key": self._key("track")}
        self.backend = {"X-API-Key": self._key("query", "ingest")}
        self.user = next(
            event["user_id"]
            for event in trained.shop.interactions()
            if event["event"] == "purchase" and event.get("user_id")
        )

    def _key(self, *scopes: str) -> str:
        headers = {"X-API-Key": self.admin} if hasattr(self, "admin") else {}
        made = self.client.post("/v1/keys", json={"name": "k", "scopes": scopes}, headers=headers)
        return str(made.json()["key"])

    def ask(self, headers: dict[str, str], **wanted: Any) -> Any:
        return self.client.post("/v1/recommendations", json=wanted, headers=headers)


@contextmanager
def _opened(
    trained: TrainedShop, request: pytest.FixtureRequest, folder: Path, **settings: Any
) -> Iterator[Shop]:
    with (
        new_database(request, trained.engine, folder, trained.source) as url,
        serving(url, trained.artifacts, **settings) as client,
    ):
        yield Shop(client, trained)


@pytest.fixture(scope="module")
def plain(
    trained: TrainedShop, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    with _opened(trained, request, tmp_path_factory.mktemp("plain")) as shop:
        yield shop


@pytest.fixture(scope="module")
def signed(
    trained: TrainedShop, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("signed")
    with _opened(trained, request, folder, user_token_secret=SECRET) as shop:
        yield shop


def _evidence(response: Any) -> list[Any]:
    assert response.status_code == 200, response.text
    return [each for item in response.json()["items"] for each in item["reason"]["because"]]


def test_reasons_do_not_tell_of_somebodys_history(plain: Shop) -> None:
    path = f"/v1/users/{plain.user}/recommendations"
    told = plain.client.get(path, params={"explain": True, "n": 50}, headers=plain.backend)
    assert _evidence(told)
    for untold in (
        plain.client.get(path, params={"explain": True, "n": 50}, headers=plain.track),
        plain.ask(plain.track, user_id=plain.user, explain=True, n=50),
        plain.ask(plain.track, session={"session_id": "s-81"}, explain=True),
    ):
        assert _evidence(untold) == []
        for item in untold.json()["items"]:
            assert set(item["reason"]) == {"text", "source", "because"}
            assert "you" not in item["reason"]["text"].split()[:3]
            assert item["source"] not in ("buy_again", "recent")


def test_a_page_is_told_of_what_it_sends_itself(plain: Shop) -> None:
    seen = plain.ask(plain.backend, user_id=plain.user).json()["items"][0]["item_id"]
    session = {"events": [{"item_id": seen, "event": "add_to_cart"}]}
    assert {each["item_id"] for each in _evidence(plain.ask(plain.track, session=session, explain=True))} == {
        seen
    }


@pytest.mark.parametrize(
    "asked",
    [
        {"exclude_seen": False},
        {"exclude_bought_days": 30},
        {"sources": ["buy_again"]},
        {"sources": ["popular", "recent"]},
    ],
)
def test_lists_that_would_be_a_history_are_refused(plain: Shop, asked: dict[str, Any]) -> None:
    assert plain.ask(plain.backend, user_id=plain.user, **asked).status_code == 200
    assert_problem(plain.ask(plain.track, user_id=plain.user, **asked), 403, "user_token_needed")
    session = {"session_id": "s"}
    assert_problem(plain.ask(plain.track, session=session, **asked), 403, "user_token_needed")


@pytest.mark.parametrize(
    "asked",
    [
        {"fields": ["title", "cost"]},
        {"filter": "cost > 3"},
        {"filter": "margin > 3"},
        {"boost": [{"filter": "cost > 3", "weight": 9}]},
        {"value": {"field": "margin", "weight": 0.1}},
    ],
)
def test_what_goods_cost_the_shop_is_not_for_pages(plain: Shop, asked: dict[str, Any]) -> None:
    assert plain.ask(plain.backend, **asked).status_code == 200
    assert_problem(plain.ask(plain.track, **asked), 403, "forbidden")


def test_a_scenario_does_not_tell_more(plain: Shop) -> None:
    settings: dict[str, Any] = {"explain": True, "fields": ["title", "cost"], "exclude_seen": False, "n": 50}
    settings["value"] = {"field": "margin", "weight": 0.1}
    admin = {"X-API-Key": plain.admin}
    saved = plain.client.put("/v1/scenarios/again", json={"settings": settings}, headers=admin)
    assert saved.status_code in (200, 201), saved.text
    told = plain.ask(plain.backend, user_id=plain.user, scenario="again")
    untold = plain.ask(plain.track, user_id=plain.user, scenario="again")
    assert _evidence(told)
    assert _evidence(untold) == []
    items, others = told.json()["items"], untold.json()["items"]
    page = plain.client.get(f"/v1/users/{plain.user}/interactions?limit=1000", headers=admin).json()
    own = {event["item_id"] for event in page["interactions"]}
    # What the person saw may return by the scenario, but not for the public to see what is missing elsewhere.
    assert own & {item["item_id"] for item in items}
    assert not own & {item["item_id"] for item in others}
    assert all(set(item["item"]) == {"title", "cost"} for item in items)
    assert all(set(item["item"]) == {"title"} for item in others)
    assert ("effects" in told.json(), "effects" in untold.json()) == (True, False)


@pytest.mark.parametrize("source", ["buy_again", "recent"])
def test_sources_do_not_name_a_history(source: str) -> None:
    item = {"item_id": "mug", "source": source, "reason": {"source": source, "because": [1]}}
    told = _untold(item)
    assert told["source"] == told["reason"]["source"] == "collaborative"
    assert told["reason"]["because"] == []


def test_who_is_a_customer_cannot_be_asked(plain: Shop) -> None:
    nobody = {"user_id": "nobody-at-all", "n": 3}
    assert any("unknown" in warning for warning in plain.ask(plain.backend, **nobody).json()["warnings"])
    assert plain.ask(plain.track, **nobody).json()["warnings"] == []


def test_a_repeat_looks_like_the_first_time(plain: Shop) -> None:
    event = {
        "user_id": plain.user,
        "item_id": "i000001",
        "event": "purchase",
        "occurred_at": "2026-11-20T10:00:00Z",
    }

    def send(headers: dict[str, str]) -> Any:
        one = plain.client.post("/v1/interactions", json=event, headers=headers).json()
        many = plain.client.post("/v1/interactions/batch", json={"interactions": [event]}, headers=headers)
        return one["status"], many.json()["accepted"], many.json()["duplicate"]

    assert send(plain.track) == ("accepted", 1, 0)
    assert send(plain.track) == ("accepted", 1, 0)
    assert send(plain.backend) == ("duplicate", 0, 1)


def test_the_public_adds_nothing_to_the_catalogue_and_takes_no_ids_ahead(plain: Shop) -> None:
    known = {"session_id": "page", "item_id": "i000001", "event": "view_item"}
    bad = [known | {"item_id": "SPAM"}, known | {"event": "spam_event"}]
    sent = {"interactions": [bad[0], known | {"event_id": "evt-1"}, bad[1]]}
    for event, pointer in zip(bad, ("/item_id", "/event"), strict=True):
        refused = plain.client.post("/v1/interactions", json=event, headers=plain.track)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)
    got = plain.client.post("/v1/interactions/batch", json=sent, headers=plain.track).json()
    assert (got["accepted"], got["rejected"]) == (1, 2)
    assert [(error["index"], error["code"]) for error in got["errors"]] == [
        (0, "unknown_item"),
        (2, "unknown_event"),
    ]
    assert plain.client.get("/v1/items/SPAM", headers=plain.backend).status_code == 404
    shops = plain.client.post("/v1/interactions", json=known | {"event_id": "evt-1"}, headers=plain.backend)
    assert shops.json()["status"] == "accepted"
    again = plain.client.post("/v1/interactions", json=known | {"event_id": "evt-1"}, headers=plain.backend)
    assert again.json()["status"] == "duplicate"


def test_with_a_secret_only_the_user_itself_is_served(signed: Shop) -> None:
    own = signed.track | {"X-User-Token": token_of(SECRET, signed.user)}
    others = signed.track | {"X-User-Token": token_of(SECRET, "somebody else")}
    event = {"user_id": signed.user, "item_id": "i000001", "event": "view_item"}
    calls: list[tuple[str, str, Any]] = [
        ("GET", f"/v1/users/{signed.user}/recommendations", None),
        ("POST", "/v1/recommendations", {"user_id": signed.user}),
        ("POST", "/v1/bought-together", {"user_id": signed.user, "item_ids": ["mug"]}),
        ("POST", "/v1/interactions", event),
        ("POST", "/v1/interactions/batch", {"interactions": [event]}),
    ]
    for method, path, body in calls:
        for headers in (signed.track, others, signed.track | {"X-User-Token": "é"}):
            sent: Any = {name: value.encode() for name, value in headers.items()}
            refused = signed.client.request(method, path, json=body, headers=sent)
            assert_problem(refused, 403, "user_token_needed")
        for headers in (own, signed.backend):
            assert signed.client.request(method, path, json=body, headers=headers).status_code in (200, 201)
    two = {"interactions": [event, event | {"user_id": "somebody else"}]}
    assert_problem(
        signed.client.post("/v1/interactions/batch", json=two, headers=own), 403, "user_token_needed"
    )
    stored = signed.client.get("/v1/users/somebody else/interactions", headers=signed.backend)
    assert_problem(stored, 404, "not_found")
    assert _evidence(signed.ask(own, user_id=signed.user, explain=True, exclude_seen=False, n=50))
    # Visitors without an account need no token, but then they name nobody.
    assert signed.ask(signed.track, session={"session_id": "s"}).status_code == 200
    mixed = {"user_id": signed.user, "session": {"session_id": "s"}, "explain": True}
    assert _evidence(signed.ask(own, **mixed)) == []


def test_the_token_is_what_the_guide_says() -> None:
    # printf %s ana | openssl dgst -sha256 -hmac secret
    assert token_of("secret", "ana") == ("d639a29047d9eb3abe7dffe1569390d01b3b3b5645c5b2de5b7929b7e007b845")
