"""Saved filters over HTTP: kept, checked, applied to all customers and to one, and remembered truthfully."""

from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.learning.customers.segments.rule_fields import FIGURES
from app.learning.customers.segments.rule_members import describe_members
from app.services import rule_matches
from app.services.live import Live
from tests.api.serving import assert_problem, encoded, pages

PATH = "/v1/segment-rules"
SPENDERS = {"name": "Big spenders", "filter": "purchase_recency_days <= 30 and monetary > 100"}


def asked(client: TestClient, path: str, **params: Any) -> dict[str, Any]:
    response = client.get(path, params=params)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def previewed(client: TestClient, text: str) -> dict[str, Any]:
    response = client.post(f"{PATH}/preview", json={"filter": text})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def live_of(client: TestClient) -> Live:
    live: Live = client.app.state.live  # type: ignore[attr-defined]
    return live


def column(client: TestClient, name: str) -> Any:
    model = live_of(client).current
    assert model is not None
    judged = model.version.analytics.judged
    if name in judged.figures:
        return np.asarray(judged.figures[name])
    return np.where(judged.features.known, judged.features.column(name), np.nan)


def test_a_filter_from_its_first_day_to_its_last(client: TestClient) -> None:
    assert asked(client, PATH) == {"segment_rules": []}
    assert_problem(client.get(f"{PATH}/big"), 404, "not_found")
    made = client.put(f"{PATH}/big", json=SPENDERS)
    assert made.status_code == 201, made.text
    first = made.json()
    assert first["segment_id"] == "rule-big"
    assert first["created_at"] == first["updated_at"]
    assert {"segment": "big", **SPENDERS}.items() <= first.items()
    changed = client.put(f"{PATH}/big", json=SPENDERS | {"name": "Others"})
    assert changed.status_code == 200
    assert (changed.json()["name"], changed.json()["created_at"]) == ("Others", first["created_at"])
    assert asked(client, f"{PATH}/big") == changed.json()
    client.put(f"{PATH}/a", json=SPENDERS)
    assert [rule["segment"] for rule in asked(client, PATH)["segment_rules"]] == ["a", "big"]
    assert client.delete(f"{PATH}/big").status_code == 204
    assert_problem(client.delete(f"{PATH}/big"), 404, "not_found")
    assert [rule["segment"] for rule in asked(client, PATH)["segment_rules"]] == ["a"]


def test_before_the_first_training_any_name_may_be_an_attribute(client: TestClient) -> None:
    body = {"name": "x", "filter": 'shoe_size > 40 and country = "DE" and churn < 0.5'}
    assert client.put(f"{PATH}/early", json=body).status_code == 201
    wrong = client.put(f"{PATH}/early", json={"name": "x", "filter": 'recency_days = "long"'})
    assert_problem(wrong, 422, "filter_field", "/filter")
    refused = client.post(f"{PATH}/preview", json={"filter": "recency_days < 3"})
    assert_problem(refused, 409, "model_not_ready")
    assert_problem(client.get("/v1/segments/rule-early"), 409, "model_not_ready")
    fields = {field["name"]: field for field in asked(client, f"{PATH}/fields")["fields"]}
    assert fields["churn"]["needs"]
    assert fields["monetary"]["needs"] is None


def test_a_rule_is_a_segment_at_once(shop: TestClient) -> None:
    made = shop.put(f"{PATH}/big-spenders", json=SPENDERS)
    assert made.status_code == 201, made.text
    body = asked(shop, "/v1/segments", kind="rule")
    (segment,) = body["segments"]
    assert body["missing"] == {}
    assert (segment["segment_id"], segment["filter"]) == ("rule-big-spenders", SPENDERS["filter"])
    recent, spent = column(shop, "purchase_recency_days"), column(shop, "monetary")
    members = (recent <= 30) & (spent > 100)
    assert segment["size"] == members.sum() > 0
    assert segment["share"] == pytest.approx(members.mean())
    assert segment["centre"]["monetary"] == pytest.approx(np.median(spent[members]))
    assert len(segment["sets_apart"]) == 3
    path = "/v1/segments/rule-big-spenders"
    assert asked(shop, path)["segment"] == segment
    users = [user for page in pages(shop, f"{path}/users", "users", 5) for user in page]
    assert len(set(users)) == len(users) == segment["size"]
    preview = previewed(shop, SPENDERS["filter"])
    assert (preview["size"], preview["user_ids"]) == (segment["size"], users[:10])
    for user in [*users[:3], *[u for u in _all_users(shop) if u not in users][:3]]:
        mine = asked(shop, f"/v1/users/{encoded(user)}/segments")["segments"]
        assert ("rule-big-spenders" in [entry["segment_id"] for entry in mine]) is (user in users)
    table = shop.get(f"{path}/users", params={"format": "csv"}).text
    assert len(table.splitlines()) == 1 + len(users)
    # Another filter under the same name is another segment at the next call.
    shop.put(f"{PATH}/big-spenders", json=SPENDERS | {"filter": "monetary <= 100"})
    assert asked(shop, path)["segment"]["size"] == (spent <= 100).sum()
    shop.delete(f"{PATH}/big-spenders")
    assert_problem(shop.get(path), 404, "not_found")


