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
    revisions: NDArray[np.int64]
    """Of the items as they were compared."""
    shares: csr_array
    """Of their parents, `(n_arrivals, n_items)`; rows sum to how alike they are."""

    def where(self, chosen: NDArray[np.bool_]) -> "_TakenIn":
        rows = np.flatnonzero(chosen)
        return _TakenIn(
            self.positions[rows], self.keys[rows], self.revisions[rows], csr_array(self.shares[rows])
        )

    def newer_than(self, others: "_TakenIn") -> NDArray[np.bool_]:
        """Which of these are of a later revision than among the others, or not there at all."""
        known = dict(zip(others.keys.tolist(), others.revisions.tolist(), strict=True))
        pairs = zip(self.keys.tolist(), self.revisions.tolist(), strict=True)
        return np.array([revision > known.get(key, -1) for key, revision in pairs], dtype=np.bool_)

    def beside(self, others: "_TakenIn") -> "_TakenIn":
        """These and the others."""
        return _TakenIn(
            np.concatenate([self.positions, others.positions]),
            np.concatenate([self.keys, others.keys]),
            np.concatenate([self.revisions, others.revisions]),
            csr_array(vstack([self.shares, others.shares], format="csr")),
        )


class Arrivals:
    """Items of the catalogue that a model version does not know, and their parents among those it does."""

    def __init__(self, version: ModelVersion) -> None:
        self._version = version
        self._seen = 0
        """Positions of the catalogue that were looked at."""
        self._revision = -1
        """Of the catalogue, up to which they were looked at."""
        self._waiting: dict[int, None] = {}
        """Positions to be compared, in order."""
        nothing = np.empty(0, dtype=np.int64)
        self._taken_in = _TakenIn(nothing, nothing, nothing, empty(0, version.n_items))
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
                self._waiting |= dict.fromkeys(fresh[: max(0, room)].tolist())
                self._seen = len(keys)
            # Until it is compared anew, what has changed stands as it stood.
            stale = np.isin(self._taken_in.keys, changed)
            self._waiting |= dict.fromkeys(self._taken_in.positions[stale].tolist())
            self._revision = max(self._revision, revision)
            # Another request may know a larger catalogue.
            batch = [position for position in self._waiting if position < len(keys)][:AT_ONCE]
        if not batch:
            return
        rows = items_by_key(connection, [int(keys[position]) for position in batch])
        with self._lock:
            batch = [position for position in batch if position in self._waiting]
        if not batch:
            return
        found = [position for position in batch if int(keys[position]) in rows]
        table = item_table([rows[int(keys[position])] for position in found])
        alike = csr_array(content.similar(content.vectorise(table)))
        shares = parents(alike, self._version.cold.warm(self._version.n_items))
        revisions = np.array([rows[int(keys[position])].revision for position in found], dtype=np.int64)
        compared = _TakenIn(np.array(found, dtype=np.int64), keys[found], revisions, shares)
        with self._lock:
            self._take_in(compared)
            for position in batch:
                self._waiting.pop(position, None)
            if self._revision > revision:
                # Another request has seen later changes, maybe of these: compared again, last of all.
                self._waiting |= dict.fromkeys(batch)

    def _take_in(self, compared: _TakenIn) -> None:
        """Take in what was compared, unless another request has compared what is newer."""
        compared = compared.where(compared.newer_than(self._taken_in))
        kept = self._taken_in.where(~np.isin(self._taken_in.keys, compared.keys))
        self._taken_in = kept.beside(compared)

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
