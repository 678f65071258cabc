"""Sparse matrices, made without more ado than they need."""

from copy import copy
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

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


def reweighted(matrix: csr_array, data: NDArray[Any]) -> csr_array:
    """The same entries with other values, `(nnz,)`; they share their places.

    Built anew, a matrix is checked for more than ten times as long as this takes, at each of the requests.
    """
    other = copy(matrix)
    other.data = data
    return other
