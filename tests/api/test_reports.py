"""The shop's figures over HTTP: a tiny shop whose every figure is known."""

import csv
from io import StringIO
from math import sqrt
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.serving import assert_problem

PATHS = ("sales", "cohorts", "items", "categories")
WEEK = {"from": "2025-03-10", "to": "2025-03-17"}
"""A week from its Monday."""


def send(client: TestClient, *events: dict[str, Any]) -> None:
    body = {"interactions": list(events)}
    answer = client.post("/v1/interactions/batch", json=body).json()
    assert (answer["accepted"], answer["errors"]) == (len(events), []), answer


def event(who: str, what: str, item: str, day: str, **fields: Any) -> dict[str, Any]:
    whose = "session_id" if who.startswith("s-") else "user_id"
    time = day if "T" in day else f"{day}T12:00:00Z"
    return {whose: who, "event": what, "item_id": item, "occurred_at": time, **fields}


def ask(client: TestClient, report: str, **params: Any) -> dict[str, Any]:
    response = client.get(f"/v1/reports/{report}", params=params)
    assert response.status_code == 200, response.text
    assert "NaN" not in response.text
    body: dict[str, Any] = response.json()
    assert body["from"] < body["to"]
    assert body["as_of"]
    return body


def table(client: TestClient, report: str, **params: Any) -> list[dict[str, str]]:
    response = client.get(f"/v1/reports/{report}", params=params | {"format": "csv"})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert f'filename="{report}.csv"' in response.headers["content-disposition"]
    return list(csv.DictReader(StringIO(response.text, newline="")))


def totals(body: dict[str, Any], which: str) -> dict[str, Any]:
    return {name: figure[which] for name, figure in body["totals"].items()}


def figures(row: dict[str, Any], which: str) -> tuple[Any, ...]:
    return tuple(row[name][which] for name in ("units", "gross", "refunds", "revenue", "orders", "buyers"))


@pytest.fixture
def shop(client: TestClient) -> TestClient:
    catalogue = [
        # Prices of the catalogue never count.
        {"item_id": "mug", "title": "=Mug", "categories": ["Kitchen > Mugs"], "price": 99, "currency": "EUR"},
        {"item_id": "tea", "title": "Tea", "categories": ["Kitchen>Tea", "Drinks"], "price": 99},
        {"item_id": "pot", "categories": ["Kitchen > Tea", "Kitchen"]},
        {"item_id": "old", "title": "Old"},
    ]
    assert client.post("/v1/items/batch", json={"items": catalogue}).status_code == 200
    send(
        client,
        event("ana", "view_item", "mug", "2025-02-01"),
        # The week before.
        event("ana", "purchase", "mug", "2025-03-04", price=10, quantity=2, order_id="o1"),
        event("bo", "purchase", "tea", "2025-03-05", price=5),
        # The week.
        event("ana", "view_item", "mug", "2025-03-10"),
        event("ana", "purchase", "mug", "2025-03-10T00:00:00Z", price=10, order_id="o2", currency="EUR"),
        event("ana", "purchase", "tea", "2025-03-10T00:00:00Z", price=5, quantity=3, order_id="o2"),
        event("ana", "refund", "mug", "2025-03-11", price=10, order_id="o2"),
        event("cy", "purchase", "pot", "2025-03-10T10:00:00Z", price=30),
        event("cy", "purchase", "tea", "2025-03-10T15:00:00Z", price=5),
        event("cy", "purchase", "tea", "2025-03-12", price=5, quantity=2),
        event("s-1", "purchase", "old", "2025-03-12"),
        event("fay", "view_item", "mug", "2025-03-10"),
        event("fay", "view_item", "mug", "2025-03-13"),
        event("s-2", "view_item", "tea", "2025-03-13"),
        event("dee", "purchase", "mug", "2025-03-16T23:59:59.999Z", price=10, order_id="o3"),
        # After it.
        event("eve", "purchase", "mug", "2025-03-17T00:00:00Z", price=1_000, order_id="o4"),
    )
    return client


NOTHING = {
    **dict.fromkeys(("gross", "refunds", "revenue", "units"), 0.0),
    **dict.fromkeys(("orders", "customers", "new_customers", "visitors"), 0),
    **dict.fromkeys(("repeat_rate", "average_order_value", "items_per_order", "conversion")),
}


