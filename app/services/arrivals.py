"""Items that came after the training: recommendable at once, by what they are described like."""

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from sqlalchemy import Connection

from app.db.queries.items import changed_keys, items_by_key
from app.db.rows import AnyRow
from app.learning.dataset import ItemTable
from app.learning.ranking.cold_items import inherit, parents
from app.learning.recommenders.base import Scores
from app.learning.recommenders.content import Content
from app.learning.recommenders.sparse import empty
from app.learning.version import ModelVersion

MOST = 5_000
"""Items that are compared; of a larger import, the rest waits for the next training."""
AT_ONCE = 100
"""Items that one request compares; what is left over is done by the next ones."""


class Arrivals:
    """Items of the catalogue that a model version does not know, and their parents among those it does."""

    def __init__(self, version: ModelVersion) -> None:
        self._version = version
        self._seen = 0
        """Positions of the catalogue that were looked at."""
        self._revision = -1
        """Of the catalogue, up to which they were looked at."""
        self._waiting: list[int] = []
        self._taken_in = (np.empty(0, dtype=np.int64), empty(0, version.n_items))
        """Positions and shares of their parents: one reference, so that readers see both of one moment."""
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
        with self._lock:
            fresh = np.flatnonzero(~known[self._seen :]) + self._seen
            room = MOST - len(self._taken_in[0]) - len(self._waiting)
            self._waiting += fresh[: max(0, room)].tolist()
            self._seen = len(keys)
            self._look_again(connection, keys, revision)
            batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            if not batch:
                return
            rows = items_by_key(connection, [int(keys[position]) for position in batch])
            found = [position for position in batch if int(keys[position]) in rows]
            table = item_table([rows[int(keys[position])] for position in found])
            alike = csr_array(content.similar(content.vectorise(table)))
            shares = parents(alike, self._version.cold.warm(self._version.n_items))
            positions, before = self._taken_in
            self._taken_in = (
                np.concatenate([positions, np.array(found, dtype=np.int64)]),
                csr_array(vstack([before, shares], format="csr")),
            )

    def _look_again(self, connection: Connection, keys: NDArray[np.int64], revision: int) -> None:
        """Let go of those that have changed, to be compared anew."""
        positions, shares = self._taken_in
        if len(positions) and revision != self._revision:
            changed = np.isin(keys[positions], changed_keys(connection, self._revision))
            if changed.any():
                self._waiting += positions[changed].tolist()
                self._taken_in = (positions[~changed], csr_array(shares[np.flatnonzero(~changed)]))
        self._revision = revision

    def lend(self, combined: Scores) -> tuple[NDArray[np.int64], Scores]:
        """Positions in the catalogue and scores, `(n_batch, n_arrivals)`, from the scores of the model."""
        positions, shares = self._taken_in
        inherited = self._version.cold.factor * inherit(combined, shares)
        return positions, inherited.astype(np.float32)


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
