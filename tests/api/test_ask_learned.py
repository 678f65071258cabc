"""What else is asked of a trained shop: similar things, lists, ratings, segments, versions, runs."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.core.settings import Settings
from app.db.session import Database
from app.trainer import options_of
from app.training.worker import Trainer
from tests.api.conftest import TrainedShop, new_database
from tests.api.serving import assert_problem, pages, serving
from tests.api.test_ask import ids, recommended, sent


def asked(client: TestClient, path: str, **params: Any) -> dict[str, Any]:
    response = client.get(path, params=params)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def rated(client: TestClient, user_id: str, *item_ids: str) -> dict[str, Any]:
    wanted = {"user_id": user_id, "item_ids": item_ids}
    response = client.post("/v1/predictions/ratings", json=wanted)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


@pytest.mark.parametrize("by", ["behaviour", "content", "hybrid"])
def test_similar_items(open_shop: TestClient, by: str) -> None:
    item_id = ids(asked(open_shop, "/v1/popular"))[0]
    body = asked(open_shop, f"/v1/items/{item_id}/similar", by=by, n=15)
    assert body["warnings"] == []
    assert 5 <= len(body["items"]) <= 15
    assert item_id not in ids(body)
    assert [item["rank"] for item in body["items"]] == list(range(1, len(body["items"]) + 1))
    scores = [item["score"] for item in body["items"]]
    assert scores == sorted(scores, reverse=True)
    assert asked(open_shop, f"/v1/items/{item_id}/similar", by=by, n=15)["items"] == body["items"]
    category = open_shop.get(f"/v1/items/{ids(body)[0]}").json()["categories"][0]
    fewer = ids(asked(open_shop, f"/v1/items/{item_id}/similar", by=by, n=500, category=category))
    assert ids(body)[0] in fewer
    for found in fewer:
        assert category in open_shop.get(f"/v1/items/{found}").json()["categories"]
    assert_problem(open_shop.get("/v1/items/no-such/similar", params={"by": by}), 404, "not_found")


def test_a_category_that_is_none_is_said(open_shop: TestClient) -> None:
    popular = ids(asked(open_shop, "/v1/popular"))[0]
    there = open_shop.get(f"/v1/items/{popular}").json()["categories"][0]
    for path in ("/v1/popular", "/v1/trending", "/v1/latest", f"/v1/items/{popular}/similar"):
        body = asked(open_shop, path, category="No > Such")
        assert (body["items"], body["warnings"]) == ([], ["No item lies under the category 'No > Such'."])
        assert asked(open_shop, path, category=there)["warnings"] == []


def test_similar_to_an_item_that_came_after_the_training(shop: TestClient) -> None:
    model = ids(asked(shop, "/v1/popular"))[0]
    twin = shop.get(f"/v1/items/{model}").json()
    fields = {name: twin[name] for name in ("title", "description", "categories", "brand", "tags", "price")}
    assert shop.put("/v1/items/twin", json=fields).status_code == 200
    for by in ("content", "hybrid", "behaviour"):
        body = asked(shop, "/v1/items/twin/similar", by=by)
        assert ids(body)[0] == model
        assert bool(body["warnings"]) == (by == "behaviour")
        # How far up depends on how far the training trusts what nobody chose yet.
        assert ("twin" in ids(asked(shop, f"/v1/items/{model}/similar", by=by, n=50))) == (by != "behaviour")
    assert "twin" in ids(asked(shop, "/v1/latest", n=500))
    assert "twin" in ids(recommended(shop, n=500))
    assert shop.put("/v1/items/blank", json={}).status_code == 200
    assert shop.get("/v1/items/blank/similar").status_code == 200
    sent(shop, "purchase", "twin", user_id="fan")
    assert len(recommended(shop, user_id="fan")["items"]) == 10


def test_an_item_that_is_described_later_is_compared_anew(shop: TestClient) -> None:
    known = shop.get("/v1/items", params={"limit": 1}).json()["items"][0]
    described = {name: known[name] for name in ("title", "categories", "brand", "tags") if known.get(name)}
    event = {"user_id": "curious", "item_id": "bare", "event": "view_item"}
    assert shop.post("/v1/interactions", json=event).status_code == 201
    ranked = {"user_id": "fan-of-it", "item_ids": ["bare", known["item_id"]]}
    for _ in range(3):
        like = {"user_id": "fan-of-it", "item_id": known["item_id"], "event": "purchase"}
        assert shop.post("/v1/interactions", json=like).status_code == 201

    def score() -> float:
        found = shop.post("/v1/rankings", json=ranked).json()["items"]
        return next(float(entry["score"]) for entry in found if entry["item_id"] == "bare")

    assert score() == 0
    assert shop.put("/v1/items/bare", json=described).status_code in (200, 201)
    assert score() > 0
    assert shop.put("/v1/items/bare", json={"title": "qqq"}).status_code == 200
    assert score() == 0


def test_similar_users(shop: TestClient) -> None:
    item_ids = ids(asked(shop, "/v1/popular", n=4))
    for item_id in item_ids:
        sent(shop, "purchase", item_id, user_id="newcomer")
    users = asked(shop, "/v1/users/newcomer/similar", n=5)["users"]
    assert len(users) == 5
    assert "newcomer" not in [user["user_id"] for user in users]
    assert all(0 < user["score"] <= 1.0001 for user in users)
    first = users[0]["user_id"]
    assert shop.delete(f"/v1/users/{first}").status_code == 200
    again = asked(shop, "/v1/users/newcomer/similar", n=5)["users"]
    assert first not in [user["user_id"] for user in again], "erased people are not shown"
    assert_problem(shop.get("/v1/users/nobody/similar"), 404, "not_found")
    assert shop.put("/v1/users/cold", json={}).status_code == 200
    assert asked(shop, "/v1/users/cold/similar")["users"] == []


@pytest.mark.parametrize("name", ["popular", "trending", "latest"])
def test_lists(open_shop: TestClient, name: str) -> None:
    whole = asked(open_shop, f"/v1/{name}", n=500)["items"]
    assert whole
    keys = [(-item["score"], item["item_id"]) for item in whole]
    assert keys == sorted(keys), "ties break by item id"
    known = asked(open_shop, "/v1/items", limit=1000)["items"]
    categories = {item["item_id"]: item["categories"] for item in known}
    path = categories[whole[0]["item_id"]][0]
    found = asked(open_shop, f"/v1/{name}", n=500, category=path)["items"]
    assert [item["item_id"] for item in found] == [
        item["item_id"] for item in whole if path in categories[item["item_id"]]
    ]
    assert asked(open_shop, f"/v1/{name}", category="No Such")["items"] == []
    assert [item["item_id"] for item in whole[:3]] == ids(asked(open_shop, f"/v1/{name}", n=3))


def test_windows_reach_back_from_the_latest_event(client: TestClient) -> None:
    number = 0
    for item_id, moment, count in (("old", "01T00", 9), ("mid", "29T12", 5), ("new", "30T00", 3)):
        for _ in range(count):
            number += 1
            date = f"2026-06-{moment}:00:00Z"
            sent(client, "view", item_id, session_id="s", occurred_at=date, event_id=f"e{number}")
    assert ids(asked(client, "/v1/popular", window="1h")) == ["new"]
    assert ids(asked(client, "/v1/popular", window="1d")) == ["mid", "new"]
    assert ids(asked(client, "/v1/popular", window="5w")) == ["old", "mid", "new"]
    assert ids(asked(client, "/v1/trending", window="1h")) == ["new"]
    assert [item["score"] for item in asked(client, "/v1/popular", window="5w")["items"]] == [9, 5, 3]


def test_rating_predictions(shop: TestClient) -> None:
    items = ids(asked(shop, "/v1/popular", n=6))
    body = rated(shop, "critic", *items, "no such", items[0])
    assert (body["scale"], bool(body["warnings"])) == ({"low": 1.0, "high": 5.0}, True)
    assert [found["item_id"] for found in body["predictions"]] == [*items, "no such", items[0]]
    for found in body["predictions"]:
        if found["item_id"] == "no such":
            assert (found["rating"], found["std"]) == (None, None)
        else:
            assert 1 <= found["rating"] <= 5
            assert found["std"] > 0
    assert body["predictions"][0] == body["predictions"][-1]
    before = [found["rating"] for found in body["predictions"][:6]]
    for item_id in items[:3]:
        sent(shop, "rate", item_id, user_id="critic", value=1)
    low = rated(shop, "critic", *items)
    assert low["warnings"] == []
    assert low["predictions"][4]["rating"] < before[4]
    for item_id in items[:3]:
        sent(shop, "rate", item_id, user_id="critic", value=5)
    assert rated(shop, "critic", *items)["predictions"][4]["rating"] > low["predictions"][4]["rating"]


def test_a_user_without_history_is_in_no_segment(shop: TestClient) -> None:
    assert shop.put("/v1/users/cold", json={}).status_code == 200
    body = asked(shop, "/v1/users/cold/segments")
    assert body["segments"] == []
    assert body["warnings"]


def test_versions_and_runs(shop: TestClient) -> None:
    (version,) = asked(shop, "/v1/models")["models"]
    assert (version["active"], version["available"]) == (True, True)
    name = version["version"]
    assert asked(shop, f"/v1/models/{name}") == version
    assert recommended(shop)["model_version"] == name
    assert shop.post(f"/v1/models/{name}/activate").json()["version"] == name
    for method, path in (("GET", "/v1/models/none"), ("POST", "/v1/models/none/activate")):
        assert_problem(shop.request(method, path), 404, "not_found")
    queued = shop.post("/v1/training-runs")
    assert queued.status_code == 202
    run = queued.json()
    path = queued.headers["location"]
    assert path == f"/v1/training-runs/{run['run_id']}"
    assert (run["state"], run["trigger"], run["progress"]) == ("queued", "api", 0)
    assert shop.post("/v1/training-runs").json() == run, "one waits at a time"
    assert asked(shop, path) == run
    listed = [found for page in pages(shop, "/v1/training-runs", "training_runs", 1) for found in page]
    assert [found["run_id"] for found in listed] == [run["run_id"], version["run_id"]]
    assert shop.delete(path).json()["state"] == "cancelled"
    assert_problem(shop.delete(path), 409, "conflict")
    assert_problem(shop.delete(f"/v1/training-runs/{version['run_id']}"), 409, "conflict")
    for missing in ("999999", "x", "-1", "1" * 30, "²"):
        for method in ("GET", "DELETE"):
            assert_problem(shop.request(method, f"/v1/training-runs/{missing}"), 404, "not_found")


def test_rolling_back_and_forward(
    trained: TrainedShop, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    artifacts = tmp_path / "artifacts"
    shutil.copytree(trained.artifacts, artifacts)
    with (
        new_database(request, trained.engine, tmp_path, trained.source) as url,
        serving(url, artifacts) as client,
    ):
        first = recommended(client, user_id="u000001")
        assert client.post("/v1/training-runs").status_code == 202
        database = Database(url)
        options = options_of(Settings(database_url=url, artifacts=artifacts))
        assert Trainer(database, options).work_once()
        database.close()
        run = asked(client, "/v1/training-runs", limit=1)["training_runs"][0]
        assert run["state"] == "succeeded", run["error"]
        new, old = (found["version"] for found in asked(client, "/v1/models")["models"])
        assert (old, run["model_version"]) == (first["model_version"], new)
        assert [len(page) for page in pages(client, "/v1/models", "models", 1)] == [1, 1]
        for version in (new, old, new, old):
            activated = client.post(f"/v1/models/{version}/activate")
            assert activated.status_code == 200, activated.text
            assert activated.json()["active"]
            answered = recommended(client, user_id="u000001")
            assert answered["model_version"] == version, "of the very next answer"
            active = [found["version"] for found in asked(client, "/v1/models")["models"] if found["active"]]
            assert active == [version]
        assert answered["items"] == first["items"]
        shutil.rmtree(artifacts / new)
        assert_problem(client.post(f"/v1/models/{new}/activate"), 409, "conflict")
        assert recommended(client)["model_version"] == old


def test_an_item_that_came_after_the_training_is_recommended_at_once(shop: TestClient) -> None:
    for item_id in ids(asked(shop, "/v1/popular", n=4)):
        sent(shop, "purchase", item_id, user_id="fan")
    first = recommended(shop, user_id="fan", n=5, exclude_seen=True)["items"][0]
    twin = shop.get(f"/v1/items/{first['item_id']}").json()
    fields = {name: twin[name] for name in ("title", "description", "categories", "brand", "tags", "price")}
    before = ids(recommended(shop, user_id="fan", n=20, exclude_seen=True))
    assert shop.put("/v1/items/twin", json=fields).status_code == 200
    found = recommended(shop, user_id="fan", n=20, exclude_seen=True, explain=True)
    (came,) = [item for item in found["items"] if item["item_id"] == "twin"]
    assert came["source"] == "content"
    assert came["reason"]["text"]
    assert 0 < came["score"] < first["score"]
    assert [item for item in ids(found) if item != "twin"] == before[:19]
    # Out of stock it is gone at once.
    assert shop.patch("/v1/items/twin", json={"availability": "out_of_stock"}).status_code == 200
    assert "twin" not in ids(recommended(shop, user_id="fan", n=500))


def test_newcomers_get_what_their_circle_likes_at_once(
    trained: TrainedShop, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    artifacts = tmp_path / "artifacts"
    shutil.copytree(trained.artifacts, artifacts)
    with (
        new_database(request, trained.engine, tmp_path, trained.source) as url,
        serving(url, artifacts) as client,
    ):
        friend = "u000001"
        for user_id in ("cousin", "neighbour", "stranger"):
            assert client.put(f"/v1/users/{user_id}", json={}).status_code == 200
        tie = client.put(f"/v1/users/cousin/relations/{friend}", json={"kind": "family"})
        assert tie.status_code == 200, tie.text
        before = recommended(client, user_id="cousin", n=10)
        assert "social" not in [item["source"] for item in before["items"]]
        assert client.post("/v1/training-runs").status_code == 202
        database = Database(url)
        assert Trainer(database, options_of(Settings(database_url=url, artifacts=artifacts))).work_once()
        database.close()
        assert asked(client, "/v1/training-runs", limit=1)["training_runs"][0]["state"] == "succeeded"
        client.post(f"/v1/models/{asked(client, '/v1/models')['models'][0]['version']}/activate")
        liked = {
            event["item_id"] for event in asked(client, f"/v1/users/{friend}/interactions")["interactions"]
        }
        told = recommended(client, user_id="cousin", n=10, explain=True)["items"]
        social = [item for item in told if item["source"] == "social"]
        assert social
        assert {item["item_id"] for item in social} <= liked
        assert social[0]["reason"]["text"] == "Liked by people you know"
        # A tie of a moment ago counts, one that is gone does not.
        client.put("/v1/users/neighbour/relations/cousin", json={"kind": "friend"})
        client.put(f"/v1/users/stranger/relations/{friend}", json={"kind": "friend"})
        found = recommended(client, user_id="stranger", n=10)["items"]
        assert "social" in [item["source"] for item in found]
        assert client.delete(f"/v1/users/stranger/relations/{friend}").status_code in (200, 204)
        found = recommended(client, user_id="stranger", n=10)["items"]
        assert "social" not in [item["source"] for item in found]