def test_sales_totals(shop: TestClient) -> None:
    body = ask(shop, "sales", **WEEK)
    assert (body["from"], body["to"]) == ("2025-03-10T00:00:00.000Z", "2025-03-17T00:00:00.000Z")
    assert (body["as_of"], body["by"], body["currency"]) == ("2025-03-17T00:00:00.000Z", "day", "EUR")
    assert totals(body, "value") == {
        "gross": 80.0,
        "refunds": 10.0,
        "revenue": 70.0,
        "orders": 5,  # o2, o3, two days of cy, one of s-1
        "units": 10.0,
        "customers": 3,
        "new_customers": 2,
        "repeat_rate": 0.666667,  # ana of the week before, cy on two days
        "average_order_value": 20.0,  # of the four that have a price
        "items_per_order": 2.0,
        "visitors": 6,
        "conversion": 0.666667,
    }
    assert totals(body, "before") == {
        "gross": 25.0,
        "refunds": 0.0,
        "revenue": 25.0,
        "orders": 2,
        "units": 3.0,
        "customers": 2,
        "new_customers": 2,
        "repeat_rate": 0.0,
        "average_order_value": 12.5,
        "items_per_order": 1.5,
        "visitors": 2,
        "conversion": None,  # nobody did anything but buy
    }
    changes = totals(body, "change")
    assert changes["gross"] == 2.2
    assert changes["customers"] == 0.5
    assert changes["refunds"] is None
    assert changes["repeat_rate"] is None
    assert changes["conversion"] is None
    unpriced, anonymous = body["warnings"]
    assert unpriced.startswith("Purchases without a price: 1 of 7.")
    assert anonymous.startswith("Purchases of sessions without a user: 1 of 7.")


def test_sales_by_day(shop: TestClient) -> None:
    series = ask(shop, "sales", **WEEK)["series"]
    assert [period["from"][:10] for period in series] == [f"2025-03-{day}" for day in range(10, 17)]
    assert [period["to"][:10] for period in series] == [f"2025-03-{day}" for day in range(11, 18)]
    bare = [{name: period[name] for name in NOTHING} for period in series]
    assert bare[0] == {
        "gross": 60.0,
        "refunds": 0.0,
        "revenue": 60.0,
        "orders": 2,
        "units": 6.0,
        "customers": 2,
        "new_customers": 1,
        "repeat_rate": 0.5,
        "average_order_value": 30.0,
        "items_per_order": 3.0,
        "visitors": 3,
        "conversion": 0.666667,
    }
    assert bare[1] == NOTHING | {"refunds": 10.0, "revenue": -10.0, "visitors": 1}
    assert bare[2] == NOTHING | {
        "gross": 10.0,
        "revenue": 10.0,
        "orders": 2,
        "units": 3.0,
        "customers": 1,
        "repeat_rate": 1.0,
        "average_order_value": 10.0,
        "items_per_order": 1.5,
        "visitors": 2,
    }
    assert bare[3] == NOTHING | {"visitors": 2, "conversion": 0.0}
    assert bare[4] == bare[5] == NOTHING
    assert bare[6]["new_customers"] == 1


def test_sales_by_week_and_month(shop: TestClient) -> None:
    weeks = ask(shop, "sales", by="week", **{"from": "2025-03-04T12:00:00Z", "to": "2025-03-18"})["series"]
    assert [(week["from"][:13], week["revenue"]) for week in weeks] == [
        ("2025-03-04T12", 25.0),
        ("2025-03-10T00", 70.0),
        ("2025-03-17T00", 1000.0),
    ]
    months = ask(shop, "sales", by="month", **{"from": "2025-01-15", "to": "2025-04-01"})["series"]
    assert [(month["from"][:10], month["revenue"], month["customers"]) for month in months] == [
        ("2025-01-15", 0.0, 0),
        ("2025-02-01", 0.0, 0),
        ("2025-03-01", 1095.0, 5),
    ]
    # ana's first purchase lies in the same month, but before the window.
    cut = ask(shop, "sales", by="month", **WEEK)
    assert [period["new_customers"] for period in cut["series"]] == [2]


