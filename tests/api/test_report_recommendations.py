"""What recommendations led to: a handmade world against a naive count, and intervals against known ones."""

import csv
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from io import StringIO
from math import sqrt
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.core.clock import rfc3339, to_ms
from app.db.queries.shown import ShownList, insert_shown
from app.schemas.reports import RecommendationReport
from app.services.reports import recommendations as service
from app.services.reports.intervals import Clustered, mean
from tests.api.conftest import ENGINES, new_database
from tests.api.serving import assert_problem, serving
from tests.api.test_reports import event, send, table

DAYS = ("2026-03-01", "2026-03-02", "2026-03-04")
WINDOW = {"from": "2026-03-01", "to": "2026-03-04"}
"""The lists of the third day are not in it."""
DIMENSIONS = ("scenario", "source", "model_version", "day")
CLICKS = ("view_item", "select_item", "add_to_cart", "own_event")
OTHERS = ("view_item_list", "view_promotion", "search", "remove_from_cart", "service_contact")


class World:
    """Lists and events by chance, and what is to be found of them."""

    def __init__(self) -> None:
        chance = random.Random(7)
        self.lists = [self._list(chance, number) for number in range(60)]
        self.events = [made for each in self.lists for made in self._events(chance, each)]
        self.events.append(self._event("view_item", "i0", "2026-03-02", "nobody-knows"))
        self.events.append(self._event("view_item", "i0", "2026-03-09", "nobody-knows"))
        for number, made in enumerate(self.events):
            made["event_id"] = f"e{number}"

    def _list(self, chance: random.Random, number: int) -> ShownList:
        items = chance.sample([f"i{item}" for item in range(12)], chance.choice((0, 1, 4, 9)))
        sources = [chance.choice(("collaborative", "popular", "latest")) for _ in items]
        day = chance.choice(DAYS)
        shown_at = to_ms(datetime.fromisoformat(f"{day}T00:00Z")) + chance.randrange(86_400_000)
        scenario, version = chance.choice((None, "home", "cart")), chance.choice((None, "v1"))
        name = f"list-{number}"
        return ShownList(name, None, None, None, scenario, version, shown_at, tuple(items), tuple(sources))

    def _events(self, chance: random.Random, of: ShownList) -> Iterator[dict[str, Any]]:
        for item in of.item_ids:
            for _ in range(chance.choice((0, 0, 1, 3))):
                name = chance.choice(CLICKS + OTHERS + ("purchase", "refund"))
                money = chance.choice(({}, {"price": 5.5}, {"price": 2.0, "quantity": 3, "currency": "EUR"}))
                foreign = {"price": 99.0, "currency": "USD"} if chance.random() < 0.1 else money
                yield self._event(name, item, "2026-03-20", of.recommendation_id, **foreign)
        if chance.random() < 0.3:
            yield self._event("purchase", "i-other", "2026-03-20", of.recommendation_id, price=7)

    def _event(self, name: str, item: str, day: str, of: str, **fields: Any) -> dict[str, Any]:
        return event("ana", name, item, day, recommendation_id=of, **fields)

    def naive(self, by: tuple[str, ...]) -> dict[tuple[Any, ...], dict[str, Any]]:
        """Figures by group, counted item by item."""
        found: dict[tuple[Any, ...], dict[str, Any]] = {}
        lists = defaultdict(set)
        for each in self.lists:
            day = _day(each.shown_at)
            if day == DAYS[2]:
                continue
            if "source" not in by:
                lists[self._key(by, each, "", day)].add(each.recommendation_id)
            for item, source in zip(each.item_ids, each.sources, strict=True):
                key = self._key(by, each, source, day)
                lists[key].add(each.recommendation_id)
                figures = found.setdefault(key, defaultdict(float))
                theirs = [
                    made
                    for made in self.events
                    if (made["recommendation_id"], made["item_id"]) == (each.recommendation_id, item)
                ]
                names = {made["event"] for made in theirs}
                figures["shown"] += 1
                figures["clicks"] += bool(names & set(CLICKS))
                figures["conversions"] += "purchase" in names
                for made in theirs:
                    amount = made.get("price", 0) * made.get("quantity", 1)
                    if made.get("currency") != "USD":
                        figures["gross"] += amount * (made["event"] == "purchase")
                        figures["refunds"] += amount * (made["event"] == "refund")
        for key, theirs_ in lists.items():
            found.setdefault(key, defaultdict(float))["lists"] = len(theirs_)
        return found

    @staticmethod
    def _key(by: tuple[str, ...], of: ShownList, source: str, day: str) -> tuple[Any, ...]:
        values = {"scenario": of.scenario, "source": source, "model_version": of.model_version, "day": day}
        return tuple(values[name] for name in by)


