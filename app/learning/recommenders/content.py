"""Items that are described alike; works for an item that nobody has touched."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array, vstack

from app.learning.dataset import Dataset, Histories, ItemTable
from app.learning.matrices import reweighted
from app.learning.recommenders.base import Arrays, Family, NotEnoughData, Scores
from app.learning.recommenders.contributions import through_links
from app.learning.recommenders.describing import Describer, FieldWeights, Reading
from app.learning.recommenders.similarity import nearest, strongest
from app.learning.recommenders.sparse import (
    Spreading,
    csr_from_arrays,
    csr_to_arrays,
    entry_rows,
    narrow,
    spread,
)
from app.learning.recommenders.telling import affordable, inverse_frequency

SMALL_CATALOGUE = 1_000
"""Up to so many items every term is compared."""
_ROWS_AT_ONCE = 4_000
_MOST_PAIRS = 4e8
"""Pairs of items that are sorted, about: ten seconds."""
_SAMPLE = 100
"""Items from which the number of pairs is told."""


class ContentConfig(FieldWeights):
    neighbours: int = Field(default=100, ge=1, le=10_000)
    """Most similar items kept for each item."""
    max_share: float = Field(default=0.2, gt=0.0, le=1.0)
    """Share of the items above which a term is left out of the comparison, in a catalogue over 1000."""
    max_products: float = Field(default=8e8, gt=0.0)
    """Multiplications that the comparison of terms may cost, and a quarter as much that of characters.

    The most frequent ones are left out until it fits.
    """


@dataclass(frozen=True)
class Content(Spreading):
    """TF-IDF of the catalogue and each item's neighbours by cosine."""

    config: ContentConfig
    describer: Describer
    idf: NDArray[np.float32]
    """Weight of each column of the describer, `(width,)`."""
    postings: csr_array
    """The items' unit vectors, transposed: `(width, n_items)`."""
    similarities: csr_array
    """`(n_items, n_items)`: in each row the neighbours of an item."""

    def _product(self, histories: Histories) -> tuple[csr_array, csr_array]:
        return histories.matrix, self.similarities

    def vectorise(self, items: ItemTable) -> csr_array:
        """Unit vectors of items, also of such as were unknown at training, `(n, width)` float32.

        The vector of an item of which nothing is said is empty.
        """
        return _unit_vectors(self.describer.describe(self.config, Reading.of(items)), self.idf)

    def similar(self, vectors: csr_array) -> Scores:
        """Cosine of each vector with each item of the catalogue, `(n, n_items)` float32.

        0 for an item that shares no more than its numbers: a price does not relate what nothing else does.
        """
        terms, numbers = _apart(vectors, self.describer.bins_from)
        scores = spread(terms, self.postings)
        if numbers.nnz:
            scores += np.where(scores > 0, spread(numbers, self.postings), np.float32(0))
        return scores

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            **self.describer.arrays(),
            "idf": self.idf,
            **csr_to_arrays("postings", self.postings),
            **csr_to_arrays("similarities", self.similarities),
        }

    @classmethod
    def from_arrays(cls, config: ContentConfig, arrays: Arrays) -> Self:
        return cls(
            config,
            Describer.from_arrays(arrays),
            arrays["idf"],
            csr_from_arrays("postings", arrays),
            csr_from_arrays("similarities", arrays),
        )

    def contributions(self, histories: Histories, items: NDArray[np.int32]) -> Scores:
        return through_links(histories.matrix.indices, histories.matrix.data, self.similarities, items)


def _unit_vectors(counts: csr_array, idf: NDArray[np.float32]) -> csr_array:
    data = counts.data * idf[counts.indices]
    rows = entry_rows(counts)
    norms = np.sqrt(np.bincount(rows, weights=data.astype(np.float64) ** 2, minlength=counts.shape[0]))
    unit = (data / norms[rows]).astype(np.float32)
    return reweighted(counts, unit)


