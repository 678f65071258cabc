"""Frequent itemsets by intersecting sets of baskets (Eclat: Zaki 2000), as bits.

The baskets of each itemset are one row of bits. Everything that begins with one item is found before the
next one is begun, over the baskets of that item alone, so the rows are as short as that item is rare.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from app.learning.baskets.baskets import Baskets
from app.learning.baskets.itemsets import Collector, Ints, Items, Itemsets

Bits = NDArray[np.uint64]

WORDS = 1 << 20
"""Words of bits that are intersected in one go: 8 MiB, about what a cache holds."""


def eclat(
    baskets: Baskets, min_count: int, max_length: int | None = None, max_itemsets: int | None = None
) -> Itemsets:
    """All sets of at most `max_length` items that are in at least `min_count` baskets.

    Memory: the bits of one item's baskets and of what is bought with it, at each length. Raises
    `TooManyItemsets` beyond `max_itemsets`.
    """
    return _Classes(baskets, max(1, min_count), max_length, max_itemsets).run()


class _Classes:
    def __init__(
        self, baskets: Baskets, min_count: int, max_length: int | None, max_itemsets: int | None
    ) -> None:
        self.baskets = baskets
        self.min_count = min_count
        self.max_length = max_length or baskets.n_items
        self.found = Collector(baskets, min_count, max_itemsets)

    def run(self) -> Itemsets:
        counts = self.baskets.item_counts
        frequent = np.flatnonzero(counts >= self.min_count)
        order = frequent[np.argsort(counts[frequent], kind="stable")]
        self.found.add(1, np.zeros(len(order), dtype=np.int64), order.astype(np.int32), counts[order])
        if len(order) > 1 and self.max_length > 1:
            rank = np.full(self.baskets.n_items, -1, dtype=np.int64)
            rank[order] = np.arange(len(order))
            entry_rank, rows = rank[self.baskets.indices], self.baskets.rows
            by_rank = np.argsort(entry_rank, kind="stable")
            holders = np.split(rows[by_rank], np.searchsorted(entry_rank[by_rank], np.arange(len(order))))[1:]
            for place, members in enumerate(holders[:-1]):
                self._begin(place, members, entry_rank, order)
        return self.found.gather()

    def _begin(self, place: int, members: Ints, entry_rank: Ints, order: Ints) -> None:
        """Everything whose rarest item is the one at this place; `members` are its baskets."""
        starts = self.baskets.indptr[members]
        sizes = self.baskets.indptr[members + 1] - starts
        ends = np.cumsum(sizes)
        ranks = entry_rank[np.repeat(starts - ends + sizes, sizes) + np.arange(ends[-1])]
        counts = np.bincount(ranks[ranks > place], minlength=len(order))
        partners = np.flatnonzero(counts >= self.min_count)
        if not len(partners):
            return
        before = self.found.add(
            2,
            np.full(len(partners), place, dtype=np.int64),
            order[partners].astype(np.int32),
            counts[partners],
        )
        if len(partners) == 1 or self.max_length == 2:
            return
        row = np.full(len(order) + 1, -1, dtype=np.int64)
        row[partners] = np.arange(len(partners))
        row = row[ranks]
        keep = row >= 0
        column = np.repeat(np.arange(len(members)), sizes)[keep]
        bits = _bits(row[keep], column, len(partners), len(members))
        following = np.arange(len(partners) - 1, -1, -1)
        self._intersect(bits, order[partners].astype(np.int32), following, before, 3)

    def _intersect(self, bits: Bits, item: Items, siblings: Ints, before: int, length: int) -> None:
        """Intersect each row with those of its class that come after it, and go on with what is left.

        `siblings` says how many these are; `before` is the number of the set of row 0.
        """
        for start, stop in _blocks(siblings * bits.shape[1]):
            repeats = siblings[start:stop]
            ends = np.cumsum(repeats)
            if not ends[-1]:
                continue
            left = np.repeat(np.arange(start, stop), repeats)
            right = left + 1 + np.arange(ends[-1]) - np.repeat(ends - repeats, repeats)
            both = bits[left]
            both &= bits[right]
            counts = np.bitwise_count(both).sum(axis=1, dtype=np.int64)
            good = np.flatnonzero(counts >= self.min_count)
            if not len(good):
                continue
            parent, grown = left[good], item[right[good]]
            number = self.found.add(length, before + parent, grown, counts[good])
            following = np.searchsorted(parent, parent, side="right") - np.arange(len(parent)) - 1
            if length < self.max_length and following.any():
                self._intersect(both[good], grown, following, number, length + 1)


def _bits(row: Ints, column: Ints, n_rows: int, n_columns: int) -> Bits:
    """Rows of bits, `(n_rows, ⌈n_columns / 64⌉)`, with those set that are named (each once)."""
    words = (n_columns + 63) // 64
    # A sum of different powers of two is their union; as halves, which a float holds exactly.
    place = row * (2 * words) + (column >> 5)
    value = np.exp2((column & 31).astype(np.float64))
    halves = np.bincount(place, value, minlength=n_rows * 2 * words).astype(np.uint32)
    return halves.view(np.uint64).reshape(n_rows, words)


def _blocks(cost: Ints) -> Iterator[tuple[int, int]]:
    """Rows from start to stop whose cost together is about a block, or one row."""
    block = np.cumsum(cost) // WORDS
    bounds = np.flatnonzero(np.diff(block)) + 1
    yield from zip([0, *bounds.tolist()], [*bounds.tolist(), len(cost)], strict=True)