def _all_users(client: TestClient) -> list[str]:
    return [user["user_id"] for user in asked(client, "/v1/users", limit=1000)["users"]]


def test_one_customer_is_judged_now(shop: TestClient) -> None:
    shop.put(f"{PATH}/buyers", json={"name": "Buyers", "filter": "frequency_7d >= 1 and monetary > 20"})
    event = {"user_id": "now", "item_id": "anything", "event": "view_item"}
    assert shop.post("/v1/interactions", json=event).status_code == 201

    def mine() -> list[str]:
        return [e["segment_id"] for e in asked(shop, "/v1/users/now/segments")["segments"]]

    assert "rule-buyers" not in mine()
    bought = event | {"event": "purchase", "price": 10.5, "quantity": 2}
    assert shop.post("/v1/interactions", json=bought).status_code == 201
    assert "rule-buyers" in mine()


def test_predicted_figures_are_fields(open_shop: TestClient) -> None:
    for name, least in (("next_purchase", 0.5), ("value", 10.0), ("expected_purchases", 5.0), ("alive", 0.9)):
        known = np.isfinite(column(open_shop, name))
        above = previewed(open_shop, f"{name} > {least}")["size"]
        below = previewed(open_shop, f"{name} <= {least}")["size"]
        assert above == (column(open_shop, name) > least).sum()
        assert above + below == known.sum(), "unknown ones are on neither side"


def test_a_figure_that_is_not_predicted(open_shop: TestClient, shop: TestClient) -> None:
    fields = {field["name"]: field for field in asked(open_shop, f"{PATH}/fields")["fields"]}
    absent = [field["name"] for field in fields.values() if field["needs"]]
    model = live_of(open_shop).current
    assert model is not None
    assert set(absent) == {figure.name for figure in FIGURES} - model.version.analytics.judged.figures.keys()
    assert "churn" in absent, "the shop is too small to learn it from"
    refused = open_shop.post(f"{PATH}/preview", json={"filter": "churn > 0.5"})
    body = assert_problem(refused, 409, "model_not_ready")
    assert fields["churn"]["needs"] in body["detail"]
    # It may be saved: a later training may predict it.
    assert shop.put(f"{PATH}/leaving", json={"name": "Leaving", "filter": "churn > 0.5"}).status_code == 201
    listed = asked(shop, "/v1/segments", kind="rule")
    assert listed["segments"] == []
    assert fields["churn"]["needs"] in listed["missing"]["rule-leaving"]
    assert_problem(shop.get("/v1/segments/rule-leaving"), 409, "conflict")
    assert_problem(shop.get("/v1/segments/rule-leaving/users"), 409, "conflict")
    user = encoded(_all_users(shop)[0])
    assert "rule-leaving" not in [
        entry["segment_id"] for entry in asked(shop, f"/v1/users/{user}/segments")["segments"]
    ]


def test_attributes(shop: TestClient) -> None:
    users = _all_users(shop)
    given: list[Any] = ["DE", "de", "DE ", 7, True, None, "", "DEU", ["DE"], "DE", "FR", {"DE": 1}]
    for user, land in zip(users, given, strict=False):
        body = {"attributes": {"land": land, "size": len(user), "vip": land == "DE", 'a "b`.c': 1}}
        assert shop.put(f"/v1/users/{encoded(user)}", json=body).status_code == 200
    chosen = [user for user, land in zip(users, given, strict=False) if land == "DE"]
    assert sorted(previewed(shop, 'land = "DE"')["user_ids"]) == sorted(chosen)
    assert previewed(shop, 'land != "DE"')["size"] == 4, "who has no text is unknown"
    assert previewed(shop, 'not land = "DE"')["size"] == len(users) - 2
    assert previewed(shop, "land = 7")["user_ids"] == [users[3]], "a value counts as what it is compared with"
    assert previewed(shop, "vip = true")["size"] == 2
    assert previewed(shop, "vip = false")["size"] == len(users) - 2
    assert previewed(shop, "size > 0")["size"] == len(given)
    assert previewed(shop, "size <= size")["size"] == len(given)
    assert previewed(shop, "size > interactions")["size"] < len(given)
    rule = {"name": "DE", "filter": 'land = "DE" and interactions >= 1'}
    assert shop.put(f"{PATH}/de", json=rule).status_code == 201
    for user, land in zip(users, given, strict=False):
        mine = asked(shop, f"/v1/users/{encoded(user)}/segments")["segments"]
        assert ("rule-de" in [entry["segment_id"] for entry in mine]) is (land == "DE")


