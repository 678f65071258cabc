"""Sparse matrices as plain arrays, and the histories that collaborative families learn from."""

from abc import abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import Dataset, Histories
from app.learning.matrices import reweighted
from app.learning.preferences import dataset_histories
from app.learning.recommenders.base import Arrays, NotEnoughData, Scores
from app.learning.recommenders.evidence import Evidence, Selective, by_row, gather


def csr_to_arrays(name: str, matrix: csr_array) -> dict[str, NDArray[Any]]:
    """The parts of a CSR matrix, each under `name_…`; int32 indices where they fit."""
    matrix = narrow(matrix)
    return {
        f"{name}_data": matrix.data,
        f"{name}_indices": matrix.indices,
        f"{name}_indptr": matrix.indptr,
        f"{name}_shape": np.asarray(matrix.shape, dtype=np.int64),
    }


def csr_from_arrays(name: str, arrays: Arrays) -> csr_array:
    """The matrix that `csr_to_arrays` took apart; shares memory with `arrays`."""
    rows, columns = (int(size) for size in arrays[f"{name}_shape"])
    parts = (arrays[f"{name}_data"], arrays[f"{name}_indices"], arrays[f"{name}_indptr"])
    return csr_array(parts, shape=(rows, columns), copy=False)


def empty(rows: int, columns: int) -> csr_array:
    """A float32 matrix without entries."""
    parts = (np.empty(0, np.float32), np.empty(0, np.int32), np.zeros(rows + 1, np.int32))
    return csr_array(parts, shape=(rows, columns))


def empty_history(n_items: int) -> Histories:
    """A batch of one of whom nothing is known."""
    return Histories(csr_array(np.zeros((1, n_items), dtype=np.float32)), np.empty(0, dtype=np.float32))


def narrow(matrix: csr_array) -> csr_array:
    """The same matrix with int32 indices where they fit.

    A product of matrices of two index types copies the indices of the larger one; a request must not.
    """
    if matrix.indices.dtype == np.int32 and matrix.indptr.dtype == np.int32:
        return matrix
    if max(matrix.nnz, *matrix.shape) > np.iinfo(np.int32).max:
        return matrix
    parts = (matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32))
    return csr_array(parts, shape=matrix.shape)


def entry_rows(matrix: csr_array) -> NDArray[np.int64]:
    """Row of each stored entry, `(nnz,)`."""
    return np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))


def spread(matrix: csr_array, weights: csr_array) -> Scores:
    """`matrix @ weights` as dense scores: sparse `(n_batch, m)` by sparse `(m, n_items)`."""
    if matrix.shape[0] == 1:
        # To prepare a general product takes longer than the product.
        return gather(matrix, weights).dense()
    product = narrow(matrix) @ weights
    return np.asarray(product.toarray(), dtype=np.float32)


class Spreading(Selective):
    """A model whose scores are the product of sparse rows and a sparse matrix."""

    @abstractmethod
    def _product(self, histories: Histories) -> tuple[csr_array, csr_array]:
        """The rows `(n_batch, m)` and the matrix `(m, n_items)`."""

    def score(self, histories: Histories) -> Scores:
        return spread(*self._product(histories))

    def evidence(self, histories: Histories) -> Evidence:
        return gather(*self._product(histories))

    def evidences(self, histories: Histories) -> list[Evidence]:
        rows, weights = self._product(histories)
        return by_row(csr_array(narrow(rows) @ weights))


def most_recent(histories: Histories, limit: int) -> csr_array:
    """Histories cut to the `limit` most recent items of each row; at equal ages the lower index stays."""
    matrix = histories.matrix
    rows = entry_rows(matrix)
    long = np.flatnonzero((np.diff(matrix.indptr) > limit)[rows])
    if len(long) == 0:
        return matrix
    order = long[np.lexsort((matrix.indices[long], histories.ages[long], rows[long]))]
    row = rows[order]
    starts = np.searchsorted(row, row, side="left")
    keep = np.ones(matrix.nnz, dtype=np.bool_)
    keep[order[np.arange(len(order)) - starts >= limit]] = False
    counts = np.bincount(rows[keep], minlength=matrix.shape[0])
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return csr_array((matrix.data[keep], matrix.indices[keep], indptr), shape=matrix.shape)


def aged(histories: Histories, recency: float | None) -> csr_array:
    """Histories in which an item counts half after `recency` days; as they are for None."""
    matrix = histories.matrix
    if recency is None or not matrix.nnz:
        return matrix
    data = matrix.data * np.exp2(-histories.ages / np.float32(recency))
    return reweighted(matrix, data.astype(np.float32))


def most_recent_histories(histories: Histories, limit: int) -> Histories:
    """Histories cut to the `limit` most recent items of each row, with their ages; seen is what was seen."""
    return _cut(histories, histories.ages, limit)


def earliest_histories(histories: Histories, limit: int) -> Histories:
    """Histories cut to the first `limit` items of each row, as if the latest of them were of this moment."""
    cut = _cut(histories, -histories.ages, limit)
    latest = np.full(len(cut), np.inf, dtype=np.float32)
    rows = entry_rows(cut.matrix)
    np.minimum.at(latest, rows, cut.ages)
    return replace(cut, ages=cut.ages - latest[rows])


def _cut(histories: Histories, ages: NDArray[np.float32], limit: int) -> Histories:
    """The `limit` items of each row that have the lowest of the given ages."""
    marked = csr_array(
        (np.arange(1, histories.matrix.nnz + 1), histories.matrix.indices, histories.matrix.indptr),
        shape=histories.matrix.shape,
    )
    kept = most_recent(Histories(marked, ages), limit)
    places = np.asarray(kept.data, dtype=np.int64) - 1
    matrix = reweighted(kept, histories.matrix.data[places])
    seen = histories.matrix if histories.seen is None else histories.seen
    return replace(histories, matrix=matrix, ages=histories.ages[places], seen=seen)


def shared_histories(dataset: Dataset, half_life: float | None = None) -> Histories:
    """Histories of all subjects, `(n_subjects, n_items)`, for families that learn from co-occurrence.

    With a `half_life` in days, older events count less. Raises `NotEnoughData` unless some subject has a
    preference for two items.
    """
    if len(dataset.log):
        found = dataset_histories(dataset, half_life)
        if np.any(np.diff(found.matrix.indptr) >= 2):
            return found
    raise NotEnoughData("needs at least one user or session with positive events on two different items")
