"""Frequent itemsets level by level (Apriori: Agrawal & Srikant 1994).

Sets that share all but their last item are joined, those with an infrequent subset are left out, and the
rest are counted in one pass over the baskets. The plainest of the three, and what the others are tested by.
"""

import numpy as np
from numpy.typing import NDArray

from app.learning.baskets.baskets import Baskets
from app.learning.baskets.itemsets import Ints, Items, Itemsets, Level, TooManyItemsets, in_order

_BASKETS = 1 << 16
"""Baskets whose bits are held at a time."""
_CANDIDATES = 1 << 10
"""Candidates that are counted at a time."""


def apriori(
    baskets: Baskets, min_count: int, max_length: int | None = None, max_itemsets: int | None = None
) -> Itemsets:
    """All sets of at most `max_length` items that are in at least `min_count` baskets.

    Memory: the candidates of one length and 8 KiB of bits for each frequent item. Raises `TooManyItemsets`
    beyond `max_itemsets`.
    """
    min_count, n_items = max(1, min_count), baskets.n_items
    counts = baskets.item_counts
    items = np.flatnonzero(counts >= min_count)
    level = Level(items[:, None].astype(np.int32), counts[items])
    known = Itemsets((level,) if len(level) else (), len(baskets), n_items, min_count)
    while known.levels and len(known.levels) < (max_length or n_items):
        _check(known, max_itemsets)
        candidates = _candidates(known)
        sums = _count(baskets, candidates, items)
        frequent = sums >= min_count
        if not frequent.any():
            break
        level = in_order(candidates[frequent], sums[frequent], n_items)
        known = Itemsets((*known.levels, level), len(baskets), n_items, min_count)
    _check(known, max_itemsets)
    return known


def _check(known: Itemsets, max_itemsets: int | None) -> None:
    if max_itemsets is not None and len(known) > max_itemsets:
        raise TooManyItemsets(max_itemsets, known.min_count)


def _candidates(known: Itemsets) -> Items:
    """Sets of one item more, all of whose subsets are frequent."""
    sets = known.levels[-1].items
    same = (sets[1:, :-1] == sets[:-1, :-1]).all(axis=1)
    prefix = np.concatenate([[0], np.cumsum(~same)])
    repeats = np.searchsorted(prefix, prefix, side="right") - np.arange(len(sets)) - 1
    left = np.repeat(np.arange(len(sets)), repeats)
    right = left + 1 + np.arange(len(left)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    joined = np.column_stack([sets[left], sets[right, -1]])
    # Without one of the last two items it is one of the two that were joined.
    for column in range(joined.shape[1] - 2):
        joined = joined[known.find(np.delete(joined, column, axis=1)) >= 0]
    return joined


def _count(baskets: Baskets, candidates: Items, items: Ints) -> Ints:
    """Baskets that hold all items of each candidate."""
    sums = np.zeros(len(candidates), dtype=np.int64)
    place = np.full(baskets.n_items, -1, dtype=np.int64)
    place[items] = np.arange(len(items))
    columns = place[candidates]
    for start in range(0, len(baskets), _BASKETS):
        bits = _bits(baskets, place, len(items), start, min(start + _BASKETS, len(baskets)))
        for first in range(0, len(candidates), _CANDIDATES):
            part = columns[first : first + _CANDIDATES]
            held = bits[part[:, 0]]
            for column in part.T[1:]:
                held &= bits[column]
            sums[first : first + len(part)] += np.bitwise_count(held).sum(axis=1, dtype=np.int64)
    return sums


def _bits(baskets: Baskets, place: Ints, n_rows: int, start: int, stop: int) -> NDArray[np.uint64]:
    """Which of the baskets from `start` to `stop` hold each frequent item, `(n_rows, words)`."""
    ends = baskets.indptr[start : stop + 1]
    row = place[baskets.indices[ends[0] : ends[-1]]]
    basket = np.repeat(np.arange(stop - start), np.diff(ends))
    basket, row = basket[row >= 0], row[row >= 0]
    bits = np.zeros((n_rows, (stop - start + 63) // 64), dtype=np.uint64)
    np.bitwise_or.at(bits, (row, basket >> 6), np.uint64(1) << (basket & 63).astype(np.uint64))
    return bits