def test_many_attributes(shop: TestClient) -> None:
    users = _all_users(shop)
    for place, user in enumerate(users[:3]):
        body = {"attributes": {f"a{number}": place for number in range(40)}}
        assert shop.put(f"/v1/users/{encoded(user)}", json=body).status_code == 200
    for first in (0, 20):
        text = " and ".join(f"a{number} >= 1" for number in range(first, first + 20))
        assert shop.put(f"{PATH}/from{first}", json={"name": "x", "filter": text}).status_code == 201
    listed = asked(shop, "/v1/segments", kind="rule")
    assert [segment["size"] for segment in listed["segments"]] == [2, 2]


def test_a_change_of_a_user_counts_at_the_next_request(shop: TestClient) -> None:
    users = _all_users(shop)
    assert (
        shop.put(f"/v1/users/{encoded(users[0])}", json={"attributes": {"club": "gold"}}).status_code == 200
    )
    text = 'club = "gold"'
    assert previewed(shop, text)["user_ids"] == users[:1]
    assert (
        shop.put(f"/v1/users/{encoded(users[1])}", json={"attributes": {"club": "gold"}}).status_code == 200
    )
    assert sorted(previewed(shop, text)["user_ids"]) == sorted(users[:2])
    assert shop.delete(f"/v1/users/{encoded(users[1])}").status_code == 200
    assert previewed(shop, text)["user_ids"] == users[:1]
    body = {"name": "Gold", "filter": text}
    assert shop.put(f"{PATH}/gold", json=body).status_code == 201
    assert asked(shop, "/v1/segments/rule-gold")["segment"]["size"] == 1
    # When nobody has the attribute any more, the segment says so, and the others are there.
    shop.put(f"{PATH}/all", json={"name": "All", "filter": "interactions > 0"})
    assert shop.put(f"/v1/users/{encoded(users[0])}", json={"attributes": {}}).status_code == 200
    listed = asked(shop, "/v1/segments", kind="rule")
    assert [segment["segment_id"] for segment in listed["segments"]] == ["rule-all"]
    assert "'club'" in listed["missing"]["rule-gold"]


def test_results_are_remembered(shop: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []

    def counting(*args: Any) -> dict[str, Any]:
        counted.append(1)
        return describe_members(*args)

    monkeypatch.setattr(rule_matches, "describe_members", counting)
    for number in range(20):
        body = {"name": f"{number}", "filter": f"interactions > {number}"}
        assert shop.put(f"{PATH}/r{number}", json=body).status_code == 201
    first = asked(shop, "/v1/segments", kind="rule")
    assert len(counted) == len(first["segments"]) == 20
    assert asked(shop, "/v1/segments", kind="rule") == first
    asked(shop, "/v1/segments/rule-r3/users")
    assert len(counted) == 20
    monkeypatch.setattr(rule_matches, "_KEPT", 5)
    for number in range(20):
        previewed(shop, f"interactions > {number} and recency_days >= 0")
    assert len(rule_matches._RESULTS[live_of(shop)].found) == 5


def test_customers_without_interactions(shop: TestClient) -> None:
    assert shop.put("/v1/users/quiet", json={"attributes": {"land": "DE"}}).status_code == 200
    shop.put(f"{PATH}/de", json={"name": "DE", "filter": 'land = "DE"'})
    shop.put(f"{PATH}/late", json={"name": "late", "filter": "recency_days > 0"})
    body = asked(shop, "/v1/users/quiet/segments")
    assert [entry["segment_id"] for entry in body["segments"]] == ["rule-de"]
    assert body["warnings"]


def test_fields(open_shop: TestClient) -> None:
    fields = asked(open_shop, f"{PATH}/fields")["fields"]
    names = [field["name"] for field in fields]
    assert len(set(names)) == len(names) > 50
    assert all(field["meaning"] for field in fields)
    known = {field["name"]: field for field in fields}
    assert (known["monetary"]["source"], known["monetary"]["unit"]) == ("feature", "currency")
    assert known["value"]["source"] == "prediction"
    assert known["country"]["source"] == "attribute"
    assert (known["country"]["type"], known["country"]["users"]) == ("text", len(_all_users(open_shop)))
    for field in fields:
        if not field["needs"]:
            literal = {"number": "1", "text": '"x"', "yes or no": "true"}[field["type"]]
            previewed(open_shop, f"`{field['name']}` = {literal}")
