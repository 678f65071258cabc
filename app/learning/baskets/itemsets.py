"""Frequent itemsets as compact arrays, and how an itemset is found among them."""

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray

from app.learning.baskets.baskets import Baskets

Ints = NDArray[np.int64]
Items = NDArray[np.int32]


class TooManyItemsets(ValueError):
    """There are more frequent itemsets than were allowed; a higher support has fewer."""

    def __init__(self, limit: int, min_count: int) -> None:
        super().__init__(
            f"more than {limit:,} itemsets are in {min_count:,} baskets or more: raise the support"
        )


@dataclass(frozen=True)
class Level:
    """All frequent itemsets of one length, in lexicographic order."""

    items: Items
    """`(n, length)`, each row ascending."""
    counts: Ints
    """Baskets that hold all items of the set, `(n,)`."""

    def __len__(self) -> int:
        return len(self.counts)


@dataclass(frozen=True)
class Itemsets:
    """All itemsets that are in at least `min_count` baskets."""

    levels: tuple[Level, ...]
    """By length, from 1; none is empty."""
    n_baskets: int
    n_items: int
    min_count: int

    def __len__(self) -> int:
        return sum(len(level) for level in self.levels)

    def find(self, sets: Items) -> Ints:
        """Place of each set in its level, -1 where it is not frequent; `sets` is `(n, length)`, ascending."""
        length = sets.shape[1]
        if length > len(self.levels):
            return np.full(len(sets), -1, dtype=np.int64)
        place = np.zeros(len(sets), dtype=np.int64)
        for column in range(length):
            wanted = np.where(place < 0, -1, place * self.n_items + sets[:, column])
            keys = self._keys[column]
            found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            place = np.where(keys[found] == wanted, found, -1)
        return place

    @cached_property
    def _keys(self) -> list[Ints]:
        """For each level the place of the prefix in the level before and the last item, as one number.

        They ascend, because the sets are in lexicographic order, and never overflow, unlike the set itself
        written as one number.
        """
        keys: list[Ints] = [self.levels[0].items[:, 0].astype(np.int64)] if self.levels else []
        for before, level in zip(self.levels, self.levels[1:], strict=False):
            # Every prefix of a frequent set is frequent, so counting changes of prefix numbers them, but
            # only among the prefixes that go on; where they are in their level is told by a search.
            first = np.ones(len(level), dtype=np.bool_)
            first[1:] = (level.items[1:, :-1] != level.items[:-1, :-1]).any(axis=1)
            prefixes = level.items[first, :-1]
            place = np.zeros(len(prefixes), dtype=np.int64)
            for column in range(before.items.shape[1]):
                place = np.searchsorted(keys[column], place * self.n_items + prefixes[:, column])
            keys.append(place[np.cumsum(first) - 1] * self.n_items + level.items[:, -1])
        return keys


class Collector:
    """Takes in itemsets as a miner finds them: each a set of one item less and one more item."""

    def __init__(self, baskets: Baskets, min_count: int, max_itemsets: int | None) -> None:
        self._shape = len(baskets), baskets.n_items
        self._min_count = min_count
        self._max_itemsets = max_itemsets
        self._parts: list[list[tuple[Ints, Items, Ints]]] = []
        self._sizes: list[int] = []

    def add(self, length: int, parent: Ints, item: Items, count: Ints) -> int:
        """Note sets of one length; the number of the first among those of that length.

        `parent` is the number of each smaller set. Raises `TooManyItemsets`.
        """
        if len(self._parts) < length:
            self._parts.append([])
            self._sizes.append(0)
        first = self._sizes[length - 1]
        self._parts[length - 1].append((parent, item, count))
        self._sizes[length - 1] += len(item)
        if self._max_itemsets is not None and sum(self._sizes) > self._max_itemsets:
            raise TooManyItemsets(self._max_itemsets, self._min_count)
        return first

    def gather(self) -> Itemsets:
        """All of them, those of each length in lexicographic order."""
        n_baskets, n_items = self._shape
        levels: list[Level] = []
        before = np.empty((1, 0), dtype=np.int32)
        for size, parts in zip(self._sizes, self._parts, strict=True):
            if not size:
                break
            parent, item, count = (np.concatenate(column) for column in zip(*parts, strict=True))
            before = np.column_stack([before[parent], item.astype(np.int32)])
            levels.append(in_order(before, count, n_items))
        return Itemsets(tuple(levels), n_baskets, n_items, self._min_count)


def in_order(sets: Items, counts: Ints, n_items: int) -> Level:
    """A level of the sets in any order."""
    items = np.sort(sets, axis=1)
    if items.shape[1] * np.log2(n_items + 1) < 63:
        # As one number, which sorts faster.
        keys = np.zeros(len(items), dtype=np.int64)
        for column in items.T:
            keys = keys * n_items + column
        order = np.argsort(keys)
    else:
        order = np.lexsort(items.T[::-1])
    return Level(items[order], counts[order].astype(np.int64))


def least_count(min_support: float, n_baskets: int) -> int:
    """Smallest count, at least 1, that is the given share of all baskets."""
    count = max(1, ceil(min_support * n_baskets))
    # The product may be rounded to the wrong side of a whole number; the quotient decides.
    while count > 1 and (count - 1) / n_baskets >= min_support:
        count -= 1
    while n_baskets and count / n_baskets < min_support:
        count += 1
    return count
