"""Segments over HTTP: all kinds, whom they hold, what lasts from training to training, and thin data."""

import csv
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.db.session import Database
from app.services.segments import KINDS, NO_RULES
from app.simulation.shop import simulate
from tests.api.serving import assert_problem, encoded, pages, serving
from tests.training.shops import SMALL, ingest, ingest_shop, queue, run_row, trainer

CLUSTERED = ("kmeans", "agglomerative", "dbscan", "taste")


def asked(client: TestClient, path: str, **params: Any) -> dict[str, Any]:
    response = client.get(path, params=params)
    assert response.status_code == 200, response.text
    assert "NaN" not in response.text
    assert "Infinity" not in response.text
    body: dict[str, Any] = response.json()
    return body


@pytest.fixture(scope="module")
def listed(open_shop: TestClient) -> dict[str, Any]:
    return asked(open_shop, "/v1/segments")


def test_all_kinds_are_there(listed: dict[str, Any]) -> None:
    assert set(listed["segmentations"]) == {*CLUSTERED, "rfm"}
    assert listed["missing"] == {"rule": NO_RULES}
    ids = [segment["segment_id"] for segment in listed["segments"]]
    assert len(set(ids)) == len(ids)
    for kind, facts in listed["segmentations"].items():
        segments = [segment for segment in listed["segments"] if segment["kind"] == kind]
        assert segments
        names = [segment["name"] for segment in segments]
        assert len(set(names)) == len(names)
        assert sum(segment["size"] for segment in segments) + (facts["outliers"] or 0) == facts["n_users"]
        for segment in segments:
            assert segment["segment_id"].startswith(f"{kind}-")
            assert segment["share"] == pytest.approx(segment["size"] / facts["n_users"])
            assert segment["centre"].keys() <= facts["units"].keys()
            assert len(segment["sets_apart"]) == len(segment["distinguishing"])
            assert all(segment["sets_apart"])
            assert bool(segment["meaning"]) is (kind == "rfm")
    for kind in ("kmeans", "agglomerative", "taste"):
        facts = listed["segmentations"][kind]
        sizes = [segment["size"] for segment in listed["segments"] if segment["kind"] == kind]
        assert sizes == sorted(sizes, reverse=True)
        tried = [row["segments"] for row in facts["quality"]]
        assert len(tried) > 5, "every number of segments that was tried is told"
        assert tried == sorted(set(tried))
        stood = [row for row in facts["quality"] if row["votes"] is not None]
        assert len(sizes) in [row["segments"] for row in stood]
        assert facts["chosen_by"]
        assert facts["sampled"] == facts["n_users"]
    assert listed["segmentations"]["dbscan"]["eps"] > 0
    bounds = listed["segmentations"]["rfm"]["boundaries"]
    assert bounds.keys() == {"purchase_recency_days", "frequency", "monetary"}
    assert all(len(ends) == 4 and ends == sorted(ends) for ends in bounds.values())


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind(open_shop: TestClient, listed: dict[str, Any], kind: str) -> None:
    body = asked(open_shop, "/v1/segments", kind=kind)
    assert body["segments"] == [segment for segment in listed["segments"] if segment["kind"] == kind]
    assert set(body["segmentations"]) | set(body["missing"]) == {kind}


@pytest.mark.parametrize("kind", ["none", "", "KMEANS", "x" * 500])
def test_an_unknown_kind_is_refused_with_the_known_ones(open_shop: TestClient, kind: str) -> None:
    refused = open_shop.get("/v1/segments", params={"kind": kind})
    body = assert_problem(refused, 422, "literal_error", "/query/kind")
    assert all(known in body["detail"] for known in KINDS)


@pytest.mark.parametrize("kind", [*CLUSTERED, "rfm"])
def test_members(open_shop: TestClient, listed: dict[str, Any], kind: str) -> None:
    seen: list[str] = []
    for segment in [segment for segment in listed["segments"] if segment["kind"] == kind]:
        path = f"/v1/segments/{segment['segment_id']}"
        one = asked(open_shop, path)
        assert one["segment"] == segment
        assert one["segmentation"] == listed["segmentations"][kind]
        users = [user for page in pages(open_shop, f"{path}/users", "users", 7) for user in page]
        assert len(users) == len(set(users)) == segment["size"]
        seen += users
        # Nothing has come since the training, so the request judges as it did.
        for user in users[:3]:
            body = asked(open_shop, f"/v1/users/{encoded(user)}/segments")
            mine = {entry["kind"]: entry for entry in body["segments"]}
            assert mine[kind]["segment_id"] == segment["segment_id"]
            assert (mine[kind]["name"], mine[kind]["meaning"]) == (segment["name"], segment["meaning"])
            assert body["warnings"] == []
    assert len(seen) == len(set(seen))


