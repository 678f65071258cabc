"""What is popular in the categories that somebody turns to."""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import coo_array, csr_array

from app.learning.dataset import Dataset, Histories
from app.learning.recommenders.base import Arrays, Config, Family, NotEnoughData, Scores
from app.learning.recommenders.evidence import Evidence, Selective, by_row, gather
from app.learning.recommenders.popularity import item_interest
from app.learning.recommenders.similarity import strongest
from app.learning.recommenders.sparse import aged, csr_from_arrays, csr_to_arrays, narrow, spread
from app.learning.recommenders.text import category_terms

BEST: Final = 1_000
"""Items of a category that are told: of those beyond, a request would read tens of thousands in vain."""


class CategoryPopularityConfig(Config):
    half_life: float | None = Field(default=60.0, gt=0.0)
    """Days after which an event counts half towards what is popular; None: all count alike."""
    recency: float | None = Field(default=None, gt=0.0)
    """Days after which an item counts half in the history that is scored; None: all count alike."""


@dataclass(frozen=True)
class CategoryPopularity(Selective):
    """Which item is in which category, and each item's share of the interest in it."""

    recency: float | None
    categories: csr_array
    """`(n_items, n_categories)`: 1 in each category of an item, divided by how much is in it."""
    shares: csr_array
    """`(n_categories, n_items)`: interest in each of the best items, of that in the category's best."""

    def score(self, histories: Histories) -> Scores:
        turned_to = spread(aged(histories, self.recency), self.categories)
        return spread(csr_array(turned_to), self.shares)

    def evidence(self, histories: Histories) -> Evidence:
        return gather(gather(aged(histories, self.recency), self.categories), self.shares)

    def evidences(self, histories: Histories) -> list[Evidence]:
        turned_to = csr_array(aged(histories, self.recency) @ self.categories)
        return by_row(csr_array(turned_to @ self.shares))

    def contributions(self, histories: Histories, items: NDArray[np.int32]) -> Scores:
        weights = aged(histories, self.recency).data
        turned_to = csr_array(self.categories[histories.matrix.indices])
        used = np.unique(turned_to.indices)
        shares = csr_array(csr_array(self.shares[used])[:, items])
        parts = csr_array(csr_array(turned_to[:, used]) @ shares).toarray()
        return np.asarray((weights[:, None] * parts).T, dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {**csr_to_arrays("categories", self.categories), **csr_to_arrays("shares", self.shares)}

    @classmethod
    def from_arrays(cls, config: CategoryPopularityConfig, arrays: Arrays) -> Self:
        categories = csr_from_arrays("categories", arrays)
        return cls(config.recency, categories, csr_from_arrays("shares", arrays))


def fit(config: CategoryPopularityConfig, dataset: Dataset, rng: np.random.Generator) -> CategoryPopularity:
    """Interest by category path and each of its prefixes; a wide category tells less than a narrow one.

    Raises `NotEnoughData` without categories, or without positive events on items in them.
    """
    interest = item_interest(dataset, config.half_life)
    codes: dict[str, int] = {}
    items: list[int] = []
    places: list[int] = []
    for column, paths in enumerate(dataset.items.categories):
        for term in category_terms(paths):
            items.append(column)
            places.append(codes.setdefault(term, len(codes)))
    item, place = np.array(items, dtype=np.int64), np.array(places, dtype=np.int64)
    best = np.zeros(max(1, len(codes)))
    np.maximum.at(best, place, interest[item])
    liked = interest[item] > 0
    if not liked.any():
        raise NotEnoughData("needs items with categories and positive events")
    shape = (dataset.n_items, len(codes))
    width = np.bincount(place, minlength=len(codes))
    telling = (1.0 / np.sqrt(width[place])).astype(np.float32)
    shares = (interest[item[liked]] / best[place[liked]]).astype(np.float32)
    return CategoryPopularity(
        config.recency,
        narrow(csr_array(coo_array((telling, (item, place)), shape=shape))),
        strongest(csr_array(coo_array((shares, (place[liked], item[liked])), shape=shape[::-1])), BEST),
    )


SPACE = {"half_life": (14.0, None), "recency": (30.0,)}

FAMILY = Family("category_popularity", "popular", CategoryPopularityConfig, fit, CategoryPopularity, SPACE)
