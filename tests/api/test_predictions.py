"""What is foretold of customers, over HTTP: one, all by a figure, and the models."""

import csv
import math
from collections.abc import Iterator
from io import StringIO
from typing import Any, get_args

import pytest
from starlette.testclient import TestClient

from app.schemas.predictions import Features, PredictionModels, PredictionPage, UserPredictions
from app.services.paging import encode_cursor
from app.services.prediction_lists import COLUMNS, Name
from app.simulation.config import ShopConfig
from app.simulation.shop import simulate
from tests.api.conftest import ENGINES, new_database
from tests.api.own_shops import serving_own
from tests.api.serving import assert_problem, pages

NAMES = get_args(Name)


@pytest.fixture(scope="module", params=ENGINES)
def large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A shop from which everything can be learned; tests use customers of their own where they write."""
    folder = tmp_path_factory.mktemp("large")
    made = simulate(ShopConfig(users=500, items=60, interactions=16_000, days=220))
    rows = {"users": made.users(), "items": made.items(), "interactions": made.interactions()}
    with (
        new_database(request, request.param, folder, None) as url,
        serving_own(url, folder, **rows) as client,
    ):
        yield client


def asked(client: TestClient, path: str, **params: Any) -> dict[str, Any]:
    response = client.get(path, params=params)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def foretold(client: TestClient, user_id: str) -> dict[str, Any]:
    body = asked(client, f"/v1/users/{user_id}/predictions")
    UserPredictions.model_validate(body, strict=True)
    return body


def sent(client: TestClient, **fields: Any) -> None:
    response = client.post("/v1/interactions", json=fields)
    assert response.status_code == 201, response.text


def listed(client: TestClient, limit: int = 1000, **params: Any) -> list[dict[str, Any]]:
    """All entries of a list, by following its cursor."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = asked(client, "/v1/predictions", limit=limit, **params, **cursor)
        found += page["predictions"]
        assert len(page["predictions"]) <= limit
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


def figures(client: TestClient, name: str) -> dict[str, float]:
    """A figure of all customers, as the active version has it."""
    return {each["user_id"]: each["value"] for each in listed(client, name=name)}


def test_one_customer(large: TestClient) -> None:
    known = asked(large, "/v1/predictions/features")
    names = {feature["name"] for feature in known["features"] + known["attributes"]}
    churn = figures(large, "churn")
    user_id = next(iter(churn))
    body = foretold(large, user_id)
    assert body["missing"] == {}
    told = body["predictions"]
    assert told["churn"]["probability"] == pytest.approx(churn[user_id], rel=1e-5)
    assert told["value"]["value"] == pytest.approx(figures(large, "value")[user_id], rel=1e-4)
    lifetime = told["lifetime"]
    for name in ("alive", "expected_purchases", "lifetime_value"):
        assert lifetime[name] == pytest.approx(figures(large, name)[user_id], rel=1e-5)
    days = told["next_purchase"]["expected_days"]
    assert days == pytest.approx(figures(large, "expected_days")[user_id], rel=1e-5)
    assert told["next_purchase"]["expected_date"] > body["as_of"]
    assert (lifetime["horizon_days"], lifetime["discount_rate"]) == (365, 0.1)
    for name in ("churn", "next_purchase", "value"):
        said = told[name]
        assert said["why"] is None
        assert said["definition"]
        assert said["horizon_days"] >= 7
        assert (said["model"] == said["baseline"]) is not said["better_than_baseline"]
        assert said["because"].endswith(".")
        measure = "rmse" if name == "value" else "log_loss"
        figure = said["quality"]["figures"][measure]
        assert figure["low"] <= figure["value"] <= figure["high"]
        assert measure in said["quality"]["baseline_figures"]
        assert len(said["drivers"]) <= 3
        for driver in said["drivers"]:
            assert driver["feature"] in names
            assert math.isfinite(driver["value"])
            assert (driver["effect"] > 0) is (driver["direction"] == "raises")
            assert driver["words"] in said["because"]
        sizes = [abs(driver["effect"]) for driver in said["drivers"]]
        assert sizes == sorted(sizes, reverse=True)
    assert sum(len(told[name]["drivers"]) for name in ("churn", "next_purchase", "value")) > 3
    assert lifetime["inputs"][0]["feature"] == "frequency"
    assert lifetime["because"].startswith("Bought on ")


def test_an_event_counts_in_the_next_answer(large: TestClient) -> None:
    alive = figures(large, "alive")
    user_id = min(alive, key=lambda name: alive[name])
    before = foretold(large, user_id)
    item_id = asked(large, "/v1/popular", n=1)["items"][0]["item_id"]
    sent(large, user_id=user_id, item_id=item_id, event="purchase", price=400, quantity=2)
    after = foretold(large, user_id)
    assert after["as_of"] > before["as_of"]
    old, new = before["predictions"], after["predictions"]
    assert new["lifetime"]["alive"] > old["lifetime"]["alive"]
    assert new["lifetime"]["lifetime_value"] != old["lifetime"]["lifetime_value"]
    assert new["churn"]["probability"] != old["churn"]["probability"]
    inputs = {each["feature"]: each["value"] for each in new["lifetime"]["inputs"]}
    assert inputs["purchase_recency_days"] == 0
    assert figures(large, "alive") == alive, "the list is of the version"