def test_scores_of_rfm(open_shop: TestClient, listed: dict[str, Any]) -> None:
    segment = next(segment for segment in listed["segments"] if segment["kind"] == "rfm")
    path = f"/v1/segments/{segment['segment_id']}/users"
    body = asked(open_shop, path, limit=5)
    assert list(body["scores"]) == body["users"]
    for user, scores in body["scores"].items():
        assert all(1 <= score <= 5 for score in scores.values())
        entries = asked(open_shop, f"/v1/users/{encoded(user)}/segments")["segments"]
        (mine,) = [entry for entry in entries if entry["kind"] == "rfm"]
        assert mine["scores"] == scores
        assert all(entry["scores"] is None for entry in entries if entry["kind"] != "rfm")
    assert asked(open_shop, "/v1/segments/kmeans-1/users")["scores"] is None


def test_a_segment_as_a_table(open_shop: TestClient) -> None:
    for segment_id in ("kmeans-1", "rfm-champions"):
        path = f"/v1/segments/{segment_id}/users"
        response = open_shop.get(path, params={"format": "csv", "limit": 1})
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "text/csv; charset=utf-8"
        assert response.headers["content-disposition"] == f'attachment; filename="{segment_id}.csv"'
        rows = list(csv.DictReader(StringIO(response.text, newline="")))
        size = asked(open_shop, f"/v1/segments/{segment_id}")["segment"]["size"]
        assert [row["user_id"] for row in rows] == asked(open_shop, path, limit=1000)["users"]
        assert len(rows) == size > 1
        assert all(float(row["interactions"]) > 0 for row in rows)
        assert all(0 <= float(row["next_purchase"]) <= 1 for row in rows)
        assert ("rfm_recency" in rows[0]) is (segment_id == "rfm-champions")
    assert_problem(open_shop.get("/v1/segments/x/users", params={"format": "csv"}), 404, "not_found")


