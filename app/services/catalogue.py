"""The items as serving needs them: columns in memory, brought up to date before each answer.

Every change of an item raises the counter `items`; a request reads the counter and, if it has moved,
the items that changed. So a price change or an item out of stock counts in the next answer of every
process, and nothing proportional to the catalogue is read for it.
"""

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from app.db.queries.items import served_columns
from app.db.queries.revisions import current_revision
from app.db.rows import AnyRow
from app.learning.filtering.columns import ListColumn
from app.learning.filtering.dictionary import path_of
from app.services.item_columns import ItemColumns

NEVER = np.iinfo(np.int64).max
_SELLABLE = frozenset({"in_stock", "preorder", "backorder"})


def category_prefixes(path: str) -> list[str]:
    """A category path and those above it: "A > B" gives "A" and "A > B"."""
    parts = path_of(path).split(" > ")
    return [" > ".join(parts[: depth + 1]) for depth in range(len(parts))]


class Catalogue:
    """Columns of all items. An item's position is the order of its arrival here, and never changes."""

    def __init__(self) -> None:
        self.external_ids: list[str] = []
        self._revision = -1
        self._size = 0
        self._keys = np.empty(0, dtype=np.int64)
        self._from = np.empty(0, dtype=np.int64)
        self._until = np.empty(0, dtype=np.int64)
        self._since = np.empty(0, dtype=np.int64)
        self._by_key = np.empty(0, dtype=np.int64)
        self._offered: NDArray[np.bool_] | None = None
        """What can be bought between two moments, after the changes taken in; None: not known."""
        self._offered_from = self._offered_until = 0
        self._paths = ListColumn()
        self._lock = threading.Lock()
        self.columns = ItemColumns(self.positions_of, self._paths, self._lock)

    @property
    def keys(self) -> NDArray[np.int64]:
        """Database key of each item, `(n,)`."""
        return self._keys[: self._size]

    def __len__(self) -> int:
        return self._size

    @property
    def revision(self) -> int:
        """Value of the counter `items` up to which changes were taken in."""
        return self._revision

    def refresh(self, connection: Connection, seen: int | None = None) -> int:
        """Take in what changed since the last call; the revision of the items that the caller sees.

        `seen` is that revision, where it was read before.
        """
        if seen is None:
            seen = current_revision(connection, "items")
        latest, before = seen, self._revision
        if latest <= before:
            return seen
        # No lock is held while the database is asked: on PostgreSQL another request goes on meanwhile.
        for rows in served_columns(connection, before):
            with self._lock:
                self._take_in(rows)
                # In order of revisions: what is before that of the last row is all here.
                self._revision = max(self._revision, rows[-1].revision - 1)
            latest = max(latest, rows[-1].revision)
        with self._lock:
            self._revision = max(self._revision, latest)
        return seen

    def _take_in(self, rows: Sequence[AnyRow]) -> None:
        """Write rows that were read; what another request has read since, and taken in, is newer."""
        rows = [row for row in rows if row.revision > self._revision]
        keys = np.array([row.id for row in rows], dtype=np.int64)
        places = self._positions(keys, len(self._by_key)).tolist()
        for at, row in enumerate(rows):
            if places[at] < 0:
                places[at] = self._append(row.id)
            self._write(places[at], row)
        self._paths.grow(self._size)
        paths = [[path_of(path) for path in row.categories] for row in rows]
        self._paths.write(np.array(places, dtype=np.int64), paths)
        self.columns.changed()
        self._offered = None
        if self._size > len(self._by_key):
            self._by_key = np.argsort(self.keys, kind="stable")

    def positions_of(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Position of each key, -1 where it is unknown."""
        return self._positions(keys, len(self._by_key))

    def _positions(self, keys: NDArray[np.int64], known: int) -> NDArray[np.int64]:
        if not known:
            return np.full(len(keys), -1, dtype=np.int64)
        by_key = self._by_key
        places = np.searchsorted(self._keys[: len(by_key)], keys, sorter=by_key)
        found = by_key[np.minimum(places, len(by_key) - 1)]
        return np.where(self._keys[found] == keys, found, -1)

    def available(self, now: int, category: str | None = None) -> NDArray[np.bool_]:
        """Which items can be bought now (and lie under a category), `(n,)`."""
        with self._lock:
            offered = self._offered
            if offered is None or not self._offered_from <= now < self._offered_until:
                offered = self._offered = self._offer(now)
            mask = offered.copy()
            if category is not None:
                mask &= self._below(category)
        return np.asarray(mask)

    def _offer(self, now: int) -> NDArray[np.bool_]:
        """What can be bought now; until when that stays so is noted."""
        starts, ends = self._from[: self._size], self._until[: self._size]
        changes = np.concatenate([starts[starts > now], ends[ends > now]])
        self._offered_from, self._offered_until = now, int(changes.min(initial=NEVER))
        return np.asarray((starts <= now) & (now < ends))

    def missing_category(self, category: str | None) -> list[str]:
        """What to say of a category under which no item lies."""
        if category is None:
            return []
        with self._lock:
            found = self._below(category).any()
        return [] if found else [f"No item lies under the category '{category}'."]

    def _below(self, category: str) -> NDArray[np.bool_]:
        return self._paths.having(self._paths.dictionary.under(path_of(category)))

    def best(
        self, scores: NDArray[np.float32], allowed: NDArray[np.bool_], n: int
    ) -> list[tuple[int, float]]:
        """Positions and scores of the `n` best allowed items with a positive score, ties by item id."""
        chosen = np.flatnonzero(allowed & (scores[: len(allowed)] > 0))
        if 0 < n < len(chosen):
            cut = np.partition(scores[chosen], len(chosen) - n)[len(chosen) - n]
            chosen = chosen[scores[chosen] >= cut]
        ranked = sorted(chosen.tolist(), key=lambda at: (-float(scores[at]), self.external_ids[at]))
        return [(at, float(scores[at])) for at in ranked[:n]]

    def newest(self, allowed: NDArray[np.bool_], n: int) -> list[int]:
        """Positions of the `n` allowed items offered (or first seen) latest, ties by item id."""
        offered = -self._since[: len(allowed)].astype(np.float64)
        chosen = np.flatnonzero(allowed)
        if 0 < n < len(chosen):
            cut = np.partition(offered[chosen], n - 1)[n - 1]
            chosen = chosen[offered[chosen] <= cut]
        ranked = sorted(chosen.tolist(), key=lambda at: (offered[at], self.external_ids[at]))
        return ranked[:n]

    def newness(self, allowed: NDArray[np.bool_]) -> NDArray[np.float32]:
        """1 / place of each allowed item by the time it was offered, the latest first, else 0, `(n,)`.

        Items offered at the same time share a place.
        """
        chosen = np.flatnonzero(allowed)
        offered = -self._since[chosen]
        order = np.argsort(offered, kind="stable")
        first = np.diff(offered[order], prepend=0) != 0
        first[:1] = True
        scores = np.zeros(len(allowed), dtype=np.float32)
        scores[chosen[order]] = 1 / (1 + np.maximum.accumulate(np.where(first, np.arange(len(order)), 0)))
        return scores

    @property
    def since(self) -> NDArray[np.int64]:
        """Time from which each item is (or was first) offered, ms since the epoch, `(n,)`."""
        return self._since[: self._size]

    def _append(self, key: int) -> int:
        if self._size == len(self._keys):
            room = max(1024, 2 * self._size)
            for name in ("_keys", "_from", "_until", "_since"):
                grown = np.zeros(room, dtype=np.int64)
                grown[: self._size] = getattr(self, name)
                setattr(self, name, grown)
        self._keys[self._size] = key
        self.external_ids.append("")
        self._size += 1
        return self._size - 1

    def _write(self, place: int, row: AnyRow) -> None:
        sellable = row.availability in _SELLABLE and row.deleted_at is None
        starts, ends = row.available_from, row.expires_at
        self.external_ids[place] = row.external_id
        self._from[place] = (starts or 0) if sellable else NEVER
        self._until[place] = NEVER if ends is None else ends
        self._since[place] = row.created_at if starts is None else starts