def _day(milliseconds: int) -> str:
    return rfc3339(milliseconds)[:10]


WORLD = World()


@pytest.fixture(scope="module", params=ENGINES)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("shop")
    with new_database(request, request.param, folder, None) as url, serving(url, folder) as client:
        items = [{"item_id": f"i{number}", "currency": "EUR"} for number in range(12)]
        assert client.post("/v1/items/batch", json={"items": items}).status_code == 200
        send(client, *WORLD.events)
        with client.app.state.edge.database.write() as connection:  # type: ignore[attr-defined]
            assert insert_shown(connection, WORLD.lists) == len(WORLD.lists)
        yield client


def ask(client: TestClient, **params: Any) -> dict[str, Any]:
    response = client.get("/v1/reports/recommendations", params=params)
    assert response.status_code == 200, response.text
    RecommendationReport.model_validate_json(response.content)
    body: dict[str, Any] = response.json()
    return body


@pytest.mark.parametrize(
    "by", [(), *((name,) for name in DIMENSIONS), ("day", "source"), ("scenario", "model_version")]
)
def test_all_figures_are_those_of_a_naive_count(shop: TestClient, by: tuple[str, ...]) -> None:
    body = ask(shop, **WINDOW, by=by)
    assert body["by"] == list(by or ("scenario",))
    assert body["currency"] == "EUR"
    groups = {tuple(group[name] for name in by): group for group in body["groups"]} if by else {}
    groups = groups or {(): body["totals"]}
    wanted = WORLD.naive(by)
    assert groups.keys() == wanted.keys()
    assert list(groups) == sorted(groups, key=lambda key: [(value is not None, value) for value in key])
    for key, figures in wanted.items():
        found = groups[key]
        for name in ("lists", "shown", "clicks", "conversions"):
            assert found[name] == figures[name], (key, name)
        for name in ("gross", "refunds"):
            assert found[name] == pytest.approx(figures[name])
        assert found["revenue"] == pytest.approx(figures["gross"] - figures["refunds"])
        if figures["shown"]:
            ctr, bought = found["ctr"], found["conversion_rate"]
            assert ctr["value"] == pytest.approx(figures["clicks"] / figures["shown"], abs=1e-6)
            assert bought["value"] == pytest.approx(figures["conversions"] / figures["shown"], abs=1e-6)
            assert figures["lists"] < 2 or 0 <= ctr["low"] <= ctr["value"] <= ctr["high"] <= 1
        per_list = (figures["gross"] - figures["refunds"]) / figures["lists"]
        assert found["revenue_per_1000_lists"]["value"] == pytest.approx(1000 * per_list, abs=1e-3)


def test_what_is_not_counted_is_said(shop: TestClient) -> None:
    body = ask(shop, **WINDOW)
    stray = [made for made in WORLD.events if made["item_id"] == "i-other"]
    shown = {each.recommendation_id for each in WORLD.lists if _day(each.shown_at) != DAYS[2]}
    strays = sum(made["recommendation_id"] in shown for made in stray)
    assert strays > 3
    assert body["uncounted"] == {"unknown_list": 1, "not_in_list": strays}
    text = " ".join(body["warnings"])
    assert f"did not show their item: {strays}." in text
    assert "not recorded: 1." in text
    assert "Only purchases and refunds in EUR are counted in money; there are others in USD." in text
    assert "Purchases without a price" in text
    dollars = ask(shop, **WINDOW, currency="USD")
    assert dollars["currency"] == "USD"
    assert dollars["totals"]["gross"] % 99 == 0
    assert dollars["totals"]["clicks"] == body["totals"]["clicks"]


def test_the_window_ends_with_what_was_shown_last(shop: TestClient) -> None:
    body = ask(shop)
    assert body["as_of"] == "2026-03-20T12:00:00.000Z"
    assert body["totals"]["lists"] == len(WORLD.lists)
    answer = shop.get("/v1/users/ana/recommendations", params={"n": 3}).json()
    shop.app.state.shown._wake.set()  # type: ignore[attr-defined]
    while (body := ask(shop, by="model_version"))["as_of"] <= answer["as_of"]:
        pass
    assert body["totals"]["lists"] == 1  # the 30 days before it
    assert body["totals"]["shown"] == len(answer["items"])
    nothing = ask(shop, **{"from": "2020-01-01", "to": "2020-02-01"})
    assert nothing["groups"] == []
    assert nothing["totals"]["ctr"] == {"value": None, "low": None, "high": None}
    assert "no list is recorded" in nothing["warnings"][0]


