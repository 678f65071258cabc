"""Similarities of sparse vectors, and the strongest of them by row in bounded memory.

Item neighbours, user neighbours and content all stand on this file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from app.learning.recommenders.sparse import entry_rows, narrow

Measure = Literal["cosine", "pearson", "euclidean"]
Floats = NDArray[np.float64]
Indices = NDArray[np.int64] | NDArray[np.int32]

CHUNK_ENTRIES = 2_000_000
"""Most stored entries of one chunk's product: about 25 MB, 200 MB with all that is computed of it."""


@dataclass(frozen=True)
class Moments:
    """What the measures need of each vector besides the dot product; zeros are values like others."""

    sums: Floats
    squares: Floats
    length: int
    """Dimensions of each vector."""

    @classmethod
    def of_columns(cls, matrix: csr_array) -> Self:
        return cls._grouped(matrix, matrix.indices, int(matrix.shape[1]), int(matrix.shape[0]))

    @classmethod
    def of_rows(cls, matrix: csr_array) -> Self:
        return cls._grouped(matrix, entry_rows(matrix), int(matrix.shape[0]), int(matrix.shape[1]))

    @classmethod
    def _grouped(cls, matrix: csr_array, vector: Indices, n_vectors: int, length: int) -> Self:
        values = matrix.data.astype(np.float64)
        sums = np.bincount(vector, weights=values, minlength=n_vectors).astype(np.float64)
        squares = np.bincount(vector, weights=values**2, minlength=n_vectors).astype(np.float64)
        return cls(sums, squares, length)

    def take(self, chosen: Indices) -> Self:
        """The moments of the chosen vectors, in that order; one may be chosen many times."""
        return type(self)(self.sums[chosen], self.squares[chosen], self.length)


def similarity(measure: Measure, dot: Floats, left: Moments, right: Moments) -> Floats:
    """Similarity of pairs of vectors from their dot products, all `(n_pairs,)`.

    cosine: `a·b / |a||b|`. pearson: cosine of the centred vectors; 0 where one does not vary.
    euclidean: `1 / (1 + |a - b|)`.
    """
    if measure == "euclidean":
        squared = left.squares + right.squares - 2.0 * dot
        # What cancels to less than the rounding of its terms is no distance at all.
        squared[squared < 1e-12 * (left.squares + right.squares)] = 0.0
        return np.asarray(1.0 / (1.0 + np.sqrt(squared)))
    left_norm, right_norm = left.squares, right.squares
    if measure == "pearson":
        dot = dot - left.sums * right.sums / left.length
        left_norm = _variation(left)
        right_norm = _variation(right)
    product = np.sqrt(left_norm * right_norm)
    return np.divide(dot, product, out=np.zeros_like(dot), where=product > 0)


def _variation(moments: Moments) -> Floats:
    variation = moments.squares - moments.sums**2 / moments.length
    return np.where(variation > 1e-12 * moments.squares, variation, 0.0)


def strongest(matrix: csr_array, k: int) -> csr_array:
    """The `k` largest positive entries of each row; among equals the lower column stays.

    Float32 with columns in ascending order. No loop over rows: rows of about the same length are padded
    into one block and partitioned together.
    """
    values = matrix.data.astype(np.float32)
    positive = values > 0
    rows, columns, values = entry_rows(matrix)[positive], matrix.indices[positive], values[positive]
    n_rows = matrix.shape[0]
    lengths = np.bincount(rows, minlength=n_rows)
    keep = _keep_largest(rows, columns, values, lengths, k)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows[keep], minlength=n_rows))])
    pruned = csr_array((values[keep], columns[keep], indptr), shape=matrix.shape)
    pruned.sort_indices()
    return narrow(pruned)


def _keep_largest(
    rows: NDArray[np.int64],
    columns: NDArray[np.int32],
    values: NDArray[np.float32],
    lengths: NDArray[np.int64],
    k: int,
) -> NDArray[np.bool_]:
    """Which of the entries (ordered by row) are among the `k` largest of their row."""
    threshold = np.full(len(lengths), -np.inf, dtype=np.float32)
    widths = np.exp2(np.ceil(np.log2(np.maximum(lengths, 1)))).astype(np.int64)
    widths[lengths <= k] = 0
    for width in np.unique(widths[widths > 0]):
        members = widths == width
        block = np.full((int(members.sum()), int(width)), -np.inf, dtype=np.float32)
        block[np.arange(width) < lengths[members][:, None]] = values[members[rows]]
        threshold[members] = np.partition(block, width - k, axis=1)[:, width - k]
    bound = threshold[rows]
    keep = values > bound
    # At the threshold itself there may be more entries than room: the lowest columns get it.
    tied = np.flatnonzero(values == bound)
    tied = tied[np.lexsort((columns[tied], rows[tied]))]
    row = rows[tied]
    place = np.arange(len(tied)) - np.searchsorted(row, row, side="left")
    room = k - np.bincount(rows[keep], minlength=len(lengths))
    keep[tied[place < room[row]]] = True
    return keep


Weigh = Callable[[slice, csr_array], Floats]
"""From the rows of a chunk and its dot products to the similarity of each stored entry."""


def nearest(
    vectors: csr_array, k: int, weigh: Weigh | None = None, others: csr_array | None = None
) -> csr_array:
    """The `k` nearest other rows of each row of `vectors`, `(n, n)` float32 CSR with an empty diagonal.

    Only rows that share a dimension are compared; only positive similarities are kept. Without `weigh`
    the similarity is the dot product, with the rows of `others` `(n_dimensions, n)` where they are seen
    otherwise as neighbours than as askers.
    """
    transposed = narrow(csr_array(vectors.T) if others is None else others)
    vectors = narrow(vectors)
    parts: list[csr_array] = []
    for chunk in chunks(vectors):
        product = csr_array(vectors[chunk] @ transposed)
        if weigh is not None:
            product.data = weigh(chunk, product)
        product.data[entry_rows(product) + chunk.start == product.indices] = 0.0
        parts.append(strongest(product, k))
    return narrow(csr_array(vstack(parts, format="csr")))


def chunks(vectors: csr_array, entries: int | None = None) -> Iterator[slice]:
    """Runs of rows whose part of `vectors @ vectors.T` holds about `entries` at most.

    A row's part has no more entries than there are multiplications or columns; a chunk may pass the
    bound by one row.
    """
    n_rows = int(vectors.shape[0])
    shared = np.bincount(vectors.indices, minlength=vectors.shape[1])
    work = np.bincount(entry_rows(vectors), weights=shared[vectors.indices], minlength=n_rows)
    cumulative = np.cumsum(np.minimum(work, n_rows))
    group = cumulative // (entries or CHUNK_ENTRIES)
    edges = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), n_rows]
    for start, stop in pairwise(edges):
        yield slice(start, stop)
