"""Sales and demand forecasts over HTTP."""

import csv
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.simulation.log import PURCHASE
from tests.api.conftest import ENGINES, TrainedShop
from tests.api.handmade import Handmade, handmade
from tests.api.serving import assert_problem

FIRST, DAYS = date(2026, 5, 4), 133
"""A Monday, and nineteen weeks."""
TODAY = FIRST + timedelta(days=DAYS)
PRICES = {"cake": 20, "roll": 1, "jam": 4}


def sold() -> dict[str, list[int]]:
    """Units each day: cake on Saturdays, rolls alike on all days, jam since three weeks."""
    rng = np.random.default_rng(8)
    return {
        "cake": [int(rng.poisson(9 if day % 7 == 5 else 1)) for day in range(DAYS)],
        "roll": [int(rng.poisson(3)) for day in range(DAYS)],
        "jam": [int(day >= DAYS - 21) for day in range(DAYS)],
    }


def lines() -> list[dict[str, Any]]:
    """One order for each day and item that was sold; and a roll on the last day, which is not over."""
    bought = [
        (item, day, units)
        for item, series in [*sold().items(), ("roll", [0] * DAYS + [1])]
        for day, units in enumerate(series)
        if units
    ]
    return [
        {
            "user_id": f"u{number % 20}",
            "item_id": item,
            "event": "purchase",
            "order_id": f"o{number}",
            "quantity": units,
            "price": PRICES[item],
            "occurred_at": f"{FIRST + timedelta(days=day)}T{number % 12 + 8:02}:00:00Z",
        }
        for number, (item, day, units) in enumerate(bought)
    ]


def goods() -> list[dict[str, Any]]:
    return [{"item_id": name, "title": name.title()} for name in (*PRICES, "shelf-warmer")]


@pytest.fixture(scope="module", params=ENGINES)
def bakery(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Handmade]:
    folder = tmp_path_factory.mktemp("bakery")
    with handmade(request, request.param, folder, goods(), lines()) as made:
        yield made


