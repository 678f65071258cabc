"""The nearest others of each item by the people they share: dense among those that meet most, else sparse."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, vstack

from app.learning.matrices import reweighted
from app.learning.recommenders import similarity
from app.learning.recommenders.similarity import Measure, Moments
from app.learning.recommenders.sparse import empty, entry_rows, narrow

Comparison = Measure | Literal["dot"]
Rows = NDArray[np.int64]
Floats = NDArray[np.float32]

_DENSE = 1 / 24
"""Share of all items, beyond which those that an item may meet are written into a dense row."""
_CELLS = 524_288
"""Cells of a dense block; with the counts beside it, it stays in the cache."""
_GROUPS = 8
"""Groups of columns for each neighbour wanted, from whose largest values a row's bound is read."""
_LEAST = np.finfo(np.float32).smallest_subnormal


def nearest_by_people(
    vectors: csr_array, k: int, comparison: Comparison, shrinkage: float = 0.0
) -> csr_array:
    """The `k` most similar other rows of each row of `vectors`, `(n_items, n_items)` float32 CSR.

    `vectors` is `(n_items, n_people)`. Only rows that share a person are compared, and only positive
    similarities kept; each is multiplied by `n / (n + shrinkage)`, `n` the people shared.
    """
    n_items = int(vectors.shape[0])
    compared = Compared.of(vectors, comparison, shrinkage)
    met = similarity.meetings(vectors)
    dense = met > _DENSE * n_items
    many, few = np.flatnonzero(dense), np.flatnonzero(~dense)
    frequent = _Neighbours(many, compared.take(many).among_themselves(k), n_items, k)
    parts: list[csr_array] = []
    for chunk in similarity.chunks(met[few]):
        product = compared.with_all(few[chunk])
        # What the one is to the other, the other is to the one.
        frequent.offer(few[chunk], product)
        parts.append(similarity.strongest(product, k))
    found = csr_array(vstack([frequent.chosen(), *parts], format="csr"))
    return narrow(csr_array(found[np.argsort(np.concatenate([many, few]))]))


