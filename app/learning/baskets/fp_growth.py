"""Frequent itemsets by pattern growth (FP-growth: Han, Pei & Yin 2000), in arrays.

A basket is written from its rarest item to its most common one, so the entries after an entry are the path
from its node to the root of the FP-tree. The conditional database of an itemset is the tails of its
entries; those of all itemsets of one length, or of a block of them, are made in one go. Where many tails
are equal, one of them stands for all with their number as its weight: that is the (conditional) FP-tree.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.learning.baskets.baskets import Baskets
from app.learning.baskets.itemsets import Collector, Ints, Items, Itemsets

BLOCK = 1 << 22
"""Pairs of entries, and candidates, that are looked at in one go; about 50 bytes each, at each length."""
MERGE_FROM = 1 << 20
"""Pairs from which it is tried whether equal tails can be merged."""
_MERGE_BELOW = 0.5
"""Share of different tails in a sample below which they are."""


@dataclass(frozen=True)
class _Database:
    """The conditional databases of sets of one length; a row is one of their frequent extensions."""

    row: NDArray[np.int32]
    """Row of each entry, ascending within a path."""
    end: Ints
    """Where the path of each entry ends."""
    weight: Ints | None
    """Baskets that each entry stands for; None: one."""
    item: Items
    """Item of each row."""
    siblings: Ints
    """Rows after each row that extend the same set: they and it make the candidates."""
    number: int
    """Sets of this length that were found before row 0."""


def fp_growth(
    baskets: Baskets, min_count: int, max_length: int | None = None, max_itemsets: int | None = None
) -> Itemsets:
    """All sets of at most `max_length` items that are in at least `min_count` baskets.

    Memory is known before the start: some 60 bytes for each entry of the baskets and 50 for each pair of a
    block, at each length. Raises `TooManyItemsets` beyond `max_itemsets`.
    """
    return _Growth(baskets, max(1, min_count), max_length, max_itemsets).run()


class _Growth:
    def __init__(
        self, baskets: Baskets, min_count: int, max_length: int | None, max_itemsets: int | None
    ) -> None:
        self.baskets = baskets
        self.min_count = min_count
        self.max_length = max_length or baskets.n_items
        self.found = Collector(baskets, min_count, max_itemsets)
        self.space = _Workspace()

    def run(self) -> Itemsets:
        counts = self.baskets.item_counts
        frequent = np.flatnonzero(counts >= self.min_count)
        order = frequent[np.argsort(counts[frequent], kind="stable")]
        self.found.add(1, np.zeros(len(order), dtype=np.int64), order.astype(np.int32), counts[order])
        if len(order) > 1 and self.max_length > 1:
            self._grow(_root(self.baskets, order), 2)
        return self.found.gather()

    def _grow(self, database: _Database, length: int) -> None:
        """Find the frequent sets of this length, and from them the longer ones."""
        heads = np.flatnonzero(database.end > np.arange(1, len(database.row) + 1))
        weight = None if database.weight is None else database.weight[heads]
        tails = database.end[heads] - heads - 1
        pairs = int(tails.sum())
        if pairs >= MERGE_FROM:
            heads, weight = _merged(database, heads, weight)
            tails = database.end[heads] - heads - 1
            pairs = int(tails.sum())
        candidates = int(database.siblings.sum())
        if pairs + candidates <= BLOCK:
            self._grow_rows(database, length, heads, weight, 0, len(database.item))
            return
        head_rows = database.row[heads]
        cost = np.bincount(head_rows, weights=tails, minlength=len(database.item)) + database.siblings
        block = (np.cumsum(cost) // BLOCK).astype(np.int64)
        for start, stop in _runs(block):
            chosen = np.flatnonzero((head_rows >= start) & (head_rows < stop))
            self._grow_rows(
                database, length, heads[chosen], None if weight is None else weight[chosen], start, stop
            )

    def _grow_rows(
        self, database: _Database, length: int, heads: Ints, weight: Ints | None, start: int, stop: int
    ) -> None:
        """The same for the sets of the rows from `start` to `stop` and the entries of these."""
        siblings = database.siblings[start:stop]
        last = np.cumsum(siblings)
        if not len(heads) or not last[-1]:
            return
        # Candidate of rows r < s of one class: first[r] + s - r - 1.
        shift = last - siblings - np.arange(start, stop) - 1
        shifts = shift[database.row[heads] - start]
        parts = list(_parts(database, heads))
        counts = np.zeros(int(last[-1]), dtype=np.int64)
        candidate = starts = stops = np.empty(0, dtype=np.int64)
        for part in parts:
            candidate, starts, stops = self.space.candidates(database, heads[part], shifts[part])
            if weight is None:
                counts += np.bincount(candidate, minlength=len(counts))
            else:
                # Sums of weights are exact as floats: there are fewer than 2**53 baskets.
                sums = np.bincount(candidate, np.repeat(weight[part], stops - starts), minlength=len(counts))
                counts += sums.astype(np.int64)
        good = np.flatnonzero(counts >= self.min_count)
        row = np.searchsorted(last, good, side="right")
        item = database.item[good - shift[row]]
        before = self.found.add(length, database.number + start + row, item, counts[good])
        if length == self.max_length:
            return
        following = np.searchsorted(row, row, side="right") - np.arange(len(row)) - 1
        alone = (following == 0) & (np.searchsorted(row, row, side="left") == np.arange(len(row)))
        renamed = np.full(len(counts), -1, dtype=np.int32)
        # A set that has no sibling cannot grow, so its entries are not needed.
        renamed[good[~alone]] = np.flatnonzero(~alone)
        grown: list[_Database] = []
        for part in parts:
            if len(parts) > 1:
                candidate, starts, stops = self.space.candidates(database, heads[part], shifts[part])
            names, named = self.space.names(candidate, renamed)
            # Every head has a tail, so each stops after it starts.
            ends = named[stops - 1]
            sizes = np.diff(ends, prepend=0)
            offset = sum(len(other.row) for other in grown)
            grown.append(
                _Database(
                    names.compress(names >= 0),
                    np.repeat(ends, sizes) + offset,
                    None if weight is None else np.repeat(weight[part], sizes),
                    item,
                    following,
                    before,
                )
            )
        longer = grown[0] if len(grown) == 1 else _joined(grown)
        del candidate, parts, grown, renamed, counts
        if len(longer.row):
            self._grow(longer, length + 1)


def _root(baskets: Baskets, order: Ints) -> _Database:
    """The baskets without what is rare, each from its rarest item to its most common."""
    rank = np.full(baskets.n_items, -1, dtype=np.int64)
    rank[order] = np.arange(len(order))
    row = rank[baskets.indices]
    keep = row >= 0
    ends = np.concatenate([[0], np.cumsum(keep)])[baskets.indptr[1:]]
    sizes = np.diff(ends, prepend=0)
    base = np.repeat(np.arange(len(sizes)) * len(order), sizes)
    keys = base + row[keep]
    keys.sort()
    keys -= base
    siblings = np.arange(len(order) - 1, -1, -1)
    return _Database(keys.astype(np.int32), np.repeat(ends, sizes), None, order.astype(np.int32), siblings, 0)


def _parts(database: _Database, heads: Ints) -> Iterator[slice]:
    """The heads in slices of at most a block of pairs, or of one head."""
    total = np.cumsum(database.end[heads] - heads - 1)
    if total[-1] <= 2 * BLOCK:
        yield slice(0, len(heads))
        return
    for start, stop in _runs(total // BLOCK):
        yield slice(start, stop)


def _runs(values: Ints) -> Iterator[tuple[int, int]]:
    """Where the runs of equal values start and stop."""
    bounds = np.flatnonzero(np.diff(values)) + 1
    yield from zip([0, *bounds.tolist()], [*bounds.tolist(), len(values)], strict=True)


class _Workspace:
    """Arrays for the pairs of a block, made once: pages of fresh ones cost more than what is done in them."""

    def __init__(self) -> None:
        self._grow(2 * BLOCK)

    def candidates(self, database: _Database, heads: Ints, shift: Ints) -> tuple[Ints, Ints, Ints]:
        """The candidate of each head with each entry of its tail; where those of each head start and stop.

        `shift` is one for each head. The answer holds until the next call.
        """
        sizes = database.end[heads] - heads - 1
        stops = np.cumsum(sizes)
        starts, n = stops - sizes, int(stops[-1])
        if n > len(self._places):
            self._grow(n)
        places, shifts, rows = self._places[:n], self._shifts[:n], self._rows[:n]
        # Runs as sums of their differences.
        places.fill(1)
        places[0] = heads[0] + 1
        places[starts[1:]] = heads[1:] + 1 - (heads[:-1] + sizes[:-1])
        np.cumsum(places, out=places)
        shifts.fill(0)
        shifts[starts] = np.diff(shift, prepend=0)
        np.cumsum(shifts, out=shifts)
        # "clip" for speed only: it writes straight to `out`.
        database.row.take(places, mode="clip", out=rows)
        shifts += rows
        return shifts, starts, stops

    def names(self, candidate: Ints, renamed: Items) -> tuple[Items, Ints]:
        """The new name of each candidate, and how many candidates up to each have one."""
        names, named = self._rows[: len(candidate)], self._places[: len(candidate)]
        renamed.take(candidate, mode="clip", out=names)
        np.cumsum(names >= 0, out=named)
        return names, named

    def _grow(self, n: int) -> None:
        self._places = np.empty(n, dtype=np.int64)
        self._shifts = np.empty(n, dtype=np.int64)
        self._rows = np.empty(n, dtype=np.int32)


def _merged(database: _Database, heads: Ints, weight: Ints | None) -> tuple[Ints, Ints | None]:
    """One head for all that are equal down to the end of their path, with the sum of their weights."""
    # A tail is a set, and a sum of random numbers is its name; wrapping around does no harm.
    rng = np.random.default_rng(0)
    names = rng.integers(0, 2**64 - 1, len(database.item), dtype=np.uint64, endpoint=True)[database.row]
    total = np.cumsum(names)
    # Of the sum, what comes after the entry, and the entry.
    names += total[database.end - 1] - total
    sample = names[heads[: max(4096, len(heads) // 16)]]
    if len(np.unique(sample)) > _MERGE_BELOW * len(sample):
        return heads, weight
    _, first, which = np.unique(names, return_index=True, return_inverse=True)
    same = first[which]
    # Names may collide. Equal first items and equal rests make equal tails.
    following = np.where(database.end - np.arange(len(same)) > 1, np.append(same[1:], -1), -1)
    if (database.row[same] != database.row).any() or (following[same] != following).any():
        return heads, weight
    weights = np.ones(len(heads), dtype=np.int64) if weight is None else weight
    sums = np.bincount(same[heads], weights, minlength=len(same)).astype(np.int64)
    kept = np.flatnonzero(sums)
    return kept, sums[kept]


def _joined(parts: list[_Database]) -> _Database:
    weights = [part.weight for part in parts if part.weight is not None]
    return _Database(
        np.concatenate([part.row for part in parts]),
        np.concatenate([part.end for part in parts]),
        np.concatenate(weights) if weights else None,
        parts[0].item,
        parts[0].siblings,
        parts[0].number,
    )
