"""What a shop's items and histories are like, against which lists are held beyond their accuracy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import Histories, ItemTable
from app.learning.recommenders.base import Recommender
from app.learning.recommenders.content import Content
from app.learning.recommenders.sparse import entry_rows
from app.learning.recommenders.text import fold

_LEVELS: Final = 2
"""Levels of a category path that count: `Shoes > Running > Trail` is `shoes > running`."""
DIMENSIONS: Final = 2_048
"""Of the items' vectors, at most."""
_LEAST_DESCRIBED: Final = 0.5
"""Share of the items with text from which items are compared by it."""


@dataclass(frozen=True)
class Background:
    """Popularity, likeness and categories of the items, as known at training."""

    known_by: NDArray[np.int64]
    """Number of histories that hold each item, `(n_items,)`."""
    n_histories: int
    """Histories that are not empty."""
    vectors: csr_array
    """A vector for each item, `(n_items, DIMENSIONS)` or narrower; empty where nothing is known of it.

    Products of two of them are cosines, or estimate them without bias where there were more dimensions.
    """
    vectors_from: Literal["content", "co-occurrence"]
    categories: csr_array
    """How an item is spread over categories, `(n_items, n_categories)`; rows sum to 1 or are empty."""


def background(
    histories: Histories, items: ItemTable, models: Mapping[str, Recommender], rng: np.random.Generator
) -> Background:
    """Of the histories of training, the catalogue and, if fitted, the content model among `models`."""
    matrix = histories.matrix
    content = models.get("content")
    described = isinstance(content, Content) and _described(content) >= _LEAST_DESCRIBED
    if isinstance(content, Content) and described:
        vectors = csr_array(content.postings.T)
    else:
        vectors = _co_occurrence(matrix)
    return Background(
        known_by=np.bincount(matrix.indices, minlength=matrix.shape[1]),
        n_histories=int(np.count_nonzero(np.diff(matrix.indptr))),
        vectors=project(vectors, rng),
        vectors_from="content" if described else "co-occurrence",
        categories=category_shares(items.categories),
    )


def project(vectors: csr_array, rng: np.random.Generator) -> csr_array:
    """The same vectors in at most `DIMENSIONS` dimensions, `(n, DIMENSIONS)` or narrower.

    As they are where they use no more. Else each dimension is added to a random other one with a random
    sign, which keeps products right on average, with a standard deviation of about 0.03 between unit
    vectors (Charikar et al. 2002, "Finding frequent items in data streams").
    """
    used, column = np.unique(vectors.indices, return_inverse=True)
    data = vectors.data
    width = max(1, len(used))
    if width > DIMENSIONS:
        data = data * rng.choice(np.array([-1, 1], dtype=np.float32), size=width)[column]
        column = rng.integers(DIMENSIONS, size=width)[column]
        width = DIMENSIONS
    projected = csr_array((data, column, vectors.indptr), shape=(vectors.shape[0], width))
    projected.sum_duplicates()
    return projected


def category_shares(of_items: Iterable[Iterable[str]]) -> csr_array:
    """Each item's categories in equal shares, `(n_items, n_categories)`; up to two levels of each path."""
    columns: dict[str, int] = {}
    found: list[int] = []
    indptr = [0]
    for paths in of_items:
        for category in dict.fromkeys(_upper_levels(path) for path in paths):
            if category:
                found.append(columns.setdefault(category, len(columns)))
        indptr.append(len(found))
    counts = np.diff(indptr)
    shares = np.repeat(1 / np.maximum(counts, 1), counts)
    return csr_array((shares, found, indptr), shape=(len(counts), len(columns)))


def _upper_levels(path: str) -> str:
    steps = [" ".join(step.split()) for step in fold(path).split(">")]
    return ">".join([step for step in steps if step][:_LEVELS])


def _described(content: Content) -> float:
    """Share of the items that have text."""
    n_items = content.postings.shape[1]
    return len(np.unique(content.postings.indices)) / n_items if n_items else 0.0


def _co_occurrence(matrix: csr_array) -> csr_array:
    """Unit vectors of the items over the histories that hold them, `(n_items, n_histories)`."""
    held_by = np.bincount(matrix.indices, minlength=matrix.shape[1])
    unit = 1 / np.sqrt(held_by[matrix.indices])
    parts = (unit.astype(np.float32), (matrix.indices, entry_rows(matrix)))
    return csr_array(parts, shape=(matrix.shape[1], matrix.shape[0]))
