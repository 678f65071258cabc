"""Market baskets: which items were bought together."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from app.learning.dataset import Dataset
from app.learning.recommenders.base import NotEnoughData

_MINUTE_MS = 60_000


@dataclass(frozen=True)
class Baskets:
    """Sets of items as compact rows: `n_baskets` rows of distinct items, each row ascending."""

    indptr: NDArray[np.int64]
    """Where each basket begins in `indices`, `(n_baskets + 1,)`; int64, because entries can pass 2**31."""
    indices: NDArray[np.int32]
    """Items of all baskets, one basket after the other."""
    n_items: int

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def rows(self) -> NDArray[np.int64]:
        """The basket of each entry."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    @property
    def item_counts(self) -> NDArray[np.int64]:
        """Baskets that hold each item, `(n_items,)`."""
        return np.bincount(self.indices, minlength=self.n_items)

    @classmethod
    def from_pairs(
        cls, basket: NDArray[np.integer], item: NDArray[np.integer], n_baskets: int, n_items: int
    ) -> Self:
        """From pairs in any order; what is said twice counts once.

        Raises `ValueError` for a basket or an item that is out of range.
        """
        for values, bound in ((basket, n_baskets), (item, n_items)):
            if len(values) and not 0 <= int(values.min()) <= int(values.max()) < bound:
                raise ValueError(f"indices must be at least 0 and below {bound}")
        # Sorted, then told apart: faster than np.unique, which hashes.
        keys = basket.astype(np.int64) * n_items + item
        keys.sort()
        new = np.ones(len(keys), dtype=np.bool_)
        new[1:] = keys[1:] != keys[:-1]
        row, column = np.divmod(keys[new], max(1, n_items))
        indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n_baskets))]).astype(np.int64)
        return cls(indptr, column.astype(np.int32), n_items)

    @classmethod
    def of(cls, sets: Iterable[Iterable[int]], n_items: int) -> Self:
        """From a few sets of items."""
        rows = [sorted(set(items)) for items in sets]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        items = np.array([item for row in rows for item in row], dtype=np.int64)
        return cls.from_pairs(np.repeat(np.arange(len(rows)), lengths), items, len(rows), n_items)


def baskets_of(dataset: Dataset, pause_minutes: float = 30.0) -> Baskets:
    """Lines of one order are a basket; purchases without an order, each of one subject and within the pause
    after the one before, are one too.

    Raises `NotEnoughData` without purchases.
    """
    if "purchase" not in dataset.event_names:
        raise NotEnoughData("market baskets need purchases; this shop has no such event")
    log = dataset.log.where(dataset.log.event == dataset.event_names.index("purchase"))
    if not len(log):
        raise NotEnoughData("market baskets need purchases, there are none")
    number = np.full(len(log), -1, dtype=np.int64) if log.order is None else log.order.astype(np.int64)
    # By order first, then by subject; the log is in order of time, and stays so within.
    order = np.lexsort((log.subject, number))
    number, subject, moment = number[order], log.subject[order], log.occurred_at[order]
    begins = np.ones(len(order), dtype=np.bool_)
    apart = (subject[1:] != subject[:-1]) | (moment[1:] - moment[:-1] > pause_minutes * _MINUTE_MS)
    begins[1:] = (number[1:] != number[:-1]) | ((number[1:] < 0) & apart)
    basket = np.cumsum(begins) - 1
    return Baskets.from_pairs(basket, log.item[order], int(basket[-1]) + 1, dataset.n_items)