def test_a_long_table_comes_in_parts(open_shop: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = open_shop.get("/v1/segments/kmeans-1/users", params={"format": "csv"}).text
    monkeypatch.setattr("app.api.segments.ROWS_AT_ONCE", 3)
    monkeypatch.setattr("app.services.segment_users.ROWS_AT_ONCE", 3)
    assert open_shop.get("/v1/segments/kmeans-1/users", params={"format": "csv"}).text == whole


def test_what_is_not_there(open_shop: TestClient) -> None:
    for segment_id in ("kmeans-99", "kmeans", "x", "rule-none", "rfm-nobody", "taste-", "kmeans-1 "):
        for path in (f"/v1/segments/{segment_id}", f"/v1/segments/{segment_id}/users"):
            assert_problem(open_shop.get(path), 404, "not_found")
    assert_problem(open_shop.get("/v1/users/nobody/segments"), 404, "not_found")
    bad = open_shop.get("/v1/segments/kmeans-1/users", params={"cursor": "x"})
    assert_problem(bad, 422, "bad_cursor", "/query/cursor")
    bad = open_shop.get("/v1/segments/kmeans-1/users", params={"format": "xml"})
    assert_problem(bad, 422, "literal_error", "/query/format")


def test_erased_users_make_room(shop: TestClient) -> None:
    path = "/v1/segments/kmeans-1/users"
    before = asked(shop, path, limit=1000)["users"]
    assert len(before) > 12
    for user in before[1:5]:
        assert shop.delete(f"/v1/users/{encoded(user)}").status_code == 200
    left = before[:1] + before[5:]
    page = asked(shop, path, limit=6)
    assert page["users"] == left[:6], "a page is full although users are gone"
    assert [user for page in pages(shop, path, "users", 4) for user in page] == left
    table = shop.get(path, params={"format": "csv"}).text
    assert [row["user_id"] for row in csv.DictReader(StringIO(table))] == left
    for user in left:
        assert shop.delete(f"/v1/users/{encoded(user)}").status_code == 200
    assert asked(shop, path) | {"model_version": ""} == {
        "segment_id": "kmeans-1",
        "model_version": "",
        "users": [],
        "scores": None,
        "next_cursor": None,
    }


def test_users_without_interactions_and_newcomers(shop: TestClient) -> None:
    assert shop.put("/v1/users/cold", json={}).status_code == 200
    body = asked(shop, "/v1/users/cold/segments")
    assert body["segments"] == []
    assert body["warnings"]
    bought = {"user_id": "new", "item_id": "never seen", "event": "purchase", "price": 5, "quantity": 1}
    assert shop.post("/v1/interactions", json=bought).status_code == 201
    body = asked(shop, "/v1/users/new/segments")
    mine = {entry["kind"]: entry for entry in body["segments"]}
    assert {"kmeans", "agglomerative", "rfm"} <= mine.keys(), "judged at the request, without a training"
    assert mine["rfm"]["scores"]["recency"] == 5
    assert mine["rfm"]["scores"]["frequency"] == 1
    assert body["warnings"] == []
    assert ("dbscan" in mine) is not ("dbscan" in body["unlike_others"])


@pytest.fixture
def served_shop(database: Database, database_url: str, tmp_path: Path) -> Iterator[TestClient]:
    """A simulated shop, served; nothing is trained yet."""
    ingest_shop(database, simulate(SMALL))
    with serving(database_url, tmp_path) as client:
        yield client


def train(client: TestClient, database: Database, artifacts: Path) -> None:
    run = queue(database)
    trainer(database, artifacts).work_once()
    row = run_row(database, run)
    assert row.state == "succeeded", (row.state, row.error)
    client.app.state.live.follow_once()  # type: ignore[attr-defined]


def test_segments_last_from_training_to_training(
    served_shop: TestClient, database: Database, tmp_path: Path
) -> None:
    assert_problem(served_shop.get("/v1/segments"), 409, "model_not_ready")
    train(served_shop, database, tmp_path)
    first = asked(served_shop, "/v1/segments")
    late = {"item_id": "i1", "event": "purchase", "price": 3.0, "occurred_at": "2026-11-01T10:00:00Z"}
    ingest(database, interactions=[{"user_id": f"late{number}", **late} for number in range(3)])
    asked(served_shop, "/v1/users/late1/segments")
    train(served_shop, database, tmp_path)
    second = asked(served_shop, "/v1/segments")
    assert first["model_version"] != second["model_version"]
    for kind in ("kmeans", "agglomerative", "rfm"):
        before, after = (
            {entry["segment_id"]: entry["name"] for entry in body["segments"] if entry["kind"] == kind}
            for body in (first, second)
        )
        again = before.keys() & after.keys()
        assert len(again) >= len(before) - 1 >= 1
        assert all(before[segment_id] == after[segment_id] for segment_id in again)
    assert "late1" in [
        user
        for entry in second["segments"]
        if entry["kind"] == "kmeans"
        for user in asked(served_shop, f"/v1/segments/{entry['segment_id']}/users", limit=1000)["users"]
    ]


def _views(users: list[str], days: int = 12, **fields: Any) -> list[dict[str, Any]]:
    return [
        {"user_id": user, "item_id": f"i{step % 5}", "event": "view_item", **fields}
        | {"occurred_at": f"2026-10-{1 + step % days:02}T10:{step:02}:00Z"}
        for user in users
        for step in range(12)
    ]


THIN = {
    "nobody": [
        {key: value for key, value in row.items() if key != "user_id"} | {"session_id": row["user_id"]}
        for row in _views(["s1", "s2"])
    ],
    "one customer": _views(["ana"]),
    "identical customers": _views([f"u{number}" for number in range(20)]),
    "a single day": _views([f"u{number}" for number in range(20)], days=1, event="purchase", price=4.0),
}


@pytest.mark.parametrize("name", THIN)
def test_thin_data(name: str, client: TestClient, database_url: str, tmp_path: Path) -> None:
    opened = Database(database_url)
    ingest(opened, interactions=THIN[name])
    train(client, opened, tmp_path / "artifacts")
    opened.close()
    body = asked(client, "/v1/segments")
    assert set(body["segmentations"]) | set(body["missing"]) == set(KINDS)
    assert all(reason for reason in body["missing"].values())
    assert {*CLUSTERED, "rule"} <= set(body["missing"]), "customers who do not differ make no segments"
    if name in ("nobody", "one customer"):
        assert body["segments"] == []
        assert "rfm" in body["missing"]
    for kind in KINDS:
        asked(client, "/v1/segments", kind=kind)
    for segment in body["segments"]:
        users = asked(client, f"/v1/segments/{segment['segment_id']}/users")["users"]
        assert len(users) == segment["size"]
        asked(client, f"/v1/users/{users[0]}/segments")
    if name == "one customer":
        assert asked(client, "/v1/users/ana/segments")["segments"] == []
    for text in (
        "interactions > 3",
        "churn > 0.5",
        "lifetime_value > 1",
        'country = "DE"',
        "not frequency > 1",
    ):
        response = client.post("/v1/segment-rules/preview", json={"filter": text})
        assert response.status_code in (200, 409, 422), response.text
        assert response.json().get("detail", "said")
    assert asked(client, "/v1/segment-rules/fields")["fields"]
