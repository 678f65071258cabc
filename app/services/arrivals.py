"""Items that came after the training: recommendable at once, by what they are described like."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from sqlalchemy import Connection

from app.db.queries.items import changed_keys, items_by_key
from app.db.rows import AnyRow
from app.learning.dataset import ItemTable
from app.learning.ranking.cold_items import parents
from app.learning.recommenders.content import Content
from app.learning.recommenders.sparse import empty, entry_rows
from app.learning.version import ModelVersion

MOST = 5_000
"""Items that are compared; of a larger import, the rest waits for the next training."""
STAND_INS = 3
"""Items for which an arrival is taken: several, for none of them speaks for itself."""
LEAST_ALIKE = 0.5
"""From which an item stands in for an arrival: as from `HALF_ALIKE` in similarity."""
AT_ONCE = 100
"""Items that one request compares; what is left over is done by the next ones."""


@dataclass(frozen=True)
class _TakenIn:
    """Arrivals that were compared."""

    positions: NDArray[np.int64]
    """In the catalogue, `(n_arrivals,)`."""
    keys: NDArray[np.int64]
    shares: csr_array
    """Of their parents, `(n_arrivals, n_items)`; rows sum to how alike they are."""

    def where(self, chosen: NDArray[np.bool_]) -> "_TakenIn":
        rows = np.flatnonzero(chosen)
        return _TakenIn(self.positions[rows], self.keys[rows], csr_array(self.shares[rows]))


class Arrivals:
    """Items of the catalogue that a model version does not know, and their parents among those it does."""

    def __init__(self, version: ModelVersion) -> None:
        self._version = version
        self._seen = 0
        """Positions of the catalogue that were looked at."""
        self._revision = -1
        """Of the catalogue, up to which they were looked at."""
        self._waiting: list[int] = []
        self._taken_in = _TakenIn(
            np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), empty(0, version.n_items)
        )
        """One reference, so that readers see all of one moment."""
        self._lock = threading.Lock()

    def behind(self, size: int, revision: int) -> bool:
        """Whether a catalogue of this size and revision holds something that was not looked at."""
        return size != self._seen or revision != self._revision or bool(self._waiting)

    def refresh(
        self, connection: Connection, keys: NDArray[np.int64], known: NDArray[np.bool_], revision: int
    ) -> None:
        """Take in what came, and what came before and is described otherwise now.

        `keys` are those of the catalogue by position, `known` to the model or not; it is of that revision.
        """
        content = self._version.recommenders.get("content")
        if not isinstance(content, Content):
            return
        # No lock is held while the database is asked: another request may do the same work meanwhile.
        before = self._revision
        changed = changed_keys(connection, before) if len(self._taken_in.keys) and revision > before else []
        with self._lock:
            if len(keys) > self._seen:
                fresh = np.flatnonzero(~known[self._seen :]) + self._seen
                room = MOST - len(self._taken_in.keys) - len(self._waiting)
                self._waiting += fresh[: max(0, room)].tolist()
                self._seen = len(keys)
            self._look_again(changed)
            self._revision = max(self._revision, revision)
            batch = self._waiting[:AT_ONCE]
        if not batch:
            return
        rows = items_by_key(connection, [int(keys[position]) for position in batch])
        found = [position for position in batch if int(keys[position]) in rows]
        table = item_table([rows[int(keys[position])] for position in found])
        alike = csr_array(content.similar(content.vectorise(table)))
        shares = parents(alike, self._version.cold.warm(self._version.n_items))
        with self._lock:
            self._compared(_TakenIn(np.array(found, dtype=np.int64), keys[found], shares))
            if self._revision <= revision:
                self._waiting = [position for position in self._waiting if position not in set(batch)]

    def _look_again(self, changed: Sequence[int]) -> None:
        """Let go of those that have changed, to be compared anew."""
        taken_in = self._taken_in
        stale = np.isin(taken_in.keys, changed)
        if stale.any():
            self._waiting += taken_in.positions[stale].tolist()
            self._taken_in = taken_in.where(~stale)

    def _compared(self, found: _TakenIn) -> None:
        """Take in what was compared, in the place of what another request has made of the same items."""
        before = self._taken_in.where(~np.isin(self._taken_in.keys, found.keys))
        self._taken_in = _TakenIn(
            np.concatenate([before.positions, found.positions]),
            np.concatenate([before.keys, found.keys]),
            csr_array(vstack([before.shares, found.shares], format="csr")),
        )

    def lend(
        self, score_at: Callable[[NDArray[np.integer]], NDArray[np.float32]]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Positions in the catalogue and scores, `(n_arrivals,)` each, by the scores of the model's items."""
        taken_in = self._taken_in
        shares, n = taken_in.shares, len(taken_in.keys)
        if not n:
            return taken_in.positions, np.empty(0, dtype=np.float32)
        given = shares.data * np.maximum(score_at(shares.indices), 0)
        inherited = self._version.cold.factor * np.bincount(entry_rows(shares), weights=given, minlength=n)
        return taken_in.positions, inherited.astype(np.float32)

    def stand_ins(self, keys: list[int]) -> dict[int, list[int]]:
        """By key of an arrival, the indexes of the model's items most like it, if any are alike at all.

        Who takes an interest in something new shows taste, though the model has never seen the item.
        """
        taken_in, found = self._taken_in, {}
        for row in np.flatnonzero(np.isin(taken_in.keys, keys)).tolist():
            part = slice(taken_in.shares.indptr[row], taken_in.shares.indptr[row + 1])
            shares = taken_in.shares.data[part]
            if shares.sum() >= LEAST_ALIKE:
                best = np.argsort(-shares, kind="stable")[:STAND_INS]
                found[int(taken_in.keys[row])] = taken_in.shares.indices[part][best].tolist()
        return found


def item_table(rows: Sequence[AnyRow]) -> ItemTable:
    """Rows of the items table as the models read them."""
    return ItemTable(
        title=[row.title or "" for row in rows],
        description=[row.description or "" for row in rows],
        categories=[row.categories for row in rows],
        brand=[row.brand or "" for row in rows],
        tags=[row.tags for row in rows],
        price=np.array([row.price for row in rows], dtype=np.float32),
        attributes=[row.attributes for row in rows],
    )
