"""The shop's data as of one moment, read in streams into compact arrays."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, vstack

from app.core.clock import now_ms
from app.core.events import CONTACT, CONTACT_TYPES
from app.db.queries import snapshot
from app.db.queries.revisions import current_revision
from app.db.queries.snapshot import Rows
from app.db.session import Database
from app.learning.dataset import Dataset, InteractionLog, ItemTable
from app.training.progress import Progress

_CONTACT_TYPES = {name: number for number, name in enumerate(CONTACT_TYPES, 1)}


@dataclass(frozen=True)
class Snapshot:
    """A data set and where in the stream of interactions it ends."""

    dataset: Dataset
    trained_to: int
    """Highest key of an interaction in it; 0 without any."""
    erasures_to: int = 0
    """The counter of erasures: who was erased up to here is not in it."""


def load_snapshot(database: Database, event_weights: dict[str, float], progress: Progress) -> Snapshot:
    """Read users, items and interactions in one transaction, so that they fit each other."""
    with database.snapshot() as connection:
        sizes = snapshot.table_sizes(connection)
        erasures_to = current_revision(connection, "erasures")
        user_keys, user_attributes = _users(snapshot.stream_users(connection))
        ties = _ties(snapshot.stream_relations(connection), user_keys)
        item_keys, items = _items(snapshot.stream_items(connection))
        names = snapshot.event_names(connection)
        columns = _Columns()
        for rows in snapshot.stream_interactions(connection):
            columns.add(rows)
            progress.done(len(columns) / max(1, sizes["interactions"]))
    found = columns.snapshot(user_keys, item_keys, items, names, event_weights)
    dataset = replace(found.dataset, user_attributes=user_attributes)
    if ties is not None:
        sessions = dataset.n_subjects - dataset.n_users
        none = csr_array((sessions, dataset.n_users), dtype=np.float32)
        dataset = replace(dataset, ties=csr_array(vstack([ties, none], format="csr")))
    return replace(found, dataset=dataset, erasures_to=erasures_to)


def _users(chunks: Iterable[Rows]) -> tuple[NDArray[np.int64], list[dict[str, Any]]]:
    """Keys, ascending, and attributes; no attributes where no user has any."""
    keys: list[int] = []
    attributes: list[dict[str, Any]] = []
    for rows in chunks:
        keys += [key for key, _ in rows]
        attributes += [_object(value) for _, value in rows]
    return np.array(keys, dtype=np.int64), attributes if any(attributes) else []


def _ties(chunks: Iterable[Rows], user_keys: NDArray[np.int64]) -> csr_array | None:
    """Weights of ties, `(n_users, n_users)`: a tie that one of the two has named holds for both."""
    rows = [row for chunk in chunks for row in chunk]
    if not rows:
        return None
    one, other, weight = (np.array(column) for column in zip(*rows, strict=True))
    left, right = np.searchsorted(user_keys, one), np.searchsorted(user_keys, other)
    shape = (len(user_keys), len(user_keys))
    named = csr_array(coo_array((np.maximum(weight, 0.0).astype(np.float32), (left, right)), shape=shape))
    ties = csr_array(named.maximum(csr_array(named.T)))
    ties.eliminate_zeros()
    return ties


def _items(chunks: Iterable[Rows]) -> tuple[NDArray[np.int64], ItemTable]:
    """Keys and columns of the items in order of their external ids."""
    rows = sorted((row for chunk in chunks for row in chunk), key=lambda row: str(row[1]))
    attributes = [_object(row[8]) for row in rows]
    table = ItemTable(
        title=[row[2] or "" for row in rows],
        description=[row[3] or "" for row in rows],
        categories=[_list(row[4]) for row in rows],
        brand=[row[5] or "" for row in rows],
        tags=[_list(row[6]) for row in rows],
        price=np.array([row[7] for row in rows], dtype=np.float32),
        attributes=attributes if any(attributes) else [],
    )
    return np.array([row[0] for row in rows], dtype=np.int64), table


def _list(value: str | list[str]) -> list[str]:
    # The raw cursor gives JSON as text on SQLite, decoded on PostgreSQL.
    parsed: list[str] = orjson.loads(value) if isinstance(value, str) else value
    return parsed


_NOTHING: dict[str, Any] = {}


def _object(value: str | dict[str, Any]) -> dict[str, Any]:
    parsed: dict[str, Any] = orjson.loads(value) if isinstance(value, str) else value
    return parsed or _NOTHING  # one empty object for all: most have none


class _Columns:
    """Interactions as they come, chunk by chunk, already in the types in which they are kept."""

    _TYPES: tuple[type[np.generic], ...] = (
        *(np.int64, np.int64, np.int64, np.int16, np.float32, np.float32, np.float64),
        *(np.int64, np.int64, np.bool_, np.int32, np.int8),
    )

    def __init__(self) -> None:
        self._chunks: list[tuple[NDArray[Any], ...]] = []
        self._orders: dict[str, int] = {"": -1}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, rows: Rows) -> None:
        *plain, order_ids, types = zip(*rows, strict=True)
        orders = self._orders
        codes = [orders.setdefault(name, len(orders) - 1) for name in order_ids]
        contacts = [_CONTACT_TYPES.get(name, 0) for name in types]
        columns = zip([*plain, codes, contacts], self._TYPES, strict=True)
        # None becomes NaN in a column of floats; columns of integers come without None.
        self._chunks.append(tuple(np.array(column, dtype=kind) for column, kind in columns))
        self._length += len(rows)

    def _column(self, place: int) -> NDArray[Any]:
        if not self._chunks:
            return np.empty(0, dtype=self._TYPES[place])
        return np.concatenate([chunk[place] for chunk in self._chunks])

    def snapshot(
        self,
        user_keys: NDArray[np.int64],
        item_keys: NDArray[np.int64],
        items: ItemTable,
        names: dict[int, str],
        event_weights: dict[str, float],
    ) -> Snapshot:
        occurred_at, key = self._column(7), self._column(8)
        order = np.lexsort((key, occurred_at))
        # A clock that is fast must not make tomorrow of today: what lies ahead counts when it has come.
        order = order[occurred_at[order] <= now_ms()]
        trained_to = int(key.max()) if len(key) else 0
        del key
        user, session = self._column(0), self._column(1)
        anonymous = user < 0
        session_keys, session_row = np.unique(session[anonymous], return_inverse=True)
        subject = np.empty(len(user), dtype=np.int32)
        subject[~anonymous] = np.searchsorted(user_keys, user[~anonymous])
        subject[anonymous] = len(user_keys) + session_row
        del user, session
        item = _places(self._column(2), item_keys)
        codes = np.zeros(max(names, default=0) + 1, dtype=np.int16)
        codes[list(names)] = np.arange(len(names))
        event_names = (*names.values(), *(f"{CONTACT}:{name}" for name in CONTACT_TYPES))
        contact = self._column(11)
        event = np.where(contact > 0, len(names) - 1 + contact, codes[self._column(3).astype(np.int64)])
        quantity = self._column(5)
        quantity[np.isnan(quantity)] = 1
        excluded = self._column(9)
        log = InteractionLog(
            subject=subject[order],
            item=item[order],
            event=event.astype(np.int16)[order],
            value=self._column(4)[order],
            quantity=quantity[order],
            price=self._column(6)[order],
            occurred_at=occurred_at[order],
            order=self._column(10)[order] if len(self._orders) > 1 else None,
            excluded=excluded[order] if excluded.any() else None,
        )
        with_item = log.item >= 0
        dataset = Dataset(
            user_keys=user_keys,
            n_subjects=len(user_keys) + len(session_keys),
            item_keys=item_keys,
            items=items,
            event_names=event_names,
            log=log if with_item.all() else log.where(with_item),
            # The present of a history that was imported is its last event, not the day of the import.
            as_of=int(log.occurred_at[-1]) if len(log) else now_ms(),
            event_weights=event_weights,
            itemless=None if with_item.all() else log.where(~with_item),
        )
        return Snapshot(dataset, trained_to)


def _places(keys: NDArray[np.int64], of: NDArray[np.int64]) -> NDArray[np.int32]:
    """Index of each key in `of`; -1 for -1."""
    if not len(of):
        return np.full(len(keys), -1, dtype=np.int32)
    ascending = np.argsort(of)
    found = ascending[np.minimum(np.searchsorted(of, keys, sorter=ascending), len(of) - 1)]
    return np.where(keys < 0, -1, found).astype(np.int32)