def test_edges_of_the_windows(client: TestClient) -> None:
    times = ("2025-03-02T23:59:59.999Z", "2025-03-03T00:00:00Z", "2025-03-09T23:59:59.999Z")
    for number, time in enumerate((*times, "2025-03-10T00:00:00Z", "2025-03-16T23:59:59.999Z")):
        send(client, event(f"u{number}", "purchase", "mug", time, price=10**number))
    body = ask(client, "sales", **WEEK)
    assert (body["totals"]["gross"]["before"], body["totals"]["gross"]["value"]) == (110.0, 11_000.0)
    assert body["totals"]["new_customers"] == {"value": 2, "before": 2, "change": 0.0}
    mug = ask(client, "items", **WEEK)["items"][0]
    assert (mug["gross"]["before"], mug["gross"]["value"]) == (110.0, 11_000.0)


def test_order_ids_are_not_mistaken_for_days(client: TestClient) -> None:
    send(client, event("ana", "purchase", "mug", "2025-03-10", price=1))
    for start in ("", "o", "p"):  # 1 is the key of the first user, 20157 the number of the day
        send(client, event("bo", "purchase", "mug", "2025-03-10", price=1, order_id=f"{start}1/20157"))
    assert ask(client, "sales", **WEEK)["totals"]["orders"]["value"] == 4


def test_offsets_are_understood(shop: TestClient) -> None:
    body = ask(shop, "sales", **{"from": "2025-03-17T01:00:00+01:00", "to": "2025-03-16T19:00:00.001-05:00"})
    assert (body["from"], body["to"]) == ("2025-03-17T00:00:00.000Z", "2025-03-17T00:00:00.001Z")
    assert body["totals"]["gross"]["value"] == 1000.0


def test_the_present_is_the_latest_event(shop: TestClient) -> None:
    body = ask(shop, "sales")
    assert (body["from"], body["to"]) == ("2025-02-15T00:00:00.001Z", "2025-03-17T00:00:00.001Z")
    assert body["totals"]["gross"]["value"] == 1105.0
    assert any("before the shop's first event, 2025-02-01T12" in warning for warning in body["warnings"])
    assert ask(shop, "sales", **{"from": "2025-03-16"})["totals"]["gross"]["value"] == 1010.0
    assert ask(shop, "sales", to="2025-03-05")["from"] == "2025-02-03T00:00:00.000Z"
    problem = assert_problem(
        shop.get("/v1/reports/sales", params={"from": "2025-03-18"}), 422, "bad_window", "/query/from"
    )
    assert "2025-03-17" in problem["detail"]


def test_sales_of_a_category(shop: TestClient) -> None:
    for path in ("Kitchen > Tea", "Kitchen>Tea", " Kitchen >Tea "):
        body = ask(shop, "sales", category=path, **WEEK)
        found = totals(body, "value")
        assert (found["gross"], found["orders"], found["units"]) == (60.0, 3, 7.0)
        # ana bought something before: new is who is new to the shop.
        assert (found["customers"], found["new_customers"], found["repeat_rate"]) == (2, 1, 1.0)
        assert (found["visitors"], found["conversion"]) == (3, 0.666667)
    assert totals(ask(shop, "sales", category="Kitchen", **WEEK), "value")["gross"] == 80.0
    assert totals(ask(shop, "sales", category="Drinks", **WEEK), "value")["gross"] == 30.0
    nothing = ask(shop, "sales", category="Kitch", **WEEK)
    assert totals(nothing, "value") == NOTHING
    assert nothing["warnings"][0] == "No item lies under the category 'Kitch'."
    assert nothing["warnings"][1].startswith("Not enough data, needs purchases")


def test_an_order_across_midnight(client: TestClient) -> None:
    send(
        client,
        event("ana", "purchase", "mug", "2025-03-10T23:59:59.999Z", price=1, order_id="o"),
        event("ana", "purchase", "tea", "2025-03-11T00:00:00Z", price=2, order_id="o"),
        event("ana", "purchase", "mug", "2025-03-12T23:59:59.999Z", price=4),
        event("ana", "purchase", "tea", "2025-03-13T00:00:00Z", price=8),
    )
    body = ask(client, "sales", **WEEK)
    assert body["totals"]["orders"]["value"] == 3
    assert [period["orders"] for period in body["series"][:4]] == [1, 1, 1, 1]
    assert body["totals"]["repeat_rate"]["value"] == 1.0
    assert body["totals"]["new_customers"]["value"] == 1


