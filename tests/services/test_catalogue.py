"""The catalogue in memory: brought up to date by what changed, and by nothing else."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, update

from app.db.queries import items as queries
from app.db.queries.items import served_columns
from app.db.queries.revisions import next_revision
from app.db.rows import AnyRow
from app.db.session import Database
from app.db.tables import items
from app.schemas.items import ItemEntry, ItemPatch
from app.services import catalogue as module
from app.services.catalogue import NEVER, Catalogue, category_prefixes
from app.services.items import delete_item, patch_item, put_items

NOW = 1_800_000_000_000


def put(database: Database, *names: str, **fields: Any) -> None:
    with database.write() as connection:
        put_items(connection, [ItemEntry.model_validate({"item_id": name, **fields}) for name in names])


def patch(database: Database, name: str, **fields: Any) -> None:
    with database.write() as connection:
        patch_item(connection, name, ItemPatch.model_validate(fields))


def refresh(catalogue: Catalogue, database: Database) -> Catalogue:
    with database.read() as connection:
        catalogue.refresh(connection)
    return catalogue


def names(catalogue: Catalogue, now: int = NOW, category: str | None = None) -> set[str]:
    """Ids of what is available."""
    return {catalogue.external_ids[at] for at in np.flatnonzero(catalogue.available(now, category))}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the rows that refreshes read, in order."""
    seen: list[str] = []

    def watched(connection: Connection, after_revision: int) -> Iterator[Sequence[AnyRow]]:
        for rows in served_columns(connection, after_revision):
            seen.extend(row.external_id for row in rows)
            yield rows

    monkeypatch.setattr(module, "served_columns", watched)
    return seen


def test_only_what_changed_is_read(database: Database, read: list[str]) -> None:
    catalogue = refresh(Catalogue(), database)
    assert (len(catalogue), read) == (0, [])
    put(database, "a", "b", "c")
    assert names(refresh(catalogue, database)) == {"a", "b", "c"}
    assert read == ["a", "b", "c"]
    refresh(catalogue, database)
    assert len(read) == 3
    patch(database, "b", price=3.5)
    put(database, "d")
    refresh(catalogue, database)
    assert read[3:] == ["b", "d"]


def test_changes_count_at_once(database: Database) -> None:
    put(database, "a", "b", "c", "d")
    catalogue = refresh(Catalogue(), database)
    patch(database, "a", price=3.5)
    patch(database, "b", availability="out_of_stock")
    with database.write() as connection:
        delete_item(connection, "c")
    patch(database, "d", availability="preorder")
    assert names(refresh(catalogue, database)) == {"a", "d"}
    patch(database, "b", availability="backorder")
    put(database, "c")  # offered again
    assert names(refresh(catalogue, database)) == {"a", "b", "c", "d"}
    assert len(catalogue) == 4


def test_positions_never_change(database: Database) -> None:
    put(database, "a", "b")
    catalogue = refresh(Catalogue(), database)
    with (
        database.write() as connection
    ):  # keys are handed out before transactions end: lower ones may come later
        revision = next_revision(connection, "items")
        for key, name in ((-5, "low"), (10_000, "high"), (-7, "lower")):
            row = {"id": key, "external_id": name, "created_at": 1, "updated_at": 1, "revision": revision}
            connection.execute(insert(items).values(row))
    refresh(catalogue, database)
    patch(database, "a", price=2.0)
    patch(database, "low", price=2.0)
    put(database, "last")
    refresh(catalogue, database)
    assert catalogue.external_ids[:2] == ["a", "b"]
    assert sorted(catalogue.external_ids) == ["a", "b", "high", "last", "low", "lower"]
    assert catalogue.positions_of(catalogue.keys).tolist() == list(range(6))
    places = catalogue.positions_of(np.array([-7, -5, 10_000]))
    assert [catalogue.external_ids[at] for at in places] == ["lower", "low", "high"]


def test_unknown_keys_have_no_position(database: Database) -> None:
    assert Catalogue().positions_of(np.array([1, 2])).tolist() == [-1, -1]
    put(database, "a", "b", "c")
    catalogue = refresh(Catalogue(), database)
    low, high = int(catalogue.keys.min()), int(catalogue.keys.max())
    asked = np.array([low - 1, high + 1, high, 0, -1, NEVER])
    assert catalogue.positions_of(asked).tolist() == [-1, -1, 2, -1, -1, -1]
    assert catalogue.positions_of(np.empty(0, dtype=np.int64)).tolist() == []


def test_more_items_than_there_was_room_for(database: Database) -> None:
    put(database, *(f"i{number}" for number in range(1_000)))
    catalogue = refresh(Catalogue(), database)
    put(database, *(f"j{number}" for number in range(1_500)), categories=["J"])
    refresh(catalogue, database)
    assert len(names(catalogue)) == len(catalogue) == 2_500
    assert len(names(catalogue, category="J")) == 1_500
    assert catalogue.positions_of(catalogue.keys).tolist() == list(range(2_500))


def test_a_refresh_that_fails_is_made_up_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    put(database, "a", "b")
    catalogue = refresh(Catalogue(), database)
    put(database, "c", "d", "e")

    def failing(connection: Connection, after_revision: int) -> Iterator[Sequence[AnyRow]]:
        for rows in served_columns(connection, after_revision):
            yield [row for row in rows if row.external_id != "e"]
            raise ConnectionError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(module, "served_columns", failing)
        with pytest.raises(ConnectionError):
            refresh(catalogue, database)
    refresh(catalogue, database)
    assert catalogue.external_ids == ["a", "b", "c", "d", "e"]
    assert catalogue.positions_of(catalogue.keys).tolist() == list(range(5))