def test_who_has_not_bought_and_who_did_nothing(large: TestClient) -> None:
    item_id = asked(large, "/v1/popular", n=1)["items"][0]["item_id"]
    sent(large, user_id="looks", item_id=item_id, event="view_item")
    told = foretold(large, "looks")["predictions"]
    assert told["churn"]["probability"] is None
    assert told["churn"]["why"] == "The customer has not bought yet. Only who has bought can stop buying."
    assert told["churn"]["drivers"] == []
    assert 0 < told["next_purchase"]["probability"] < 1
    assert told["next_purchase"]["expected_days"] > 0
    assert told["value"]["value"] is not None
    assert (told["lifetime"]["alive"], told["lifetime"]["lifetime_value"]) == (None, None)
    assert told["lifetime"]["why"] == "The customer has not bought yet."
    assert large.put("/v1/users/silent", json={}).status_code == 200
    body = foretold(large, "silent")
    assert body["warnings"]
    for said in body["predictions"].values():
        assert said["why"].startswith("Nothing is known of the user yet")
        assert said["because"] is None
    assert body["predictions"]["next_purchase"]["expected_days"] is None
    assert_problem(large.get("/v1/users/nobody/predictions"), 404, "not_found")


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("name", NAMES)
def test_pages_have_everyone_once_and_in_order(large: TestClient, name: str, order: str) -> None:
    whole = asked(large, "/v1/predictions", name=name, order=order, limit=1000)
    PredictionPage.model_validate(whole, strict=True)
    assert (whole["name"], whole["next_cursor"]) == (name, None)
    entries = whole["predictions"]
    assert 100 < len(entries) == whole["customers"]
    assert listed(large, 37, name=name, order=order) == entries
    assert len({entry["user_id"] for entry in entries}) == len(entries)
    values = [entry["value"] for entry in entries]
    assert values == sorted(values, reverse=order == "desc")
    assert whole["sum"] == pytest.approx(sum(values))


def test_thresholds_and_segments(large: TestClient) -> None:
    everyone = figures(large, "churn")
    kept = {user: value for user, value in everyone.items() if 0.4 <= value <= 0.6}
    assert 0 < len(kept) < len(everyone)
    found = asked(large, "/v1/predictions", name="churn", min=0.4, max=0.6, limit=1000)
    assert {entry["user_id"]: entry["value"] for entry in found["predictions"]} == kept
    assert found["customers"] == len(kept)
    assert found["sum"] == pytest.approx(sum(kept.values()))
    edge = max(kept.values())
    assert asked(large, "/v1/predictions", min=edge, max=edge)["customers"] >= 1
    nobody = asked(large, "/v1/predictions", min=2)
    assert (nobody["customers"], nobody["sum"], nobody["predictions"], nobody["next_cursor"]) == (
        0,
        0,
        [],
        None,
    )
    for segment in asked(large, "/v1/segments", kind="rfm")["segments"][:3]:
        path = f"/v1/segments/{segment['segment_id']}/users"
        members = {user for page in pages(large, path, "users", 1000) for user in page}
        found = asked(large, "/v1/predictions", segment_id=segment["segment_id"], limit=1000)
        assert {entry["user_id"] for entry in found["predictions"]} == members & everyone.keys() != set()


def test_bad_questions_are_refused(large: TestClient, client: TestClient) -> None:
    first = asked(large, "/v1/predictions", limit=2)
    for params, pointer, code in (
        ({"cursor": "x"}, "/query/cursor", "bad_cursor"),
        ({"cursor": encode_cursor([1])}, "/query/cursor", "bad_cursor"),
        ({"cursor": first["next_cursor"], "name": "value"}, "/query/cursor", "bad_cursor"),
        ({"cursor": first["next_cursor"], "order": "asc"}, "/query/cursor", "bad_cursor"),
        ({"min": 0.6, "max": 0.5}, "/query/min", "above_max"),
        ({"min": "nan"}, "/query/min", "finite_number"),
        ({"max": "inf"}, "/query/max", "finite_number"),
        ({"name": "luck"}, "/query/name", "literal_error"),
        ({"order": "up"}, "/query/order", "literal_error"),
        ({"limit": 0}, "/query/limit", "greater_than_equal"),
        ({"segment_id": "rule-\x00"}, "/query/segment_id", "string_pattern_mismatch"),
    ):
        assert_problem(large.get("/v1/predictions", params=params), 422, code, pointer)
    assert_problem(large.get("/v1/predictions", params={"segment_id": "kmeans-99"}), 404, "not_found")
    other = encode_cursor(["another version", "churn desc", -0.5, 3])
    refused = assert_problem(large.get("/v1/predictions", params={"cursor": other}), 409, "conflict")
    assert "begin without a cursor" in refused["detail"]
    assert client.put("/v1/users/ana", json={}).status_code == 200
    for path in ("/v1/users/ana/predictions", "/v1/predictions", "/v1/predictions/models"):
        assert_problem(client.get(path), 409, "model_not_ready")
    assert asked(client, "/v1/predictions/features")["attributes"] == []


