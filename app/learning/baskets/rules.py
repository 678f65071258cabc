"""Association rules: what the itemsets say of a basket that holds some items."""

from dataclasses import dataclass, fields
from itertools import combinations
from typing import Self

import numpy as np
from numpy.typing import NDArray

from app.learning.baskets.itemsets import Ints, Items, Itemsets

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rules:
    """Rules, one array per column, all of length `n`."""

    antecedents: Items
    """`(n, longest)`, each row ascending, padded with -1 at its end."""
    consequents: Items
    """`(n, longest)`, likewise."""
    count: Ints
    """Baskets that hold all items of the rule."""
    antecedent_count: Ints
    consequent_count: Ints
    support: Floats
    """Share of all baskets that hold all items of the rule."""
    confidence: Floats
    """Share of the baskets with the antecedent that hold the consequent too."""
    lift: Floats
    """Confidence, relative to the consequent's share of all baskets; 1: independent."""
    leverage: Floats
    """Support above what independence would have (Piatetsky-Shapiro 1991)."""
    conviction: Floats
    """How much more often the rule would fail by chance (Brin et al. 1997).

    Infinite where it never fails; 1 where the consequent is in every basket, which is independence.
    """

    def __len__(self) -> int:
        return len(self.count)

    def where(self, chosen: NDArray[np.bool_] | Ints) -> Self:
        """The chosen rules, in that order."""
        return type(self)(*(getattr(self, column.name)[chosen] for column in fields(self)))


def mine_rules(
    itemsets: Itemsets, min_confidence: float = 0.0, min_lift: float = 0.0, all_splits: bool = False
) -> Rules:
    """All rules of the itemsets with at least this confidence and lift.

    With one item as the consequent, or, with `all_splits`, every division of a set in two. In the order of
    the sets' lengths, then of the itemsets.
    """
    parts = [
        _split(itemsets, length, taken)
        for length in range(2, len(itemsets.levels) + 1)
        for size in range(1, length if all_splits else 2)
        for taken in combinations(range(length), size)
    ]
    wide = max((part[0].shape[1] for part in parts), default=1)
    deep = max((part[1].shape[1] for part in parts), default=1)
    antecedents = np.concatenate([np.empty((0, wide), np.int32), *(_padded(part[0], wide) for part in parts)])
    consequents = np.concatenate([np.empty((0, deep), np.int32), *(_padded(part[1], deep) for part in parts)])
    counts = np.concatenate([np.empty((3, 0), np.int64), *(part[2] for part in parts)], axis=1)
    rules = _measured(antecedents, consequents, counts, itemsets.n_baskets)
    return rules.where((rules.confidence >= min_confidence) & (rules.lift >= min_lift))


def _split(itemsets: Itemsets, length: int, taken: tuple[int, ...]) -> tuple[Items, Items, Ints]:
    """Antecedents, consequents and the counts of both, of each and of each, `(3, n)`."""
    level = itemsets.levels[length - 1]
    rest = [column for column in range(length) if column not in taken]
    sides = level.items[:, rest], level.items[:, list(taken)]
    # Parts of a frequent set are frequent, so they are found.
    counts = [itemsets.levels[side.shape[1] - 1].counts[itemsets.find(side)] for side in sides]
    return *sides, np.stack([level.counts, *counts])


def _padded(items: Items, width: int) -> Items:
    return np.pad(items, ((0, 0), (0, width - items.shape[1])), constant_values=-1)


def _measured(antecedents: Items, consequents: Items, counts: Ints, n_baskets: int) -> Rules:
    both, left, right = counts
    confidence = both / left
    share = right / n_baskets
    # Whole numbers up to the one division, so that what is independent has exactly a lift of 1.
    lift = (both.astype(np.float64) * n_baskets) / (left.astype(np.float64) * right)
    failures = left - both
    chance = np.where(right == n_baskets, 1.0, np.inf)
    conviction = np.divide((n_baskets - right) * (left / n_baskets), failures, out=chance, where=failures > 0)
    leverage = both / n_baskets - (left / n_baskets) * share
    return Rules(
        antecedents, consequents, both, left, right, both / n_baskets, confidence, lift, leverage, conviction
    )
