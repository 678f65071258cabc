"""Columns of items: read whole once, then only what changed, and never out of date."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Event
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection

from app.db.queries.items import changed_fields
from app.db.rows import AnyRow
from app.db.session import Database
from app.learning.ranking.worth import percentiles
from app.services import item_columns as module
from app.services.catalogue import Catalogue
from app.services.item_filters import Filters
from app.services.items import delete_item
from tests.services.test_catalogue import patch, put


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], int]]:
    """Fields and number of rows of each reading."""
    seen: list[tuple[list[str], int]] = []

    def watched(connection: Connection, names: list[str], after: int) -> Iterator[AnyRow]:
        rows = list(changed_fields(connection, names, after))
        seen.append((names, len(rows)))
        yield from rows

    monkeypatch.setattr(module, "changed_fields", watched)
    return seen


def passing(catalogue: Catalogue, database: Database, text: str) -> set[str]:
    """Ids of the items that pass."""
    condition = Filters({}, "").understand(text, "/filter")
    with database.read() as connection:
        seen = catalogue.refresh(connection)
        mask = catalogue.columns.passing(connection, condition, seen)
    assert len(mask) <= len(catalogue)
    return {catalogue.external_ids[at] for at in np.flatnonzero(mask)}


def test_only_what_changed_is_read(database: Database, read: list[Any]) -> None:
    put(database, "a", "b", "c", price=3.0, categories=["A"])
    catalogue = Catalogue()
    assert not catalogue.columns.ready(["price"])
    assert passing(catalogue, database, "category under 'A'") == {"a", "b", "c"}
    assert read == [], "the catalogue has the categories already"
    assert passing(catalogue, database, "price < 5") == {"a", "b", "c"}
    assert passing(catalogue, database, "price < 5") == {"a", "b", "c"}
    assert read == [(["price"], 3)]
    assert catalogue.columns.ready(["price", "categories"])
    patch(database, "b", price=7.0)
    put(database, "d", price=1.0)
    assert passing(catalogue, database, "price < 5") == {"a", "c", "d"}
    assert passing(catalogue, database, "not price < 5") == {"b"}
    assert read[1:] == [(["price"], 2)]
    patch(database, "c", brand="Acme")
    assert passing(catalogue, database, "brand = 'Acme' and price < 5") == {"c"}
    assert sorted(read[2:]) == [(["brand"], 4), (["price"], 1)]


def test_changes_count_at_once(database: Database) -> None:
    put(database, "a", categories=["A"], tags=["x"], attributes={"size": 1})
    put(database, "b", brand="B")
    catalogue = Catalogue()
    wanted = "category under 'A' and tags has 'x' and attributes.size = 1 and item_id = 'a'"
    assert passing(catalogue, database, wanted) == {"a"}
    for change, back in (
        ({"categories": ["B"]}, {"categories": ["A > B"]}),
        ({"tags": []}, {"tags": ["y", "x"]}),
        ({"attributes": {"size": None}}, {"attributes": {"size": 1.0}}),
    ):
        patch(database, "a", **change)
        assert passing(catalogue, database, wanted) == set()
        patch(database, "a", **back)
        assert passing(catalogue, database, wanted) == {"a"}
    with database.write() as connection:
        delete_item(connection, "a")
    put(database, "a", attributes={"size": 2})
    assert passing(catalogue, database, "attributes.size = 2 and tags missing") == {"a"}


def test_percentiles_are_made_once_for_each_change(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where availability alone changes; of currencies that are as common the first by name counts."""
    made: list[int] = []

    def counted(values: Any, among: Any) -> Any:
        made.append(len(values))
        return percentiles(values, among)

    monkeypatch.setattr(module, "percentiles", counted)
    put(database, "a", price=3.0, cost=1.0, currency="USD")
    put(database, "b", price=9.0, cost=1.5, currency="EUR")
    put(database, "c", price=5.0, cost=1.0)
    catalogue = Catalogue()

    def margins(*gone: int) -> tuple[list[float], list[float]]:
        with database.read() as connection:
            seen = catalogue.refresh(connection)
            among = np.ones(len(catalogue), dtype=np.bool_)
            among[list(gone)] = False
            found = catalogue.columns.worth(connection, "margin", among, seen)
        return np.nan_to_num(found.values, nan=-1).tolist(), found.percentiles.tolist()

    for _ in range(2):
        assert margins() == ([-1, 7.5, 4], [0.5, 0.75, 0.25])
    assert len(made) == 1
    for _ in range(2):
        assert margins(1) == ([2, -1, 4], [0.25, 0.5, 0.75]), "the euros cannot be bought"
    assert len(made) == 2
    patch(database, "c", cost=4.0)
    put(database, "d", price=8.0, cost=0.0, currency="EUR")
    for _ in range(2):
        assert margins() == ([-1, 7.5, 1, 8], [0.5, 0.5, 1 / 6, 5 / 6])
    assert len(made) == 3
    assert catalogue.columns.ready(["margin", "currency"])


