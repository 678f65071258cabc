"""Requests of one event loop take turns wherever they ask the database; what they share stays whole."""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from greenlet import getcurrent, greenlet
from sqlalchemy import Connection

from app.learning.ranking.cold_items import ColdItems
from app.learning.version import ModelVersion
from app.services import arrivals as arrivals_module
from app.services import catalogue as catalogue_module
from app.services.arrivals import Arrivals
from app.services.catalogue import Catalogue

N_KNOWN = 4
NOBODY = cast(Connection, None)


class Shop:
    """Items as a database holds them; to ask for them takes a turn."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.rows: dict[int, Any] = {}
        self.revision = 0
        self._hub = getcurrent()
        for key in range(N_KNOWN):
            self.change(key)

    def change(self, key: int) -> None:
        self.revision += 1
        like = self.chance.randrange(N_KNOWN)
        self.rows[key] = SimpleNamespace(
            id=key,
            external_id=f"i{key}",
            revision=self.revision,
            like=like,
            availability=self.chance.choice(["in_stock", "out_of_stock"]),
            deleted_at=None,
            available_from=None,
            expires_at=None,
            created_at=1,
            categories=[f"C{like}"],
        )

    def answered(self, found: Any) -> Any:
        """What the database said, after others had their turns."""
        if getcurrent() is not self._hub:
            self._hub.switch()
        return found

    def run(self, requests: int, begin: Callable[[], Callable[[], None]]) -> None:
        """Requests that overlap, and changes between their turns."""
        running: list[greenlet] = []
        while requests or running:
            if requests and (not running or self.chance.random() < 0.3):
                requests -= 1
                running.append(greenlet(begin(), self._hub))
            elif self.chance.random() < 0.3:
                self.change(self.chance.randrange(N_KNOWN, N_KNOWN + 8))
            else:
                one = self.chance.choice(running)
                one.switch()
                if one.dead:
                    running.remove(one)


class AlikeByRow:
    """In the place of the content model: an item is like the one that its row names."""

    def vectorise(self, table: list[Any]) -> list[Any]:
        return table

    def similar(self, table: list[Any]) -> Any:
        alike = np.zeros((len(table), N_KNOWN), dtype=np.float32)
        for place, row in enumerate(table):
            alike[place, row.like] = 1
        return alike


@pytest.mark.parametrize("seed", range(60))
def test_each_arrival_is_taken_in_once_as_it_is_now(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(Random(seed))
    monkeypatch.setattr(arrivals_module, "Content", AlikeByRow)
    monkeypatch.setattr(arrivals_module, "AT_ONCE", 3)
    monkeypatch.setattr(arrivals_module, "item_table", list)

    def changed_keys(_connection: Connection, since: int) -> list[int]:
        found: list[int] = shop.answered([key for key, row in shop.rows.items() if row.revision > since])
        return found

    def items_by_key(_connection: Connection, keys: list[int]) -> dict[int, Any]:
        found: dict[int, Any] = shop.answered({key: shop.rows[key] for key in keys})
        return found

    monkeypatch.setattr(arrivals_module, "changed_keys", changed_keys)
    monkeypatch.setattr(arrivals_module, "items_by_key", items_by_key)
    version = SimpleNamespace(
        n_items=N_KNOWN, recommenders={"content": AlikeByRow()}, cold=ColdItems.none(N_KNOWN)
    )
    arrivals = Arrivals(cast(ModelVersion, version))
    seen: list[int] = []

    def begin() -> Callable[[], None]:
        # What a catalogue says: positions never change.
        seen.extend(key for key in shop.rows if key not in seen)
        keys, revision = np.array(seen), shop.revision
        return lambda: arrivals.refresh(NOBODY, keys, keys < N_KNOWN, revision)

    shop.run(25, begin)
    while arrivals.behind(len(shop.rows), shop.revision):
        begin()()
    taken_in = arrivals._taken_in
    assert sorted(taken_in.keys.tolist()) == sorted(key for key in shop.rows if key >= N_KNOWN)
    assert [seen[position] for position in taken_in.positions.tolist()] == taken_in.keys.tolist()
    parents = taken_in.shares.toarray().argmax(axis=1).tolist()
    assert parents == [shop.rows[key].like for key in taken_in.keys.tolist()]


@pytest.mark.parametrize("seed", range(60))
def test_the_catalogue_is_what_the_database_holds(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(Random(seed))

    def served_columns(_connection: Connection, after: int) -> Iterator[Sequence[Any]]:
        while True:
            changed = sorted((row for row in shop.rows.values() if row.revision > after), key=_revision)[:3]
            rows: list[Any] = shop.answered(changed)
            if rows:
                yield rows
                after = rows[-1].revision
            if len(rows) < 3:
                return

    monkeypatch.setattr(catalogue_module, "served_columns", served_columns)
    catalogue = Catalogue()

    def begin() -> Callable[[], None]:
        revision = shop.revision

        def refresh() -> None:
            catalogue.refresh(NOBODY, revision)
            assert catalogue.revision >= revision

        return refresh

    shop.run(25, begin)
    begin()()
    assert sorted(catalogue.external_ids) == sorted(row.external_id for row in shop.rows.values())
    offered = {catalogue.external_ids[at] for at in np.flatnonzero(catalogue.available(5))}
    assert offered == {row.external_id for row in shop.rows.values() if row.availability == "in_stock"}
    for place in range(N_KNOWN):
        below = {catalogue.external_ids[at] for at in np.flatnonzero(catalogue.available(5, f"C{place}"))}
        assert below == offered & {row.external_id for row in shop.rows.values() if row.like == place}


def _revision(row: Any) -> int:
    revision: int = row.revision
    return revision