def test_as_a_table(shop: TestClient) -> None:
    rows = table(shop, "recommendations", **WINDOW, by=["day", "source"])
    body = ask(shop, **WINDOW, by=["day", "source"])
    assert len(rows) == len(body["groups"]) > 3
    first, group = rows[0], body["groups"][0]
    assert list(first)[:4] == ["day", "source", "currency", "lists"]
    assert (first["day"], first["source"], first["currency"]) == (group["day"], group["source"], "EUR")
    assert float(first["ctr_high"]) == group["ctr"]["high"]
    assert float(first["revenue_per_1000_lists"]) == group["revenue_per_1000_lists"]["value"]
    assert all(cell != "" for name, cell in first.items() if name in ("lists", "shown", "clicks", "revenue"))
    assert next(csv.reader(StringIO(",".join(first)))) == list(service.columns(["day", "source"]))


def test_what_cannot_be_asked(shop: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/v1/reports/recommendations"
    for wrong in ({"by": "week"}, {"by": ["day"] * 5}, {"currency": "eur"}, {"from": "soon"}):
        assert shop.get(path, params=wrong).status_code == 422
    late = shop.get(path, params={"from": "2026-03-02", "to": "2026-03-01"})
    assert_problem(late, 422, "bad_window", "/query/from")
    monkeypatch.setattr(service, "MAX_GROUPS", 3)
    assert_problem(shop.get(path, params={**WINDOW, "by": DIMENSIONS}), 422, "too_many_groups", "/query/by")


def test_people_of_one_mind_are_worth_one() -> None:
    def rate(*hits: int, units: int = 20) -> tuple[float, float]:
        sums = Clustered()
        sums.add_clusters(units, len(hits))
        for each in hits:
            sums.add_hits(units, each)
        found = sums.rate()
        assert found["value"] == pytest.approx(sum(hits) / units / len(hits))
        return found["low"], found["high"]

    spread = rate(*[1] * 100)
    share, n, t = 0.05, 2_000, 1.984217
    middle = (share + t * t / 2 / n) / (1 + t * t / n)
    half = t * sqrt(share * (1 - share) / n + t * t / 4 / n**2) / (1 + t * t / n)
    assert spread == pytest.approx((middle - half, middle + half), abs=1e-6)  # as if items were independent
    bunched = rate(*[20] * 5, *[0] * 95)
    n = 99  # all items of a list alike: a list is worth one item, with a degree of freedom less
    middle = (share + t * t / 2 / n) / (1 + t * t / n)
    half = t * sqrt(share * (1 - share) / n + t * t / 4 / n**2) / (1 + t * t / n)
    assert bunched == pytest.approx((middle - half, middle + half), abs=1e-6)
    low, high = rate(*[0] * 100)
    assert low == 0.0
    assert 0.0015 < high < 0.0025  # nothing seen is not never
    assert rate(20, 20)[0] < 1.0 == rate(20, 20)[1]
    alone = Clustered()
    alone.add_clusters(20, 1)
    assert alone.rate() == {"value": 0.0, "low": None, "high": None}


def test_most_intervals_hold_the_truth() -> None:
    chance = random.Random(1)
    rates = means = 0
    for _ in range(300):
        sums, total, squares = Clustered(), 0.0, 0.0
        sums.add_clusters(10, 60)
        for _ in range(60):
            inclined = chance.choice((0.0, 0.05, 0.25))  # the same person sees all items of a list
            hits = sum(chance.random() < inclined for _ in range(10))
            sums.add_hits(10, hits)
            total, squares = total + hits, squares + hits * hits
        found = sums.rate()
        rates += found["low"] <= 0.1 <= found["high"]
        found = mean(60, total, squares, 1.0, 6)
        means += found["low"] <= 1.0 <= found["high"]
    assert 273 <= rates <= 298
    assert 270 <= means <= 298


def test_a_mean_of_the_same_values_has_no_limits() -> None:
    assert mean(5, 0.0, 0.0, 1_000, 4) == {"value": 0.0, "low": None, "high": None}
    assert mean(1, 3.0, 9.0, 1_000, 4) == {"value": 3000.0, "low": None, "high": None}
    assert mean(2, 4.0, 10.0, 1, 3) == {"value": 2.0, "low": -10.706, "high": 14.706}