@pytest.fixture(scope="module")
def open_bakery(bakery: Handmade, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """For tests that change nothing."""
    with bakery.opened(tmp_path_factory.mktemp("open_bakery")) as client:
        yield client


def told(client: TestClient, path: str, **params: Any) -> dict[str, Any]:
    response = client.get(path, params=params)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def weekday_means(periods: list[dict[str, Any]]) -> list[float]:
    """Mean forecast of each weekday, Monday first."""
    days = [date.fromisoformat(period["start"]).weekday() for period in periods]
    means = np.array([period["mean"] for period in periods])
    return [float(means[np.array(days) == day].mean()) for day in range(7)]


@pytest.mark.parametrize("measure", ["revenue", "orders", "units"])
def test_the_past_is_what_was_sold(open_bakery: TestClient, measure: str) -> None:
    body = told(open_bakery, "/v1/forecasts/sales", measure=measure, past=1000)
    assert (body["measure"], body["by"]) == (measure, "day")
    expected = np.zeros(DAYS)
    for item, series in sold().items():
        units = np.array(series)
        expected += {"revenue": units * PRICES[item], "units": units, "orders": units > 0}[measure]
    assert [period["value"] for period in body["past"]] == pytest.approx(expected.tolist())
    assert [period["start"] for period in body["past"]] == [
        str(FIRST + timedelta(days=day)) for day in range(DAYS)
    ]
    assert len(told(open_bakery, "/v1/forecasts/sales", measure=measure)["past"]) == 56
    assert told(open_bakery, "/v1/forecasts/sales", past=0)["past"] == []
    (last,) = told(open_bakery, "/v1/forecasts/sales", measure=measure, past=1)["past"]
    assert last == body["past"][-1]


def test_the_forecast_follows_the_past_and_knows_the_week(open_bakery: TestClient) -> None:
    for measure in ("revenue", "units"):
        body = told(open_bakery, "/v1/forecasts/sales", measure=measure)
        ahead = body["forecast"]
        assert [period["start"] for period in ahead] == [
            str(TODAY + timedelta(days=day)) for day in range(28)
        ]
        assert all(period["lower"] <= period["mean"] <= period["upper"] for period in ahead)
        # Refunds can make revenue negative; counts have a floor.
        assert measure == "revenue" or min(period["lower"] for period in ahead) >= 0
        means = weekday_means(ahead)
        assert np.argmax(means) == 5, "Saturday"
        assert means[5] > 1.8 * np.mean(means[:5])
        assert (body["coverage"], body["season"], body["missing"]) == (0.8, 7, None)
        error = body["error"]
        assert error["name"] == "MASE"
        assert error["better_than_naive"] is True
        assert 0 < error["value"] < error["naive"]
        assert body["method"] != "seasonal naive"
        as_of = datetime.fromisoformat(body["as_of"])
        assert as_of.date() == TODAY, "the day that is not over"


def test_by_week(open_bakery: TestClient) -> None:
    body = told(open_bakery, "/v1/forecasts/sales", measure="units", by="week", past=100)
    total = np.sum([*sold().values()], axis=0).reshape(-1, 7).sum(axis=1)
    assert [period["value"] for period in body["past"]] == total.tolist()
    assert body["past"][0]["start"] == str(FIRST)
    assert "needs" in body["missing"]
    assert "week" in body["missing"]
    assert body["forecast"] == []
    assert [body[name] for name in ("method", "season", "error", "coverage")] == [None] * 4


def test_demand(open_bakery: TestClient) -> None:
    body = told(open_bakery, "/v1/forecasts/demand")
    assert (body["by"], body["periods"], body["missing"], body["next_cursor"]) == ("day", 28, None, None)
    assert [item["item_id"] for item in body["items"]] == ["roll", "cake"]
    for item in body["items"]:
        assert item["title"] == item["item_id"].title()
        assert item["expected_units"] == pytest.approx(sum(period["mean"] for period in item["forecast"]))
        assert item["units_before"] == sum(sold()[item["item_id"]][-28:])
        assert 0.5 < item["expected_units"] / item["units_before"] < 2
        alone = told(open_bakery, f"/v1/items/{item['item_id']}/forecast")
        for name in ("forecast", "expected_units", "method", "season", "error"):
            assert alone[name] == item[name]
        assert alone["coverage"] == body["coverage"] == 0.8
        assert alone["missing"] is None
        assert [period["value"] for period in alone["past"]] == sold()[item["item_id"]][-56:]
    first = told(open_bakery, "/v1/forecasts/demand", n=1)
    second = told(open_bakery, "/v1/forecasts/demand", n=1, cursor=first["next_cursor"])
    assert [*first["items"], *second["items"]] == body["items"]
    assert second["next_cursor"] is None


def test_the_weekday_of_one_item(open_bakery: TestClient) -> None:
    cake = weekday_means(told(open_bakery, "/v1/items/cake/forecast")["forecast"])
    assert np.argmax(cake) == 5
    assert cake[5] > 3 * np.mean(cake[:5])
    rolls = weekday_means(told(open_bakery, "/v1/items/roll/forecast")["forecast"])
    assert max(rolls) < 2 * min(rolls)


def test_an_item_without_forecast_says_why(bakery: Handmade, tmp_path: Path) -> None:
    with bakery.opened(tmp_path) as client:
        jam = told(client, "/v1/items/jam/forecast")
        assert "there are 21" in jam["missing"]
        assert "needs" in jam["missing"]
        assert [period["value"] for period in jam["past"]] == [0] * 35 + [1] * 21
        assert (jam["forecast"], jam["expected_units"]) == ([], None)
        unsold = told(client, "/v1/items/shelf-warmer/forecast")
        assert "sold" in unsold["missing"]
        assert unsold["past"] == []
        assert client.put("/v1/items/later", json={}).status_code == 200
        assert "after the training" in told(client, "/v1/items/later/forecast")["missing"]
        assert (
            len({jam["missing"], unsold["missing"], told(client, "/v1/items/later/forecast")["missing"]}) == 3
        )
        assert "needs" in told(client, "/v1/items/cake/forecast", by="week")["missing"]
        assert_problem(client.get("/v1/items/no-such/forecast"), 404, "not_found")
        assert client.delete("/v1/items/roll").status_code == 204
        assert_problem(client.get("/v1/items/roll/forecast"), 404, "not_found")
        left = told(client, "/v1/forecasts/demand", n=1)
        assert [item["item_id"] for item in left["items"]] == ["cake"]
        assert left["next_cursor"] is None


def test_as_tables(open_bakery: TestClient) -> None:
    for path in ("/v1/forecasts/sales", "/v1/items/cake/forecast"):
        body = told(open_bakery, path, past=3)
        response = open_bakery.get(path, params={"past": 3, "format": "csv"})
        assert response.headers["content-type"] == "text/csv; charset=utf-8"
        table = list(csv.DictReader(StringIO(response.text)))
        assert [(row["start"], float(row["value"])) for row in table[:3]] == [
            (period["start"], period["value"]) for period in body["past"]
        ]
        assert [
            (row["start"], *(float(row[name]) for name in ("mean", "lower", "upper"))) for row in table[3:]
        ] == [tuple(period.values()) for period in body["forecast"]]
        assert {row["mean"] for row in table[:3]} == {row["value"] for row in table[3:]} == {""}
    table = list(csv.DictReader(StringIO(open_bakery.get("/v1/forecasts/demand?format=csv").text)))
    items = told(open_bakery, "/v1/forecasts/demand")["items"]
    assert [(row["item_id"], float(row["expected_units"]), row["error"]) for row in table] == [
        (item["item_id"], item["expected_units"], item["error"]["name"]) for item in items
    ]
    assert [float(row["naive_error"]) for row in table] == [item["error"]["naive"] for item in items]
    assert len(open_bakery.get("/v1/forecasts/demand?format=csv&n=1").text.splitlines()) == 2


@pytest.mark.parametrize(
    ("path", "pointer", "code"),
    [
        ("/v1/forecasts/sales?measure=profit", "/query/measure", "literal_error"),
        ("/v1/forecasts/sales?by=month", "/query/by", "literal_error"),
        ("/v1/forecasts/sales?past=-1", "/query/past", "greater_than_equal"),
        ("/v1/forecasts/sales?past=1101", "/query/past", "less_than_equal"),
        ("/v1/forecasts/sales?format=pdf", "/query/format", "literal_error"),
        ("/v1/forecasts/demand?n=0", "/query/n", "greater_than_equal"),
        ("/v1/forecasts/demand?n=501", "/query/n", "less_than_equal"),
        ("/v1/forecasts/demand?cursor=x", "/query/cursor", "bad_cursor"),
        ("/v1/forecasts/demand?cursor=WyJ4IiwtMV0", "/query/cursor", "bad_cursor"),
        ("/v1/items/cake/forecast?past=x", "/query/past", "int_parsing"),
    ],
)
def test_bad_questions_are_refused(open_bakery: TestClient, path: str, pointer: str, code: str) -> None:
    assert_problem(open_bakery.get(path), 422, code, pointer)


def test_a_page_of_another_training_is_refused(open_bakery: TestClient) -> None:
    assert_problem(open_bakery.get("/v1/forecasts/demand?cursor=WyJ4IiwzXQ"), 409, "conflict")


def test_before_the_first_training(client: TestClient) -> None:
    assert client.put("/v1/items/cake", json={}).status_code == 200
    for path in ("/v1/forecasts/sales", "/v1/forecasts/demand", "/v1/items/cake/forecast"):
        assert_problem(client.get(path), 409, "model_not_ready")
        assert_problem(client.get(path, params={"format": "csv"}), 409, "model_not_ready")
    assert_problem(client.get("/v1/items/no-such/forecast"), 404, "not_found")


def test_the_simulated_shop(open_shop: TestClient, trained: TrainedShop) -> None:
    """Ninety days: enough by day, too few by week. Weekends are the shop's best days."""
    body = told(open_shop, "/v1/forecasts/sales", measure="units", past=1100)
    columns = trained.shop.columns
    assert len(body["past"]) in (89, 90)
    assert sum(period["value"] for period in body["past"]) == pytest.approx(
        float(columns.quantity[columns.event == PURCHASE].sum()), rel=0.03
    )
    assert len(body["forecast"]) == 28
    assert body["error"]["value"] <= body["error"]["naive"]
    means = weekday_means(body["forecast"])
    assert np.mean(means[5:]) >= np.mean(means[:4])
    assert "needs" in told(open_shop, "/v1/forecasts/sales", by="week")["missing"]
    demand = told(open_shop, "/v1/forecasts/demand", n=500)
    units = [item["expected_units"] for item in demand["items"]]
    assert units == sorted(units, reverse=True)
    assert 20 < len(units) <= 70