def test_two_currencies(shop: TestClient) -> None:
    send(
        shop,
        event("ana", "purchase", "mug", "2025-03-14", price=7, currency="USD"),
        event("ana", "refund", "mug", "2025-03-14", price=2, currency="USD"),
        event("gil", "purchase", "mug", "2025-03-14", price=100, currency="JPY"),
    )
    body = ask(shop, "sales", **WEEK)
    assert (body["currency"], body["totals"]["gross"]["value"]) == ("EUR", 80.0)
    assert body["totals"]["orders"]["value"] == 5
    assert body["warnings"][0].endswith("in EUR are counted; there are others in JPY, USD.")
    for asked, gross, revenue, buyers in (
        ("USD", 7.0, 5.0, 1),
        ("JPY", 100.0, 100.0, 1),
        ("EUR", 80.0, 70.0, 4),
    ):
        body = ask(shop, "sales", currency=asked, **WEEK)
        assert body["currency"] == asked
        assert (body["totals"]["gross"]["value"], body["totals"]["revenue"]["value"]) == (gross, revenue)
        assert not any("others" in warning for warning in body["warnings"])
        sold = ask(shop, "items", currency=asked, **WEEK)
        assert sold["currency"] == asked
        assert sum(item["gross"]["value"] for item in sold["items"]) == gross
        mug = next(item for item in sold["items"] if item["item_id"] == "mug")
        assert mug["buyers"]["value"] <= buyers
        categories = ask(shop, "categories", currency=asked, **WEEK)["categories"]
        kitchen = next(row for row in categories if row["category"] == "Kitchen")
        assert kitchen["revenue"]["value"] == revenue
    body = ask(shop, "sales", currency="CHF", **WEEK)
    assert totals(body, "value")["gross"] == 0.0
    assert totals(body, "value")["average_order_value"] is None
    assert "needs purchases: there are none in CHF" in body["warnings"][0]


def test_the_main_currency_is_that_of_the_catalogue(client: TestClient) -> None:
    client.put("/v1/items/mug", json={"currency": "EUR"})
    send(
        client,
        event("ana", "purchase", "mug", "2025-03-14", price=1),
        event("ana", "purchase", "mug", "2025-03-15", price=2, currency="USD"),
        event("ana", "purchase", "mug", "2025-03-16", price=4, currency="USD"),
    )
    body = ask(client, "sales", **WEEK)
    assert (body["currency"], body["totals"]["gross"]["value"]) == ("USD", 6.0)
    assert ask(client, "sales", currency="EUR", **WEEK)["totals"]["gross"]["value"] == 1.0


def test_no_currency_at_all(client: TestClient) -> None:
    send(client, event("ana", "purchase", "mug", "2025-03-14", price=1))
    body = ask(client, "sales", **WEEK)
    assert (body["currency"], body["totals"]["gross"]["value"]) == (None, 1.0)
    assert ask(client, "sales", currency="EUR", **WEEK)["totals"]["gross"]["value"] == 0.0


def test_refunds_larger_than_sales(client: TestClient) -> None:
    send(
        client,
        event("ana", "purchase", "mug", "2025-03-05", price=2),
        event("ana", "refund", "mug", "2025-03-06", price=10),
        event("ana", "purchase", "mug", "2025-03-14", price=4, quantity=1),
        event("ana", "refund", "mug", "2025-03-14", price=5, quantity=2),
        event("ana", "refund", "tea", "2025-03-14"),
    )
    body = ask(client, "sales", **WEEK)
    assert body["totals"]["revenue"] == {"value": -6.0, "before": -8.0, "change": 0.25}
    assert body["totals"]["units"]["value"] == 1.0, "what was sold"
    assert any(warning.startswith("Refunds without a price: 1 of 2.") for warning in body["warnings"])
    items = ask(client, "items", **WEEK)["items"]
    assert [(item["item_id"], item["revenue"]["value"]) for item in items] == [("tea", 0.0), ("mug", -6.0)]
    rows = table(client, "items", **WEEK)
    assert rows[1]["revenue"] == "-6.0", "a number below 0 is no formula"


def test_refunds_alone(client: TestClient) -> None:
    send(client, event("ana", "refund", "mug", "2025-03-14", price=5))
    body = ask(client, "sales", **WEEK)
    assert totals(body, "value") == NOTHING | {"refunds": 5.0, "revenue": -5.0, "visitors": 1}
    assert body["warnings"][0].startswith("Not enough data, needs purchases")