def test_times_and_ids(database: Database) -> None:
    put(database, "a", available_from="2020-01-01T00:00:00Z", expires_at="2020-01-02T00:00:00Z")
    put(database, "b")
    catalogue = Catalogue()
    assert passing(catalogue, database, "expires_at = '2020-01-02' and available_from < expires_at") == {"a"}
    assert passing(catalogue, database, "created_at > '2020-01-03' and expires_at missing") == {"b"}
    assert passing(catalogue, database, "updated_at >= created_at") == {"a", "b"}
    assert passing(catalogue, database, "item_id in ['b', 'c'] and availability = 'in_stock'") == {"b"}


def test_attributes_that_no_item_has_cost_nothing(database: Database, read: list[Any]) -> None:
    put(database, "a", "b", attributes={"colour": "red", "box": {"width": 3}})
    catalogue = Catalogue()
    assert passing(catalogue, database, "attributes.colour = 'red'") == {"a", "b"}
    assert read == [(["attributes"], 2)]
    for number in range(3):
        assert passing(catalogue, database, f"not attributes.no{number} exists") == {"a", "b"}
    assert len(read) == 1
    assert catalogue.columns.unknown_attributes(["attributes.color", "attributes.zzz", "price"]) == [
        "No item has 'attributes.color'. Did you mean 'attributes.colour'?",
        "No item has 'attributes.zzz'.",
    ]
    patch(database, "b", attributes={"no1": 1})
    assert passing(catalogue, database, "attributes.no1 exists") == {"b"}
    assert passing(catalogue, database, "attributes.box.width = 3") == {"a", "b"}
    assert catalogue.columns.unknown_attributes(["attributes.no1", "attributes.box.width"]) == []


def test_attributes_asked_for_long_ago_are_let_go(
    database: Database, read: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ATTRIBUTES", 2)
    put(database, "a", attributes=dict.fromkeys("wxyz", 1))
    catalogue = Catalogue()
    for name in "wxyzw":
        assert passing(catalogue, database, f"attributes.{name} = 1") == {"a"}
    assert passing(catalogue, database, "attributes.x = 2") == set()
    both = " and ".join(f"attributes.{name} = 1" for name in "wxyz")
    assert passing(catalogue, database, both) == {"a"}
    patch(database, "a", attributes={"x": 2})
    assert passing(catalogue, database, both) == set()
    assert passing(catalogue, database, "attributes.w = 1 and attributes.x = 2") == {"a"}


def test_values_of_the_past_are_let_go(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_bloated", lambda column: True)
    put(database, "a", brand="A")
    catalogue = Catalogue()
    for brand in ("B", "C"):
        assert passing(catalogue, database, f"brand = '{brand}'") == set()
        patch(database, "a", brand=brand)
        assert passing(catalogue, database, f"brand = '{brand}'") == {"a"}


def test_a_request_that_sees_less_than_another(database: Database) -> None:
    """Its connection began before an item came that the catalogue has by now."""
    put(database, "a", price=1.0)
    catalogue = Catalogue()
    condition = Filters({}, "").understand("not price > 5", "/filter")
    with database.read() as connection:
        seen = catalogue.refresh(connection)
    put(database, "b", price=9.0)
    with database.read() as later:
        catalogue.refresh(later)
    rows = changed_fields

    def earlier(connection: Connection, names: list[str], after: int) -> Iterator[AnyRow]:
        known = catalogue.keys[:1].tolist()
        return (row for row in rows(connection, names, after) if row.id in known)

    with pytest.MonkeyPatch.context() as patched, database.read() as connection:
        patched.setattr(module, "changed_fields", earlier)
        mask = catalogue.columns.passing(connection, condition, seen)
        assert [catalogue.external_ids[at] for at in np.flatnonzero(mask)] == ["a"]
    assert passing(catalogue, database, "not price > 5") == {"a"}
    assert passing(catalogue, database, "price > 5") == {"b"}


def test_many_ask_while_items_change(database: Database) -> None:
    """Each answer has what was committed before it was asked for."""
    put(database, *(f"i{number}" for number in range(20)), price=0.0)
    catalogue = Catalogue()
    committed = dict.fromkeys(range(20), 0)
    wrong: list[Any] = []
    ended = Event()

    def ask(seed: int) -> None:
        chance = Random(seed)
        while not ended.is_set():
            number, value = chance.choice(list(committed.items()))
            for field in ("price", "attributes.v", f"attributes.v{value % 80}"):
                text = f"not {field} < {value} and {field} exists and item_id = 'i{number}'"
                if value and (found := passing(catalogue, database, text)) != {f"i{number}"}:
                    wrong.append((text, found))

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask, seed) for seed in range(3)]
        try:
            for value in range(1, 121):
                attributes = {"v": value, f"v{value % 80}": value}
                patch(database, f"i{value % 20}", price=float(value), attributes=attributes)
                committed[value % 20] = value
                if value % 20 == 0:
                    put(database, f"new{value}")
        finally:
            ended.set()
        for one in asking:
            one.result()
    assert not wrong