@dataclass(frozen=True)
class Compared:
    """Vectors of items in the form in which their products are taken."""

    comparison: Comparison
    shrinkage: float
    moments: Moments
    vectors: csr_array
    """`(n_items, n_people)`."""
    transposed: csr_array
    present: csr_array
    """Ones where `vectors` has entries."""
    present_transposed: csr_array

    @classmethod
    def of(cls, vectors: csr_array, comparison: Comparison, shrinkage: float) -> Self:
        """Cosines of non-negative vectors as dot products of unit vectors in float32, all else in float64.

        A distance, a covariance and a product of centred values are small differences of large sums.
        """
        moments = Moments.of_rows(vectors)
        values = vectors.data.astype(np.float64)
        if comparison == "cosine" and values.min(initial=0.0) >= 0.0:
            norms = np.sqrt(moments.squares)[entry_rows(vectors)]
            comparison, values = "dot", (values / np.maximum(norms, 1e-300)).astype(np.float32)
        return cls._made(comparison, shrinkage, moments, _with(vectors, values))

    @classmethod
    def _made(cls, comparison: Comparison, shrinkage: float, moments: Moments, vectors: csr_array) -> Self:
        vectors = narrow(vectors)
        transposed = narrow(csr_array(vectors.T))
        present, present_transposed = (
            _with(matrix, np.ones(matrix.nnz, dtype=np.float32)) for matrix in (vectors, transposed)
        )
        return cls(comparison, shrinkage, moments, vectors, transposed, present, present_transposed)

    def take(self, rows: Rows) -> Self:
        """Only these items."""
        return self._made(
            self.comparison, self.shrinkage, self.moments.take(rows), csr_array(self.vectors[rows])
        )

    def among_themselves(self, k: int) -> csr_array:
        """The `k` nearest of all, `(n_items, n_items)`, by dense blocks of rows."""
        n_items = int(self.vectors.shape[0])
        step = max(1, _CELLS // max(1, n_items))
        lengths, columns, values = [np.zeros(1, np.int64)], [], []
        for first in range(0, n_items, step):
            rows = np.arange(first, min(first + step, n_items))
            block = self._block(rows)
            row, column = np.divmod(np.flatnonzero(block >= _bounds(block, k)), n_items)
            lengths.append(np.bincount(row, minlength=len(rows)))
            columns.append(column.astype(np.int32))
            values.append(block[row, column])
        if not columns:
            return empty(0, 0)
        indptr = np.concatenate(lengths).cumsum()
        found = (np.concatenate(values), np.concatenate(columns), indptr)
        return similarity.strongest(csr_array(found, shape=(n_items, n_items)), k)

    def _block(self, rows: Rows) -> Floats:
        """Similarities of adjoining rows to all, `(n_rows, n_items)`; 0 of what shares nobody."""
        from sklearn.utils.extmath import safe_sparse_dot

        part = slice(int(rows[0]), int(rows[-1]) + 1)
        block = safe_sparse_dot(self.vectors[part], self.transposed, dense_output=True)
        if self.comparison != "dot":
            left = self.moments.take(rows[:, None])
            block = similarity.similarity(self.comparison, block, left, self.moments)
        if self.shrinkage > 0 or self.comparison != "dot":
            together = safe_sparse_dot(self.present[part], self.present_transposed, dense_output=True)
            # Without shrinkage the factor is 1, or 0 of 0 people.
            together /= together + np.float32(max(self.shrinkage, 1e-9))
            block *= together
        block[np.arange(len(rows)), rows] = 0.0
        return np.asarray(block, dtype=np.float32)

    def with_all(self, rows: Rows) -> csr_array:
        """Similarities of these rows to all others that share people, `(n_rows, n_items)`, unordered."""
        product = csr_array(csr_array(self.vectors[rows]) @ self.transposed)
        row = rows.astype(np.int32)[np.repeat(np.arange(len(rows)), np.diff(product.indptr))]
        if self.comparison != "dot":
            left, right = self.moments.take(row), self.moments.take(product.indices)
            product.data = similarity.similarity(self.comparison, product.data, left, right)
        if self.shrinkage > 0:
            together = csr_array(csr_array(self.present[rows]) @ self.present_transposed)
            counts = _counts(product, together)
            product.data *= counts / (counts + np.float32(self.shrinkage))
        product.data[row == product.indices] = 0.0
        return _with(product, product.data.astype(np.float32, copy=False))


class _Neighbours:
    """The strongest among some items, to which their similarities to other items are offered."""

    def __init__(self, items: Rows, among: csr_array, n_items: int, k: int) -> None:
        """`among` holds the `k` strongest of `items`, `(len(items), len(items))`."""
        self._items = items
        self._k = k
        parts = (among.data, items.astype(np.int32)[among.indices], among.indptr)
        self._found = csr_array(parts, shape=(len(items), n_items))
        self._place = np.zeros(n_items, dtype=np.int32)
        self._place[items] = np.arange(len(items), dtype=np.int32)
        self._least = np.full(n_items, np.inf, dtype=np.float32)
        self._least[items] = self._smallest()
        self._offered: list[csr_array] = []

    def offer(self, rows: Rows, product: csr_array) -> None:
        """Take the similarities of other items, `(n_rows, n_items)`, that are strong enough to be kept."""
        strong = np.flatnonzero(product.data >= self._least[product.indices])
        column = rows[np.searchsorted(product.indptr, strong, side="right") - 1]
        place = self._place[product.indices[strong]]
        offered = coo_array((product.data[strong], (place, column)), shape=self._found.shape)
        self._offered.append(narrow(csr_array(offered)))
        if sum(matrix.nnz for matrix in self._offered) > similarity.CHUNK_ENTRIES:
            self._found = self.chosen()
            self._least[self._items] = self._smallest()
            self._offered = []

    def chosen(self) -> csr_array:
        """The `k` strongest of all offered so far, `(len(items), n_items)`."""
        return similarity.strongest(csr_array(sum(self._offered, start=self._found)), self._k)

    def _smallest(self) -> Floats:
        """What is weaker than this cannot be among the strongest, by item."""
        lengths = np.diff(self._found.indptr)
        smallest = np.full(len(lengths), _LEAST, dtype=np.float32)
        stored = np.flatnonzero(lengths)
        if len(stored):
            full = lengths[stored] == self._k
            values = np.minimum.reduceat(self._found.data, self._found.indptr[stored])
            smallest[stored[full]] = values[full]
        return smallest


def _bounds(block: Floats, k: int) -> Floats:
    """Of each row a positive value that its `k`-th largest is not below, `(n_rows, 1)`.

    The `k`-th largest of the maxima of groups is such a value, and there are few larger ones.
    """
    n_rows, n_columns = block.shape
    depth = max(1, n_columns // (_GROUPS * k))
    width = n_columns // depth
    if k > width:
        return np.full((n_rows, 1), _LEAST)
    largest = block[:, : depth * width].reshape(n_rows, depth, width).max(axis=1)
    largest.partition(width - k, axis=1)
    return np.asarray(np.maximum(largest[:, width - k, None], _LEAST))


def _counts(product: csr_array, together: csr_array) -> Floats:
    """The value of `together` for each stored entry of a product of vectors with the same entries."""
    if product.nnz < together.nnz:
        # What cancels or underflows to zero is not stored; otherwise both come in one order.
        product.sort_indices()
        together.sort_indices()
        n_columns = product.shape[1]
        found, pairs = (entry_rows(matrix) * n_columns + matrix.indices for matrix in (product, together))
        return np.asarray(together.data[np.searchsorted(pairs, found)])
    return np.asarray(together.data)


def _with(matrix: csr_array, values: NDArray[np.float64] | Floats) -> csr_array:
    return reweighted(matrix, values)
