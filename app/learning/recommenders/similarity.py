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
Indices = NDArray[np.integer]

CHUNK_ENTRIES = 2_000_000
"""Most stored entries of one chunk's product: about 25 MB, 200 MB with all that is computed of it."""
_PADDED_CELLS = 262_144
"""Values that are partitioned at once."""


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
    values = matrix.data.astype(np.float32, copy=False)
    lengths = np.diff(matrix.indptr)
    least = _largest_but(values, matrix.indptr, lengths, k)
    kept = np.flatnonzero(values >= np.repeat(least, lengths))
    indptr = np.searchsorted(kept, matrix.indptr)
    pruned = csr_array((values[kept], matrix.indices[kept], indptr), shape=matrix.shape)
    if matrix.has_sorted_indices:
        pruned.has_sorted_indices = True
    elif pruned.nnz > matrix.shape[1]:
        # Transposing twice sorts, in linear time.
        pruned = csr_array(pruned.tocsc())
    else:
        pruned.sort_indices()
    return narrow(_without_surplus(pruned, least, k))


def _largest_but(
    values: NDArray[np.float32], indptr: Indices, lengths: Indices, k: int
) -> NDArray[np.float32]:
    """The `k`-th largest value of each row where that is positive, else the least positive number."""
    least = np.full(len(lengths), np.finfo(np.float32).smallest_subnormal, dtype=np.float32)
    long = np.flatnonzero(lengths > k)
    # Doubling widths: a row is padded to twice its length at most.
    widths = np.left_shift(1, np.ceil(np.log2(lengths[long])).astype(np.int64))
    for width in np.unique(widths):
        place = np.arange(width)
        members = long[widths == width]
        step = max(1, _PADDED_CELLS // int(width))
        for first in range(0, len(members), step):
            rows = members[first : first + step]
            block = values[np.minimum(indptr[rows][:, None] + place, len(values) - 1)]
            block[place >= lengths[rows][:, None]] = -np.inf
            block.partition(width - k, axis=1)
            least[rows] = np.maximum(least[rows], block[:, width - k])
    return least


def _without_surplus(matrix: csr_array, least: NDArray[np.float32], k: int) -> csr_array:
    """The matrix without the last of each row's entries that equal its least, down to `k` entries."""
    surplus = np.maximum(np.diff(matrix.indptr) - k, 0)
    if not surplus.any():
        return matrix
    rows = entry_rows(matrix)
    tied = np.flatnonzero((matrix.data == least[rows]) & (surplus > 0)[rows])
    row = rows[tied]
    after = np.searchsorted(row, row, side="right") - np.arange(len(tied))
    keep = np.ones(matrix.nnz, dtype=np.bool_)
    keep[tied[after <= surplus[row]]] = False
    indptr = np.concatenate([[0], np.cumsum(np.minimum(np.diff(matrix.indptr), k))])
    return csr_array((matrix.data[keep], matrix.indices[keep], indptr), shape=matrix.shape)


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
    for chunk in chunks(meetings(vectors)):
        product = csr_array(vectors[chunk] @ transposed)
        if weigh is not None:
            product.data = weigh(chunk, product)
        oneself = np.arange(chunk.start, chunk.stop, dtype=np.int32)
        product.data[np.repeat(oneself, np.diff(product.indptr)) == product.indices] = 0.0
        parts.append(strongest(product, k))
    return narrow(csr_array(vstack(parts, format="csr")))


def meetings(vectors: csr_array) -> Floats:
    """With how many rows each row shares a dimension at most, `(n,)`.

    That is no more than there are multiplications or rows.
    """
    n_rows = int(vectors.shape[0])
    shared = np.bincount(vectors.indices, minlength=vectors.shape[1])
    work = np.bincount(entry_rows(vectors), weights=shared[vectors.indices], minlength=n_rows)
    return np.minimum(work, n_rows)


def chunks(lengths: Floats, entries: int | None = None) -> Iterator[slice]:
    """Runs of rows of these lengths that hold about `entries` at most; a run may pass it by one row."""
    group = np.cumsum(lengths) // (entries or CHUNK_ENTRIES)
    edges = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(lengths)]
    for start, stop in pairwise(edges):
        yield slice(start, stop)