def test_categories_by_prefix(database: Database) -> None:
    put(database, "run", categories=["Shoes > Running"])
    put(database, "trail", categories=["Shoes > Running > Trail", "Outdoor"])
    put(database, "sock", categories=["Socks"])
    put(database, "plain")
    catalogue = refresh(Catalogue(), database)
    assert names(catalogue, category="Shoes") == {"run", "trail"}
    assert names(catalogue, category="Shoes>Running ") == {"run", "trail"}
    assert names(catalogue, category="Shoes > Running > Trail") == {"trail"}
    assert names(catalogue, category="Outdoor") == {"trail"}
    assert names(catalogue, category="Running") == names(catalogue, category="Sho") == set()
    assert catalogue.missing_category(None) == []
    assert catalogue.missing_category(" Shoes >Running") == []
    assert catalogue.missing_category("Hats") == ["No item lies under the category 'Hats'."]
    patch(database, "trail", categories=["Shoes > Hiking"])
    patch(database, "sock", categories=None)
    refresh(catalogue, database)
    assert names(catalogue, category="Shoes") == {"run", "trail"}
    assert names(catalogue, category="Shoes > Running") == {"run"}
    assert [not catalogue.missing_category(name) for name in ("Socks", "Outdoor", "Shoes > Hiking")] == [
        False,
        False,
        True,
    ]
    assert names(catalogue) == {"run", "trail", "sock", "plain"}


@pytest.mark.parametrize(
    ("path", "prefixes"), [("A", ["A"]), (" A>B >  C", ["A", "A > B", "A > B > C"]), ("", [""])]
)
def test_prefixes(path: str, prefixes: list[str]) -> None:
    assert category_prefixes(path) == prefixes


def test_windows_of_offer(database: Database) -> None:
    put(database, "always", "from", "until", "between")
    windows = {"from": (NOW, None), "until": (None, NOW), "between": (NOW - 10, NOW + 10)}
    with database.write() as connection:
        revision = next_revision(connection, "items")
        for name, (starts, ends) in windows.items():
            offer = {"available_from": starts, "expires_at": ends, "revision": revision}
            connection.execute(update(items).where(items.c.external_id == name).values(offer))
    catalogue = refresh(Catalogue(), database)
    assert names(catalogue, NOW - 11) == {"always", "until"}
    assert names(catalogue, NOW - 1) == {"always", "until", "between"}
    assert names(catalogue, NOW) == {"always", "from", "between"}
    assert names(catalogue, NOW + 10) == {"always", "from"}
    since = dict(zip(catalogue.external_ids, catalogue.since.tolist(), strict=True))
    assert (since["from"], since["between"]) == (NOW, NOW - 10)
    assert since["always"] == since["until"] > 0
    patch(database, "until", expires_at=None)
    assert "until" in names(refresh(catalogue, database), NOW + 100)


ITEMS = st.lists(
    st.tuples(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 2.0]), st.integers(-2, 3), st.booleans()), max_size=12
)


@given(st.permutations([f"i{number:02}" for number in range(12)]), ITEMS, st.integers(0, 14))
def test_the_best_and_the_newest(ids: list[str], chosen: list[tuple[float, int, bool]], n: int) -> None:
    catalogue = Catalogue()
    catalogue.external_ids = ids[: len(chosen)]
    catalogue._since = np.array(
        [1_800_000_000_000 + since for _, since, _ in chosen] + [0] * 5, dtype=np.int64
    )
    catalogue._size = len(chosen)
    scores = np.array([score for score, _, _ in chosen], dtype=np.float32)
    allowed = np.array([open_ for _, _, open_ in chosen], dtype=np.bool_)
    places = [at for at, (_, _, open_) in enumerate(chosen) if open_]
    best = sorted((at for at in places if chosen[at][0] > 0), key=lambda at: (-chosen[at][0], ids[at]))
    assert catalogue.best(scores, allowed, n) == [(at, chosen[at][0]) for at in best[:n]]
    newest = sorted(places, key=lambda at: (-chosen[at][1], ids[at]))
    assert catalogue.newest(allowed, n) == newest[:n]


def test_what_another_request_has_taken_in_since_is_newer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one waits for the database, another one asks it."""
    put(database, "a", "b")
    catalogue = refresh(Catalogue(), database)
    patch(database, "a", availability="out_of_stock")

    def slow(connection: Connection, after_revision: int) -> Iterator[Sequence[AnyRow]]:
        rows = [list(part) for part in served_columns(connection, after_revision)]
        monkeypatch.setattr(module, "served_columns", served_columns)
        patch(database, "a", availability="in_stock")
        put(database, "c")
        refresh(catalogue, database)
        yield from rows

    monkeypatch.setattr(module, "served_columns", slow)
    with database.read() as connection:
        catalogue.refresh(connection)
    assert names(catalogue) == {"a", "b", "c"}
    assert catalogue.external_ids == ["a", "b", "c"]


def test_a_first_look_reads_part_by_part(
    database: Database, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_AT_ONCE", 3)
    put(database, *(f"i{number}" for number in range(7)))
    put(database, "i1", "j1", "j2", categories=["J"])
    catalogue = refresh(Catalogue(), database)
    assert (
        sorted(read) == sorted(catalogue.external_ids) == sorted([*(f"i{n}" for n in range(7)), "j1", "j2"])
    )
    assert names(catalogue, category="J") == {"i1", "j1", "j2"}
    assert catalogue.positions_of(catalogue.keys).tolist() == list(range(9))
