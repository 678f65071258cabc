"""Sparse matrices, made without more ado than they need."""

from copy import copy
from typing import Any

from numpy.typing import NDArray
from scipy.sparse import csr_array


def reweighted(matrix: csr_array, data: NDArray[Any]) -> csr_array:
    """The same entries with other values, `(nnz,)`; they share their places.

    Built anew, a matrix is checked for more than ten times as long as this takes, at each of the requests.
    """
    other = copy(matrix)
    other.data = data
    return other
