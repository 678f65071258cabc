"""Scenarios over HTTP: kept in versions, in force at once, and no reason for an empty page."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.services import scenarios
from tests.api.serving import assert_problem, serving
from tests.api.test_ask import ids, recommended
from tests.api.test_filters import shelf

__all__ = ["shelf"]
PATH = "/v1/scenarios"
BUILT_IN = ["cart", "email", "home", "product"]


def saved(client: TestClient, name: str, status: int = 200, **body: Any) -> dict[str, Any]:
    settings = {key: value for key, value in body.items() if key not in ("note", "version")}
    rest = {key: value for key, value in body.items() if key in ("note", "version")}
    response = client.put(f"{PATH}/{name}", json={"settings": settings, **rest})
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


def listed(client: TestClient) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in client.get(PATH).json()["scenarios"]}


def versions(client: TestClient, name: str) -> list[dict[str, Any]]:
    response = client.get(f"{PATH}/{name}/versions")
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["versions"]
    return found


def test_a_scenario_from_its_first_version_to_its_last(client: TestClient) -> None:
    assert [*listed(client)] == BUILT_IN
    assert {(entry["built_in"], entry["version"]) for entry in listed(client).values()} == {(True, 0)}
    first = saved(client, "shelf", 201, n=3, note="Small")
    assert first | {"updated_at": None} == {
        "name": "shelf",
        "built_in": False,
        "version": 1,
        "settings": {"n": 3},
        "note": "Small",
        "updated_at": None,
    }
    assert saved(client, "shelf", n=3, note="The same") == first, "no new version"
    assert saved(client, "shelf", parameters={}, explain=True)["version"] == 2
    assert client.get(f"{PATH}/shelf").json() == listed(client)["shelf"]
    assert client.post(f"{PATH}/shelf/restore", json={"version": 1}).json()["settings"] == {"n": 3}
    assert client.delete(f"{PATH}/shelf").status_code == 204
    assert [*listed(client)] == BUILT_IN
    for refused in (client.get(f"{PATH}/shelf"), client.delete(f"{PATH}/shelf")):
        assert_problem(refused, 404, "not_found")
    kept = versions(client, "shelf")
    assert [(entry["version"], entry["deleted"]) for entry in kept] == [
        (4, True),
        (3, False),
        (2, False),
        (1, False),
    ]
    for gone in (4, 9):
        assert_problem(client.post(f"{PATH}/shelf/restore", json={"version": gone}), 404, "not_found")
    assert client.post(f"{PATH}/shelf/restore", json={"version": 2}).json()["version"] == 5
    assert_problem(client.get(f"{PATH}/nothing/versions"), 404, "not_found")


def test_a_built_in_one_gives_way_and_comes_back(client: TestClient) -> None:
    before = client.get(f"{PATH}/home").json()
    assert versions(client, "home") == []
    assert_problem(client.delete(f"{PATH}/home"), 404, "not_found")
    assert saved(client, "home", 201, n=1)["built_in"]
    assert client.get(f"{PATH}/home").json()["settings"] == {"n": 1}
    assert client.delete(f"{PATH}/home").status_code == 204
    assert client.get(f"{PATH}/home").json() == before


def test_what_was_changed_since_is_not_overwritten(client: TestClient) -> None:
    saved(client, "home", 201, n=1, version=0)
    assert_problem(client.put(f"{PATH}/home", json={"settings": {}, "version": 0}), 409, "conflict")
    assert saved(client, "home", n=2, version=1)["version"] == 2
    assert_problem(client.put(f"{PATH}/home", json={"settings": {}, "version": 1}), 409, "conflict")
    assert client.delete(f"{PATH}/home").status_code == 204
    assert saved(client, "home", 201, n=3, version=0)["version"] == 4


def test_there_is_an_end_to_scenarios_and_versions(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenarios, "MOST_SCENARIOS", 2)
    monkeypatch.setattr(scenarios, "MOST_VERSIONS", 3)
    monkeypatch.setattr(scenarios, "MOST_DELETED", 1)
    saved(client, "a", 201)
    for n in range(1, 6):
        saved(client, "b", 201 if n == 1 else 200, n=n)
    assert [entry["version"] for entry in versions(client, "b")] == [5, 4, 3]
    assert_problem(client.put(f"{PATH}/c", json={"settings": {}}), 409, "conflict")
    for name in ("a", "b"):
        assert client.delete(f"{PATH}/{name}").status_code == 204
    kept = [client.get(f"{PATH}/{name}/versions").status_code for name in ("a", "b")]
    assert sorted(kept) == [200, 404], "of the deleted ones the last is kept"
    saved(client, "c", 201)


@pytest.mark.parametrize(
    ("settings", "code", "pointer"),
    [
        ({"filter": "prise < 3"}, "filter_field", "/settings/filter"),
        ({"filter": "price <"}, "filter_syntax", "/settings/filter"),
        ({"filter": "title < $most"}, "filter_field", "/settings/filter"),
        ({"filter": "price < $most", "parameters": {"most": "x"}}, "filter_field", "/settings/filter"),
        (
            {"filter": "price < $most", "parameters": {"mots": 3}},
            "filter_parameter",
            "/settings/parameters/mots",
        ),
        ({"boost": [{"filter": "a", "weight": 2}]}, "filter_syntax", "/settings/boost/0/filter"),
        ({"user_id": "ana"}, "extra_forbidden", "/settings/user_id"),
        ({"sources": []}, "too_short", "/settings/sources"),
        ({"sources": ["pinned"]}, "literal_error", "/settings/sources/0"),
        ({"n": 2, "pins": [{"position": 3, "item_id": "a"}]}, "pin_beyond_n", "/settings/pins"),
        ({"filter": {"field": "title", "op": "=", "value": "a" * 70_000}}, "too_large", "/settings"),
    ],
)
def test_what_is_refused(steady: TestClient, settings: dict[str, Any], code: str, pointer: str) -> None:
    assert_problem(steady.put(f"{PATH}/wrong", json={"settings": settings}), 422, code, pointer)
    assert_problem(steady.get(f"{PATH}/wrong"), 404, "not_found")


def test_names_and_bodies(steady: TestClient) -> None:
    for name in ("Home", "a b", "-a", "a" * 65, "a%2Fb"):
        refused = steady.put(f"{PATH}/{name}", json={"settings": {}})
        assert_problem(refused, 422, "string_pattern_mismatch", "/path/name")
    assert_problem(steady.put(f"{PATH}/a", json={}), 422, "missing", "/settings")
    assert_problem(
        steady.post(f"{PATH}/a/restore", json={"version": 0}), 422, "greater_than_equal", "/version"
    )


def test_a_request_overrides_its_scenario(shelf: TestClient) -> None:
    saved(
        shelf,
        "shoes",
        201,
        n=3,
        filter="price <= $most and category under $below",
        parameters={"most": 50, "below": "Shoes"},
        fields=["price"],
        pins=[{"position": 2, "item_id": "i0"}],
    )
    body = recommended(shelf, scenario="shoes")
    assert (body["scenario"], ids(body), body["items"][0]["item"]) == (
        "shoes",
        ["i4", "i0", "i3"],
        {"price": 40},
    )
    assert ids(recommended(shelf, scenario="shoes", n=2)) == ["i4", "i0"]
    assert ids(recommended(shelf, scenario="shoes", parameters={"most": 30})) == ["i3", "i0", "i1"]
    assert ids(recommended(shelf, scenario="shoes", pins=[])) == ["i4", "i3", "i1"]
    everything = recommended(shelf, scenario="shoes", filter=None, fields=[], pins=[])
    assert ids(everything) == ["i7", "i6", "i5"]
    assert "item" not in everything["items"][0]
    url = "/v1/users/nobody/recommendations"
    assert ids(shelf.get(url, params={"scenario": "shoes"}).json()) == ["i4", "i0", "i3"]
    given = shelf.get(url, params={"scenario": "shoes", "n": 10, "filter": "tags has 'sale'"}).json()
    assert ids(given) == ["i7", "i6"]
    assert given["warnings"][-1].startswith("The list is shorter"), "the default's parameters are not missed"
    assert recommended(shelf)["scenario"] is None


def test_what_does_not_fit_together_is_left_out(shelf: TestClient) -> None:
    saved(shelf, "page", 201, n=5, pins=[{"position": 4, "item_id": "i0"}])
    short = recommended(shelf, scenario="page", n=2, parameters={"most": 3})
    assert ids(short) == ["i7", "i6"]
    assert short["warnings"][:2] == [
        "The scenario has no filter with the parameter 'most'.",
        "Pins beyond n have no place: 'i0'.",
    ]
    saved(shelf, "page", n=20)
    late = [{"position": 8, "item_id": "i7"}]
    assert ids(recommended(shelf, scenario="page", pins=late, n=20))[-1] == "i7", "n of the scenario is 20"
    wanted = {"scenario": "page", "pins": late, "n": 3}
    assert_problem(shelf.post("/v1/recommendations", json=wanted), 422, "pin_beyond_n", "/pins")


def test_a_filter_waits_for_its_parameters(shelf: TestClient) -> None:
    saved(shelf, "page", 201, filter="price <= $most or tags in $tags or item_id in ['i3', $also]")
    wanted: dict[str, Any] = {"scenario": "page", "parameters": {"most": 10, "tags": ["sale"]}}
    refused = shelf.post("/v1/recommendations", json=wanted)
    assert_problem(refused, 422, "filter_parameter", "/filter")
    batch = shelf.post("/v1/recommendations/batch", json={"requests": [{}, wanted]})
    assert_problem(batch, 422, "filter_parameter", "/requests/1/filter")
    wanted["parameters"]["also"] = "i5"
    assert ids(recommended(shelf, **wanted)) == ["i7", "i6", "i5", "i3", "i1", "i0"]


def test_a_misspelt_name_does_not_empty_a_page(shelf: TestClient) -> None:
    for name in ("hoem", "", "Home", "💥"):
        body = recommended(shelf, scenario=name, n=2)
        assert (ids(body), body["scenario"]) == (["i7", "i6"], None)
        assert body["warnings"][0] == f"There is no scenario '{name}'; these are the defaults."
    assert_problem(
        shelf.post("/v1/recommendations", json={"scenario": "a" * 257}), 422, "string_too_long", "/scenario"
    )


def test_sources_before_the_first_training(shelf: TestClient) -> None:
    shelf.put("/v1/items/fresh", json={})

    def sources(*allowed: str) -> set[str]:
        return {item["source"] for item in recommended(shelf, sources=[*allowed], n=20)["items"]}

    assert sources("popular") == {"popular"}
    assert sources("latest") == {"latest"}
    assert sources("trending", "latest") == {"trending", "latest"}
    assert sources("content") == set()
    assert recommended(shelf, sources=["content"])["warnings"][-1].startswith("The list is shorter than n")
    for name in BUILT_IN:
        assert len(recommended(shelf, scenario=name, item_ids=["i3"], user_id="nobody", n=4)["items"]) == 4


def test_a_change_counts_at_once_in_every_process(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path / "a") as one, serving(database_url, tmp_path / "a") as other:
        for number in range(5):
            one.put(f"/v1/items/i{number}", json={"price": number})
        for n in (3, 1, 4):
            saved(one, "home", 201 if n == 3 else 200, n=n)
            for client in (other, one, other):
                assert len(recommended(client, scenario="home", n=n)["items"]) == n
                assert len(client.get("/v1/users/u/recommendations?scenario=home").json()["items"]) == n
        other.post(f"{PATH}/home/restore", json={"version": 1})
        assert len(recommended(one, scenario="home")["items"]) == 3
        other.delete(f"{PATH}/home")
        assert len(recommended(one, scenario="home")["items"]) == 5
        saved(other, "new", 201, n=2)
        assert len(recommended(one, scenario="new")["items"]) == 2
