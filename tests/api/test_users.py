"""Users over HTTP: written, changed, listed, related, erased."""

from starlette.testclient import TestClient

from tests.api.serving import assert_problem, pages


def test_put_creates_and_replaces(client: TestClient) -> None:
    body = {"attributes": {"country": "PT", "nested": {"a": [1, 2.5, None, "é"]}}}
    created = client.put("/v1/users/ana", json=body)
    assert created.status_code == 200
    assert created.json()["attributes"] == body["attributes"]
    first_seen = created.json()["created_at"]
    replaced = client.put("/v1/users/ana", json={"attributes": {"vip": True}}).json()
    assert replaced["attributes"] == {"vip": True}
    assert replaced["created_at"] == first_seen, "created_at is kept where it is not given"
    moved = client.put("/v1/users/ana", json={"created_at": "2020-02-29T12:00:00.123+01:00"}).json()
    assert moved["created_at"] == "2020-02-29T11:00:00.123Z"
    assert client.put("/v1/users/ana", json={}).json()["created_at"] == moved["created_at"]
    assert client.get("/v1/users/ana").json() | {"updated_at": ""} == {
        "user_id": "ana",
        "attributes": {},
        "created_at": moved["created_at"],
        "updated_at": "",
    }


def test_patch_merges_and_null_clears(client: TestClient) -> None:
    client.put("/v1/users/ana", json={"attributes": {"a": 1, "b": {"c": 2, "d": 3}, "e": 4}})
    patch = {"attributes": {"a": None, "b": {"c": None, "x": 5}, "f": [None]}}
    changed = client.patch("/v1/users/ana", json=patch).json()
    assert changed["attributes"] == {"b": {"d": 3, "x": 5}, "e": 4, "f": [None]}
    assert client.patch("/v1/users/ana", json={}).json()["attributes"] == changed["attributes"]
    assert client.patch("/v1/users/ana", json={"attributes": None}).json()["attributes"] == {}
    assert_problem(client.patch("/v1/users/nobody", json={}), 404, "not_found")


def test_patches_cannot_pile_up_beyond_the_bound(client: TestClient) -> None:
    client.put("/v1/users/ana", json={"attributes": {"a": "x" * 40_000}})
    grown = client.patch("/v1/users/ana", json={"attributes": {"b": "x" * 40_000}})
    assert_problem(grown, 422, "too_large", "/attributes")
    assert set(client.get("/v1/users/ana").json()["attributes"]) == {"a"}


def test_attributes_come_back_as_they_were_sent(steady: TestClient) -> None:
    attributes = {
        "large": 1e300,
        "small": 5e-324,
        "int": 2**63,
        "negative": -(2**63),
        "text": "中文 🛍 \u200f\\u0000 \u2028",
        "": {"": []},
        "deep": [[[[[[{"a": {"b": None}}]]]]]],
    }
    assert steady.put("/v1/users/numbers", json={"attributes": attributes}).status_code == 200
    assert steady.get("/v1/users/numbers").json()["attributes"] == attributes


def test_the_bound_of_attributes_counts_bytes(steady: TestClient) -> None:
    chinese = {"attributes": {"note": "茶" * 20_000}}  # 60,000 bytes of UTF-8
    assert steady.put("/v1/users/chinese", json=chinese).status_code == 200
    too_much = {"attributes": {"note": "茶" * 22_000}}
    assert_problem(steady.put("/v1/users/chinese", json=too_much), 422, "too_large", "/attributes")


def test_batch_keeps_the_good_and_names_the_bad(client: TestClient) -> None:
    entries = [
        {"user_id": "a", "attributes": {"n": 1}},
        {"user_id": ""},
        {"attributes": {}},
        {"user_id": "b", "extra/field": 1},
        {"user_id": "c", "created_at": "yesterday"},
        "not an object",
        {"user_id": "a", "attributes": {"n": 2}},
        {"user_id": "d", "attributes": {"bad": "nul \u0000"}},
        {"user_id": "e", "created_at": "2020-01-01T00:00:00Z"},
    ]
    result = client.post("/v1/users/batch", json={"users": entries})
    assert result.status_code == 200
    body = result.json()
    assert (body["accepted"], body["duplicate"], body["rejected"]) == (3, 0, 6)
    assert [(error["index"], error["code"], error["pointer"]) for error in body["errors"]] == [
        (1, "string_too_short", "/user_id"),
        (2, "missing", "/user_id"),
        (3, "extra_forbidden", "/extra~1field"),
        (4, "rfc3339_time", "/created_at"),
        (5, "model_type", ""),
        (7, "nul_character", "/attributes"),
    ]
    assert {user["user_id"] for user in client.get("/v1/users").json()["users"]} == {"a", "e"}
    assert client.get("/v1/users/a").json()["attributes"] == {"n": 2}, "the last of an id wins"


