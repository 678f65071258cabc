"""Weights of terms in documents, with items for documents and people for terms, or the other way round."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.matrices import reweighted
from app.learning.recommenders.sparse import entry_rows

Weighting = Literal["none", "tf_idf", "bm25"]
_SATURATION = 2.0
"""BM25's k1, in multiples of the mean value: how soon more of the same adds little."""
_LENGTH = 0.75
"""BM25's b: how much a long document is damped."""


def rarity(matrix: csr_array) -> NDArray[np.float64]:
    """Inverse document frequency of each column, `(n_columns,)`: `1 + log(n_rows / (1 + rows with it))`."""
    frequency = np.bincount(matrix.indices, minlength=matrix.shape[1])
    return np.asarray(1.0 + np.log(max(1, matrix.shape[0]) / (1.0 + frequency)).clip(min=0.0))


def weighted(matrix: csr_array, weighting: Weighting) -> csr_array:
    """The matrix with rows as documents and columns as terms, weighed.

    TF-IDF after Salton & Buckley (1988) with the values as term frequencies; BM25 after Robertson & Zaragoza
    (2009).
    """
    if weighting == "none":
        return matrix
    values = matrix.data.astype(np.float64)
    if weighting == "bm25":
        rows = entry_rows(matrix)
        length = np.bincount(rows, weights=values, minlength=matrix.shape[0])
        norm = 1.0 - _LENGTH + _LENGTH * length / length[length > 0].mean()
        saturation = _SATURATION * values.mean()
        values = values * (saturation + 1.0) / (values + saturation * norm[rows])
    values = values * rarity(matrix)[matrix.indices]
    return reweighted(matrix, values)