def test_items(shop: TestClient) -> None:
    body = ask(shop, "items", **WEEK)
    found = {item["item_id"]: item for item in body["items"]}
    assert [(item["rank"], item["item_id"]) for item in body["items"]] == [
        *((1, "pot"), (2, "tea"), (3, "mug"), (4, "old"))
    ]
    # Of equal revenue: in the order in which they were first seen.
    assert figures(found["tea"], "value") == (6.0, 30.0, 0.0, 30.0, 3, 2)
    assert figures(found["tea"], "before") == (1.0, 5.0, 0.0, 5.0, 1, 1)
    assert figures(found["tea"], "change") == (5.0, 5.0, None, 5.0, 2.0, 1.0)
    assert figures(found["pot"], "value") == (1.0, 30.0, 0.0, 30.0, 1, 1)
    assert figures(found["mug"], "value") == (2.0, 20.0, 10.0, 10.0, 2, 2)
    assert figures(found["old"], "value") == (1.0, 0.0, 0.0, 0.0, 1, 1)
    assert found["mug"]["title"] == "=Mug"
    # Seven orders with items now, two before: of each before, 3.5 were to be expected.
    assert found["mug"]["growth"] == pytest.approx((2 - 3.5) / sqrt(8.5), abs=1e-6)
    assert found["pot"]["growth"] == pytest.approx(1 / sqrt(5), abs=1e-6)
    by_units = ask(shop, "items", order="units", n=2, **WEEK)["items"]
    assert [item["item_id"] for item in by_units] == ["tea", "mug"]


def test_movers(client: TestClient) -> None:
    counts = {
        "rising": (5, 20),
        "large": (20, 32),
        "small": (0, 3),
        "first": (0, 1),
        "steady": (20, 20),
        "falling": (20, 5),
        "less": (32, 20),
        "gone": (3, 0),
        "last": (1, 0),
    }
    for item, (before, now) in counts.items():
        for day, count in (("2025-03-05", before), ("2025-03-12", now)):
            if count:
                send(client, *(event(f"u{who}", "purchase", item, day, price=1) for who in range(count)))
    body = ask(client, "items", **WEEK)
    up, down = (body["movers"][way] for way in ("up", "down"))
    assert [item["item_id"] for item in up] == ["rising", "large", "small", "first"]
    assert [item["item_id"] for item in down] == ["falling", "less", "gone", "last"]
    assert [item["rank"] for item in down] == [1, 2, 3, 4]
    # As many orders with items now as before: the shop as a whole did not grow.
    for item in [*up, *down]:
        before, now = counts[item["item_id"]]
        assert item["growth"] == pytest.approx((now - before) / sqrt(before + 5), abs=1e-6)
    assert {item["item_id"] for item in body["items"]} == counts.keys() - {"gone", "last"}
    by_growth = ask(client, "items", order="growth", n=5, **WEEK)["items"]
    assert [item["item_id"] for item in by_growth] == ["rising", "large", "small", "first", "steady"]
    one = ask(client, "items", n=1, **WEEK)
    assert [item["item_id"] for item in one["items"]] == ["large"]
    assert [item["item_id"] for item in one["movers"]["up"]] == ["rising"]
    assert [item["item_id"] for item in one["movers"]["down"]] == ["falling"]


def test_no_movers_without_a_window_before(client: TestClient) -> None:
    send(client, event("ana", "purchase", "mug", "2025-03-12", price=1))
    for order in ("revenue", "units", "growth"):
        body = ask(client, "items", order=order, **WEEK)
        assert body["movers"] == {"up": [], "down": []}
        assert [item["growth"] for item in body["items"]] == [None]
        assert any("what rose and fell" in warning for warning in body["warnings"])


def test_categories(shop: TestClient) -> None:
    body = ask(shop, "categories", **WEEK)
    assert [row["category"] for row in body["categories"]] == ["Kitchen", "Drinks", None]
    kitchen, drinks, none = body["categories"]
    assert figures(kitchen, "value") == (9.0, 80.0, 10.0, 70.0, 4, 3)
    assert figures(kitchen, "before") == (3.0, 25.0, 0.0, 25.0, 2, 2)
    assert figures(drinks, "value") == (6.0, 30.0, 0.0, 30.0, 3, 2)
    assert figures(none, "value") == (1.0, 0.0, 0.0, 0.0, 1, 1)
    assert kitchen["revenue"]["change"] == 1.8


