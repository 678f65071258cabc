"""Frequent itemsets of a shop, at a support that is given or found."""

from collections.abc import Callable
from typing import Literal

from app.learning.baskets.apriori import apriori
from app.learning.baskets.baskets import Baskets
from app.learning.baskets.eclat import eclat
from app.learning.baskets.fp_growth import fp_growth
from app.learning.baskets.itemsets import Itemsets, TooManyItemsets, least_count
from app.learning.recommenders.base import NotEnoughData

Algorithm = Literal["fp_growth", "eclat", "apriori"]

MINERS: dict[str, Callable[[Baskets, int, int | None, int | None], Itemsets]] = {
    "fp_growth": fp_growth,
    "eclat": eclat,
    "apriori": apriori,
}
"""All give the same answer; the first is the fastest on sparse baskets."""

HANDFUL = 5
"""Baskets below which together means nothing: the least that a count of two items may rest on."""
_RAISE = 1.5


def frequent_itemsets(
    baskets: Baskets,
    min_support: float,
    max_length: int | None = None,
    max_itemsets: int | None = None,
    algorithm: Algorithm = "fp_growth",
) -> Itemsets:
    """All sets in at least this share of the baskets, exactly. Raises `TooManyItemsets`, `NotEnoughData`."""
    _check(baskets)
    return MINERS[algorithm](baskets, least_count(min_support, len(baskets)), max_length, max_itemsets)


def bounded_itemsets(
    baskets: Baskets,
    max_itemsets: int,
    max_length: int,
    start: int = HANDFUL,
    algorithm: Algorithm = "fp_growth",
) -> tuple[Itemsets, int]:
    """Sets in `start` baskets, or as many more as it takes to have at most `max_itemsets`; and their length.

    `min_count` of the answer is the count that was used. Where even the sets that are in all baskets are too
    many, only shorter ones are looked for. Raises `NotEnoughData` without baskets, `TooManyItemsets` where
    there are too many items.
    """
    _check(baskets)
    min_count = start
    while True:
        try:
            return MINERS[algorithm](baskets, min_count, max_length, max_itemsets), max_length
        except TooManyItemsets:
            if min_count < len(baskets):
                min_count = min(int(min_count * _RAISE) + 1, len(baskets))
            elif max_length > 1:
                max_length -= 1
            else:
                raise


def _check(baskets: Baskets) -> None:
    if not len(baskets.indices):
        raise NotEnoughData("itemsets need at least one basket with an item, there is none")
