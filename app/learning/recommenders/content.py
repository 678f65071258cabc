"""Items that are described alike; works for an item that nobody has touched."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array

from app.learning.dataset import Dataset, Histories, ItemTable
from app.learning.recommenders.base import Arrays, Config, Family, NotEnoughData, Scores
from app.learning.recommenders.similarity import nearest
from app.learning.recommenders.sparse import (
    csr_from_arrays,
    csr_to_arrays,
    empty,
    entry_rows,
    narrow,
    spread,
)
from app.learning.recommenders.text import N_FEATURES, category_terms, fold, hashed_counts, words

SMALL_CATALOGUE = 1_000
"""Up to so many items every term is compared."""


class ContentConfig(Config):
    neighbours: int = Field(default=100, ge=1, le=10_000)
    """Most similar items kept for each item."""
    title_weight: float = Field(default=3.0, ge=0.0)
    """Weight of the words of the title."""
    description_weight: float = Field(default=1.0, ge=0.0)
    """Weight of the words of the description."""
    category_weight: float = Field(default=2.0, ge=0.0)
    """Weight of each category path and of its prefixes."""
    brand_weight: float = Field(default=1.5, ge=0.0)
    """Weight of the brand, as one term."""
    tag_weight: float = Field(default=2.0, ge=0.0)
    """Weight of the words of the tags."""
    max_share: float = Field(default=0.2, gt=0.0, le=1.0)
    """Share of the items above which a term is left out of the comparison, in a catalogue over 1000."""
    max_products: float = Field(default=1e9, gt=0.0)
    """Multiplications that the comparison may cost; the most frequent terms are left out until it fits."""


@dataclass(frozen=True)
class Content:
    """TF-IDF of the catalogue and each item's neighbours by cosine."""

    config: ContentConfig
    idf: NDArray[np.float32]
    """Weight of each hashed term, `(N_FEATURES,)`."""
    postings: csr_array
    """The items' unit vectors, transposed: `(N_FEATURES, n_items)`."""
    similarities: csr_array
    """`(n_items, n_items)`: in each row the neighbours of an item."""

    def score(self, histories: Histories) -> Scores:
        return spread(histories.matrix, self.similarities)

    def vectorise(self, items: ItemTable) -> csr_array:
        """Unit vectors of items, also of such as were unknown at training, `(n, N_FEATURES)` float32.

        The vector of an item without text is empty.
        """
        return _unit_vectors(_term_counts(self.config, items), self.idf)

    def similar(self, vectors: csr_array) -> Scores:
        """Cosine of each vector with each item of the catalogue, `(n, n_items)` float32."""
        return spread(vectors, self.postings)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "idf": self.idf,
            **csr_to_arrays("postings", self.postings),
            **csr_to_arrays("similarities", self.similarities),
        }

    @classmethod
    def from_arrays(cls, config: ContentConfig, arrays: Arrays) -> Self:
        similarities = csr_from_arrays("similarities", arrays)
        return cls(config, arrays["idf"], csr_from_arrays("postings", arrays), similarities)


def _term_counts(config: ContentConfig, items: ItemTable) -> csr_array:
    """Weighted, damped counts of terms over all fields, `(n, N_FEATURES)`."""
    n = len(items.title)
    fields: list[tuple[float, Iterable[Iterable[str]]]] = [
        (config.title_weight, map(words, items.title)),
        (config.description_weight, map(words, items.description)),
        (config.category_weight, map(category_terms, items.categories)),
        (config.brand_weight, ([f"brand:{fold(b.strip())}"] if b.strip() else [] for b in items.brand)),
        (config.tag_weight, (words(" ".join(tags)) for tags in items.tags)),
    ]
    total = empty(n, N_FEATURES)
    for weight, documents in fields:
        if weight > 0:
            counts = hashed_counts(documents, n)
            counts.data = np.float32(weight) * (1.0 + np.log(counts.data))
            total = total + counts
    return narrow(total)


def _unit_vectors(counts: csr_array, idf: NDArray[np.float32]) -> csr_array:
    data = counts.data * idf[counts.indices]
    rows = entry_rows(counts)
    norms = np.sqrt(np.bincount(rows, weights=data.astype(np.float64) ** 2, minlength=counts.shape[0]))
    unit = (data / norms[rows]).astype(np.float32)
    return csr_array((unit, counts.indices, counts.indptr), shape=counts.shape)


def _telling_terms(config: ContentConfig, frequency: NDArray[np.int64], n_items: int) -> NDArray[np.bool_]:
    """Which terms are compared, `(N_FEATURES,)`: a term of f items costs f² multiplications."""
    if n_items <= SMALL_CATALOGUE:
        return np.ones(len(frequency), dtype=np.bool_)
    order = np.argsort(frequency, kind="stable")
    cost = np.cumsum(frequency[order].astype(np.float64) ** 2)
    affordable = np.zeros(len(frequency), dtype=np.bool_)
    affordable[order] = cost <= config.max_products
    return affordable & (frequency <= config.max_share * n_items)


def fit(config: ContentConfig, dataset: Dataset, rng: np.random.Generator) -> Content:
    """Weigh terms by TF-IDF (Salton & Buckley 1988; hashed as in Weinberger et al. 2009) and compare.

    Raises `NotEnoughData` where no two items share a term.
    """
    counts = _term_counts(config, dataset.items)
    n_items = dataset.n_items
    frequency = np.bincount(counts.indices, minlength=N_FEATURES)
    idf = (np.log((1.0 + n_items) / (1.0 + frequency)) + 1.0).astype(np.float32)
    vectors = _unit_vectors(counts, idf)
    telling = _telling_terms(config, frequency, n_items)[vectors.indices]
    indptr = np.concatenate([[0], np.cumsum(telling)])[vectors.indptr]
    compared = csr_array((vectors.data[telling], vectors.indices[telling], indptr), shape=vectors.shape)
    if vectors.nnz == 0:
        raise NotEnoughData("needs items with a title, description, category, brand or tag")
    similarities = nearest(compared, config.neighbours)
    if similarities.nnz == 0:
        raise NotEnoughData(
            "needs at least two items that share a word, category, brand or tag which is not everywhere"
        )
    return Content(config, idf, narrow(csr_array(vectors.T)), similarities)


FAMILY = Family("content", "content", ContentConfig, fit, Content)
