"""What is dear in a category: prices as ratios to those of the same kind."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.recommenders.base import Arrays
from app.learning.recommenders.sparse import entry_rows

LEAST_PRICES = 5
"""Priced items of a category from which it has a level of its own."""


@dataclass(frozen=True)
class PriceLevels:
    """The median log price of each category, and of the shop."""

    categories: NDArray[np.int32]
    """Columns of the categories that have a level, ascending, `(n_levels,)`."""
    levels: NDArray[np.float64]
    sizes: NDArray[np.int64]
    """Priced items of each."""
    shop: float

    @classmethod
    def learn(cls, prices: NDArray[np.float32], categories: csr_array) -> Self:
        """From prices `(n,)`, NaN where unknown, and the items' categories `(n, n_categories)`."""
        log = log_prices(prices)
        priced = np.isfinite(log)
        row, column = entry_rows(categories), categories.indices
        row, column = row[priced[row]], column[priced[row]]
        order = np.lexsort((log[row], column))
        value = log[row][order]
        found, first, size = np.unique(column[order], return_index=True, return_counts=True)
        median = (
            (value[first + (size - 1) // 2] + value[first + size // 2]) / 2 if len(found) else np.empty(0)
        )
        enough = size >= LEAST_PRICES
        shop = float(np.median(log[priced])) if priced.any() else 0.0
        return cls(found[enough].astype(np.int32), median[enough], size[enough].astype(np.int64), shop)

    def relative(self, prices: NDArray[np.float32], categories: csr_array) -> NDArray[np.float64]:
        """Log of each price over that of the item's narrowest category with a level, else over the shop's.

        `(n,)`, NaN where there is no price above 0.
        """
        level = np.full(len(prices), self.shop)
        if len(self.categories):
            row, column = entry_rows(categories), categories.indices
            place = np.minimum(np.searchsorted(self.categories, column), len(self.categories) - 1)
            known = self.categories[place] == column
            row, place = row[known], place[known]
            # The last one written stays: the narrowest.
            order = np.lexsort((-place, -self.sizes[place]))
            level[row[order]] = self.levels[place[order]]
        return np.asarray(log_prices(prices) - level)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "price_categories": self.categories,
            "price_levels": self.levels,
            "price_sizes": self.sizes,
            "price_shop": np.array(self.shop),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        return cls(
            arrays["price_categories"],
            arrays["price_levels"],
            arrays["price_sizes"],
            float(arrays["price_shop"]),
        )


def log_prices(prices: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logarithms, `(n,)`; NaN where there is no finite price above 0."""
    valid = np.isfinite(prices) & (prices > 0)
    return np.asarray(np.log(np.where(valid, prices, np.nan).astype(np.float64)))