def test_list_pages_lose_nothing_and_repeat_nothing(client: TestClient) -> None:
    client.post("/v1/users/batch", json={"users": [{"user_id": f"u{n}"} for n in range(25)]})
    client.put("/v1/users/last", json={})
    found = pages(client, "/v1/users", "users", 10)
    assert [len(page) for page in found] == [10, 10, 6]
    names = [user["user_id"] for page in found for user in page]
    assert sorted(names) == sorted([*(f"u{n}" for n in range(25)), "last"])
    assert names[-1] == "last"
    assert [len(page) for page in pages(client, "/v1/users", "users", 13)] == [13, 13]


def test_relations(client: TestClient) -> None:
    tie = client.put("/v1/users/ana/relations/bo", json={"kind": "follows", "weight": 0.25})
    assert tie.status_code == 200
    assert tie.json() | {"updated_at": ""} == {
        "user_id": "ana",
        "other_id": "bo",
        "kind": "follows",
        "weight": 0.25,
        "updated_at": "",
    }
    assert client.get("/v1/users/bo").status_code == 200, "both users are created"
    for number in range(5):
        client.put(f"/v1/users/ana/relations/friend{number}", json={})
    client.put("/v1/users/ana/relations/bo", json={})
    found = [tie for page in pages(client, "/v1/users/ana/relations", "relations", 2) for tie in page]
    assert [tie["other_id"] for tie in found] == ["bo", *(f"friend{n}" for n in range(5))]
    assert {(tie["kind"], tie["weight"]) for tie in found} == {("friend", 1.0)}
    assert client.get("/v1/users/bo/relations").json()["relations"] == [], "a tie has a direction"
    assert client.delete("/v1/users/ana/relations/bo").status_code == 204
    assert_problem(client.delete("/v1/users/ana/relations/bo"), 404, "not_found")
    assert_problem(client.get("/v1/users/nobody/relations"), 404, "not_found")
    itself = client.put("/v1/users/ana/relations/ana", json={})
    assert_problem(itself, 422, "same_user", "/path/other_id")


def test_erasure_leaves_nothing_of_the_person(client: TestClient) -> None:
    def event(**who: str) -> dict[str, str]:
        return {"item_id": "mug", "event": "view_item", **who}

    sent = [
        event(session_id="s1"),  # before the login
        event(user_id="ana", session_id="s1"),
        event(user_id="ana"),
        event(user_id="ana", session_id="shared"),
        event(user_id="bo", session_id="shared"),
        event(session_id="other"),
    ]
    client.post("/v1/interactions/batch", json={"interactions": sent})
    client.put("/v1/users/ana/relations/bo", json={})
    client.put("/v1/users/bo/relations/ana", json={})
    erased = client.delete("/v1/users/ana")
    assert erased.status_code == 200
    assert erased.json()["user_id"] == "ana"
    assert erased.json()["removed"] == {
        "users": 1,
        "interactions": 4,
        "sessions": 1,
        "relations": 2,
        "corrections": 0,
        "shown_recommendations": 0,
    }
    assert_problem(client.get("/v1/users/ana"), 404, "not_found")
    assert_problem(client.get("/v1/users/ana/interactions"), 404, "not_found")
    assert_problem(client.delete("/v1/users/ana"), 404, "not_found")
    assert client.get("/v1/users/bo/relations").json()["relations"] == []
    assert len(client.get("/v1/users/bo/interactions").json()["interactions"]) == 1
    assert client.put("/v1/users/ana", json={}).json()["attributes"] == {}
    assert client.get("/v1/users/ana/interactions").json()["interactions"] == []