def test_a_table_of_all_figures(large: TestClient) -> None:
    answer = large.get(
        "/v1/predictions", params={"name": "next_purchase", "order": "asc", "format": "csv", "limit": 1}
    )
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "next_purchase.csv" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(StringIO(answer.text)))
    assert tuple(rows[0]) == COLUMNS
    page = asked(large, "/v1/predictions", name="next_purchase", order="asc", limit=1000)
    assert [row["user_id"] for row in rows] == [entry["user_id"] for entry in page["predictions"]]
    assert {row["as_of"] for row in rows} == {page["as_of"]}
    for name in NAMES:
        told = {row["user_id"]: float(row[name]) for row in rows if row[name]}
        assert told == figures(large, name)
    assert any(row["churn"] == "" for row in rows), "who has not bought"
    few = large.get("/v1/predictions", params={"format": "csv", "min": 0.6}).text
    assert len(few.splitlines()) == 1 + asked(large, "/v1/predictions", min=0.6)["customers"]


def test_models_are_described(large: TestClient) -> None:
    body = asked(large, "/v1/predictions/models")
    PredictionModels.model_validate(body, strict=True)
    assert set(body["predictions"]) == {"churn", "next_purchase", "next_purchase_days", "value"}
    for name, model in body["predictions"].items():
        tried = {each["name"]: each for each in model["models"]}
        assert tried[model["baseline"]]["baseline"]
        assert not tried[model["chosen"]]["baseline"]
        assert model["served"] == (model["chosen"] if model["better_than_baseline"] else model["baseline"])
        for each in tried.values():
            for figure in each["figures"].values():
                assert figure["low"] <= figure["high"]
        assert all(rule.startswith("If ") for rule in model["rules"])
        assert model["coefficients"][0]["coefficient"] != 0
        assert all(moment < model["judged_at"] for moment in model["learned_at"])
        if model["kind"] == "probability":
            assert sum(row["rows"] for row in model["reliability"]) == model["rows"]["judged"]
        else:
            assert (model["reliability"], name in ("value", "next_purchase_days")) == (None, True)
    lifetime = body["lifetime"]
    assert lifetime["buying"]["r"] > 0
    assert lifetime["spending"]["mean_value"] > 0
    fit = lifetime["fit"]
    assert sum(fit["expected_counts"]) == pytest.approx(sum(fit["actual_counts"]))
    money = [fit[name] for name in ("purchases", "money")]
    assert lifetime["better_than_baseline"] is all(
        each["mean_absolute_error"] < each["naive_mean_absolute_error"] for each in money
    )
    told = foretold(large, next(iter(figures(large, "churn"))))["predictions"]
    assert told["lifetime"]["quality"] == fit
    assert told["churn"]["model"] == body["predictions"]["churn"]["served"]


def test_features_are_defined(large: TestClient) -> None:
    body = asked(large, "/v1/predictions/features")
    Features.model_validate(body, strict=True)
    assert all(feature["meaning"] and feature["unit"] for feature in body["features"])
    assert {"newsletter", "country"} <= {column["attribute"] for column in body["attributes"]}


def test_equal_figures_are_paged_by_user(open_shop: TestClient) -> None:
    whole = listed(open_shop, name="next_purchase")
    assert len({entry["value"] for entry in whole}) == 1 < len(whole), "the baseline is told of all"
    assert listed(open_shop, 7, name="next_purchase") == whole
    assert [e["user_id"] for e in whole] == sorted(e["user_id"] for e in whole)
    told = foretold(open_shop, whole[0]["user_id"])["predictions"]["next_purchase"]
    assert (told["model"], told["better_than_baseline"], told["drivers"]) == ("base_rate", False, [])
    assert "no model surely beats" in told["note"]
    assert "on average" in told["because"]
    missing = foretold(open_shop, whole[0]["user_id"])["missing"]
    assert missing["churn"].startswith("the probability of churn needs at least 40 customers")
    assert (
        "churn needs at least 40"
        in assert_problem(open_shop.get("/v1/predictions?name=churn"), 409, "model_not_ready")["detail"]
    )


def test_an_erased_customer_is_not_listed(shop: TestClient) -> None:
    whole = listed(shop, name="alive")
    gone = whole[3]["user_id"]
    assert shop.delete(f"/v1/users/{gone}").status_code == 200
    assert listed(shop, 2, name="alive") == [entry for entry in whole if entry["user_id"] != gone]
    assert gone not in shop.get("/v1/predictions", params={"name": "alive", "format": "csv"}).text
