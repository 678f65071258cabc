"""Sparse matrices, made without more ado than they need."""

import threading
from copy import copy
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

_OF_THREAD: Final = threading.local()
_NOTHING: Final[csr_array] = csr_array(np.zeros((1, 1), dtype=np.float32))


def unchecked(
    data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], shape: tuple[int, int]
) -> csr_array:
    """A matrix of parts that fit, with indices as narrow as they may be and in order within each row.

    Wider ones than those of the other side would be copied by every product.
    """
    width = np.int32 if max(len(data), *shape) <= np.iinfo(np.int32).max else np.int64
    matrix = reweighted(_NOTHING, data)
    matrix.indices = indices.astype(width, copy=False)
    matrix.indptr = indptr.astype(width, copy=False)
    matrix._shape = shape  # type: ignore[attr-defined]
    return matrix


def places_of_rows(
    matrix: csr_array, rows: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the entries of some rows stand among all, in the order of the rows, and how many each row has."""
    starts = matrix.indptr[rows].astype(np.int64)
    lengths = matrix.indptr[rows + 1] - starts
    ends = np.cumsum(lengths)
    count = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - ends + lengths, lengths) + np.arange(count), lengths


def room_of_thread(n: int, kind: np.dtype[Any]) -> NDArray[Any]:
    """Room for a number of each item, with whatever its last use left there."""
    row: NDArray[Any] | None = getattr(_OF_THREAD, kind.name, None)
    if row is None or len(row) < n:
        row = np.empty(n, dtype=kind)
        setattr(_OF_THREAD, kind.name, row)
    return row


def reweighted(matrix: csr_array, data: NDArray[Any]) -> csr_array:
    """The same entries with other values, `(nnz,)`; they share their places.

    Built anew, a matrix is checked for more than ten times as long as this takes, at each of the requests.
    """
    other = copy(matrix)
    other.data = data
    return other