def _apart(vectors: csr_array, column: int) -> tuple[csr_array, csr_array]:
    """The columns before and from `column` on, each in a matrix of the same shape."""
    before = vectors.indices < column
    return _chosen(vectors, before), _chosen(vectors, ~before)


def _chosen(vectors: csr_array, entries: NDArray[np.bool_]) -> csr_array:
    indptr = np.concatenate([[0], np.cumsum(entries)])[vectors.indptr]
    return narrow(csr_array((vectors.data[entries], vectors.indices[entries], indptr), shape=vectors.shape))


def _compared(config: ContentConfig, describer: Describer, vectors: csr_array) -> csr_array:
    """The vectors with only the columns that find neighbours: not numbers, nor what costs too much."""
    n_items = vectors.shape[0]
    frequency = np.bincount(vectors.indices, minlength=describer.width)
    found = np.arange(describer.width) < describer.bins_from
    if n_items <= SMALL_CATALOGUE:
        return _chosen(vectors, found[vectors.indices])
    characters = np.zeros(describer.width, dtype=np.bool_)
    characters[describer.characters_from : describer.attributes_from] = True
    found &= frequency <= config.max_share * n_items
    budget = config.max_products
    while True:
        columns = found.copy()
        columns[characters] &= affordable(frequency[characters], budget / 4)
        columns[~characters] &= affordable(frequency[~characters], budget)
        compared = _chosen(vectors, columns[vectors.indices])
        # Where terms seldom occur together, nearly each multiplication makes a pair of its own to be sorted.
        if _pairs(compared) <= _MOST_PAIRS:
            return compared
        budget /= 2


def _pairs(vectors: csr_array) -> float:
    """About how many pairs of rows share a column, from some of the rows."""
    step = -(-vectors.shape[0] // _SAMPLE)
    some = csr_array(vectors[::step])
    return float((some @ vectors.T).nnz * step)


def _by_numbers_too(candidates: csr_array, numbers: NDArray[np.float32], k: int) -> csr_array:
    """The `k` strongest of each row when each pair's product of numbers `(n_items, n_bins)` is added."""
    parts: list[csr_array] = []
    for start in range(0, candidates.shape[0], _ROWS_AT_ONCE):
        part = csr_array(candidates[start : start + _ROWS_AT_ONCE])
        row = entry_rows(part) + start
        part.data += np.einsum("ij,ij->i", numbers[row], numbers[part.indices])
        parts.append(strongest(part, k))
    return narrow(csr_array(vstack(parts, format="csr")))


def fit(config: ContentConfig, dataset: Dataset, rng: np.random.Generator) -> Content:
    """Weigh terms by TF-IDF (Salton & Buckley 1988; hashed as in Weinberger et al. 2009) and compare.

    Raises `NotEnoughData` where no two items share a term.
    """
    n_items = dataset.n_items
    reading = Reading.of(dataset.items)
    describer = Describer.learn(config, reading)
    counts = describer.describe(config, reading)
    if counts.nnz == 0:
        raise NotEnoughData("needs items with a title, description, category, brand, tag or attribute")
    frequency = np.bincount(counts.indices, minlength=describer.width)
    idf = inverse_frequency(frequency, n_items)
    vectors = _unit_vectors(counts, idf)
    del reading, counts
    compared = _compared(config, describer, vectors)
    numbers = vectors[:, describer.bins_from :].toarray()
    # Numbers decide among those that terms have found: each is shared with too many items to search by it.
    if numbers.shape[1]:
        candidates = nearest(compared, config.neighbours + config.neighbours // 4)
        similarities = _by_numbers_too(candidates, numbers, config.neighbours)
    else:
        similarities = nearest(compared, config.neighbours)
    if similarities.nnz == 0:
        raise NotEnoughData(
            "needs at least two items that share a word, category, brand or tag which is not everywhere"
        )
    return Content(config, describer, idf, narrow(csr_array(vectors.T)), similarities)


FAMILY = Family(
    "content",
    "content",
    ContentConfig,
    fit,
    Content,
    {"character_weight": (0.0, 3.0), "attribute_weight": (0.0, 2.0)},
)