def test_cohorts(client: TestClient) -> None:
    send(
        client,
        *(event("ana", "purchase", "i", day) for day in ("2024-12-31", "2025-02-01")),
        *(
            event("bo", "purchase", "i", day)
            for day in ("2025-01-01", "2025-01-20", "2025-02-01", "2025-03-31")
        ),
        *(event("cy", "purchase", "i", day) for day in ("2025-01-31T23:59:59.999Z", "2025-03-02")),
        event("dee", "purchase", "i", "2025-02-28"),
        event("dee", "view_item", "i", "2025-03-01"),
        event("dee", "refund", "i", "2025-03-01"),
        event("s-1", "purchase", "i", "2025-02-28"),
    )
    body = ask(client, "cohorts", periods=3)
    assert (body["from"], body["to"]) == ("2025-01-01T00:00:00.000Z", "2025-03-31T12:00:00.001Z")
    assert [cohort["size"] for cohort in body["cohorts"]] == [2, 1, 0]
    retention = [
        [
            (after["period"], after["from"][:10], after["customers"], after["share"])
            for after in cohort["retention"]
        ]
        for cohort in body["cohorts"]
    ]
    assert retention == [
        [(1, "2025-02-01", 1, 0.5), (2, "2025-03-01", 2, 1.0)],
        [(1, "2025-03-01", 0, 0.0)],
        [],
    ]
    assert body["warnings"] == ["The last month is not over: its figures may still grow."]
    everything = ask(client, "cohorts")
    assert [cohort["size"] for cohort in everything["cohorts"]] == [0] * 8 + [1, 2, 1, 0]
    assert everything["cohorts"][0]["retention"][0]["share"] is None
    weekly = ask(client, "cohorts", by="week", periods=5)["cohorts"]
    assert [cohort["from"][:10] for cohort in weekly] == [
        *("2025-03-03", "2025-03-10", "2025-03-17", "2025-03-24", "2025-03-31")
    ]
    rows = table(client, "cohorts", periods=3)
    assert [
        (row["cohort"][:10], row["size"], row["period"], row["customers"], row["share"]) for row in rows
    ] == [
        ("2025-01-01", "2", "0", "2", "1.0"),
        ("2025-01-01", "2", "1", "1", "0.5"),
        ("2025-01-01", "2", "2", "2", "1.0"),
        ("2025-02-01", "1", "0", "1", "1.0"),
        ("2025-02-01", "1", "1", "0", "0.0"),
        ("2025-03-01", "0", "0", "0", ""),
    ]


def test_tables(shop: TestClient) -> None:
    days = table(shop, "sales", **WEEK)
    assert list(days[0])[:6] == ["from", "to", "currency", "gross", "refunds", "revenue"]
    assert [row["revenue"] for row in days] == ["60.0", "-10.0", "10.0", "0.0", "0.0", "0.0", "10.0"]
    assert days[4]["average_order_value"] == ""
    items = table(shop, "items", **WEEK)
    assert {row["title"] for row in items} == {"'=Mug", "Tea", "", "Old"}
    assert [row["revenue_before"] for row in items] == ["0.0", "5.0", "20.0", "0.0"]
    categories = table(shop, "categories", **WEEK)
    assert [(row["category"], row["currency"], row["revenue"]) for row in categories] == [
        *(("Kitchen", "EUR", "70.0"), ("Drinks", "EUR", "30.0"), ("", "EUR", "0.0"))
    ]


@pytest.mark.parametrize("path", PATHS)
def test_an_empty_shop(client: TestClient, path: str) -> None:
    body = ask(client, path)
    assert body["warnings"][0].startswith("Not enough data, needs purchases")
    if path == "sales":
        assert len(body["series"]) == 31, "30 days that do not begin at midnight"
        for which in ("value", "before"):
            assert totals(body, which) == NOTHING
        assert set(totals(body, "change").values()) == {None}
        for period in body["series"]:
            assert {name: period[name] for name in NOTHING} == NOTHING
    elif path == "cohorts":
        assert [cohort["size"] for cohort in body["cohorts"]] == [0] * 12
    else:
        assert body[path] == []
    assert len(table(client, path)) == {"sales": 31, "cohorts": 78}.get(path, 0)


@pytest.mark.parametrize("path", ["sales", "items", "categories"])
def test_bad_windows(steady: TestClient, path: str) -> None:
    for params, code, name in (
        ({"from": "2025-03-10", "to": "2025-03-10"}, "bad_window", "from"),
        ({"from": "2025-03-11", "to": "2025-03-10T23:59:59Z"}, "bad_window", "from"),
        ({"from": "2999-01-01"}, "bad_window", "from"),
        ({"from": "2000-01-01", "to": "2010-01-10"}, "bad_window", "from"),
        ({"from": "2025-02-29"}, "date_out_of_range", "from"),
        ({"to": "2025-13-01"}, "date_out_of_range", "to"),
        ({"to": "2025-01-01T25:00:00Z"}, "date_out_of_range", "to"),
        ({"from": "1899-12-31"}, "date_out_of_range", "from"),
        ({"from": "9999-12-31"}, "date_out_of_range", "from"),
        ({"from": "yesterday"}, "string_pattern_mismatch", "from"),
        ({"to": ""}, "string_pattern_mismatch", "to"),
        ({"to": "2025-01-01T00:00:00"}, "string_pattern_mismatch", "to"),
        ({"to": "1741608000"}, "string_pattern_mismatch", "to"),
        ({"to": "２０２５-01-01"}, "string_pattern_mismatch", "to"),
        ({"to": "2025-01-01\n"}, "string_pattern_mismatch", "to"),
        ({"currency": "eur"}, "string_pattern_mismatch", "currency"),
        ({"format": "xlsx"}, "literal_error", "format"),
    ):
        response = steady.get(f"/v1/reports/{path}", params=params)
        assert_problem(response, 422, code, f"/query/{name}")


@pytest.mark.parametrize(
    ("path", "params", "code", "name"),
    [
        ("sales", {"by": "year"}, "literal_error", "by"),
        ("sales", {"category": "x" * 501}, "string_too_long", "category"),
        ("cohorts", {"by": "day"}, "literal_error", "by"),
        ("cohorts", {"periods": 0}, "greater_than_equal", "periods"),
        ("cohorts", {"periods": 121}, "less_than_equal", "periods"),
        ("items", {"order": "price"}, "literal_error", "order"),
        ("items", {"n": 0}, "greater_than_equal", "n"),
    ],
)
def test_bad_parameters(steady: TestClient, path: str, params: dict[str, Any], code: str, name: str) -> None:
    assert_problem(steady.get(f"/v1/reports/{path}", params=params), 422, code, f"/query/{name}")


def test_periods_are_bounded(steady: TestClient) -> None:
    window = {"from": "2020-01-01", "to": "2023-01-05"}
    assert len(ask(steady, "sales", **window)["series"]) == 1_100
    longer = window | {"to": "2023-01-05T00:00:00.001Z"}
    problem = assert_problem(steady.get("/v1/reports/sales", params=longer), 422, "bad_window", "/query/by")
    assert "1101" in problem["detail"]
    assert len(ask(steady, "sales", by="week", **longer)["series"]) == 158
    assert len(ask(steady, "sales", by="month", **longer)["series"]) == 37


@pytest.mark.parametrize("by", ["day", "week", "month"])
def test_the_ends_of_time(steady: TestClient, by: str) -> None:
    assert ask(steady, "sales", by=by, **{"from": "9999-11-30", "to": "9999-12-30"})["series"][-1][
        "to"
    ].startswith("9999-12-30")
    assert ask(steady, "sales", by=by, **{"from": "1900-01-01", "to": "1900-02-01"})["series"]
    assert ask(steady, "sales", by=by, **{"from": "1969-12-20", "to": "1970-02-01"})["series"]


@pytest.mark.parametrize("path", PATHS)
def test_reports_need_the_scope(client: TestClient, path: str) -> None:
    made = client.post("/v1/keys", json={"name": "a", "scopes": ["admin"]}).json()["key"]
    for scope, status in (("query", 200), ("track", 403), ("ingest", 403)):
        body = {"name": scope, "scopes": [scope]}
        secret = client.post("/v1/keys", json=body, headers={"X-API-Key": made}).json()["key"]
        found = client.get(f"/v1/reports/{path}", headers={"X-API-Key": secret})
        assert found.status_code == status
