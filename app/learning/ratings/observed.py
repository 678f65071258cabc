"""Rows of ratings as the factorisation takes them in."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.matrices import reweighted
from app.learning.ratings.base import Ratings
from app.learning.ratings.side_information import read_sets


@dataclass(frozen=True)
class Observed:
    """Some rows of ratings and what is known of them beside."""

    residual: csr_array
    """Ratings less their mean, in their unit, with an entry for each rating even where that is 0."""
    pattern: csr_array
    """Ones where there is a rating."""
    features: NDArray[np.float32]
    """`(n, n_features)`, the last of them 1."""

    @classmethod
    def of(cls, residual: csr_array, weights: NDArray[np.float32]) -> Self:
        pattern = pattern_of(residual)
        return cls(residual, pattern, with_one(read_sets(pattern, weights)))


def residual_of(ratings: Ratings, mean: float, unit: float) -> csr_array:
    """Ratings less the mean, in units, with an entry for each rating even where that is 0."""
    order = np.lexsort((ratings.item, ratings.row))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(ratings.row, minlength=ratings.shape[0]))])
    data = ((ratings.value[order].astype(np.float64) - mean) / unit).astype(np.float32)
    return csr_array((data, ratings.item[order], indptr.astype(np.int64)), shape=ratings.shape)


def rated_part(residual: csr_array, rated_items: NDArray[np.int64]) -> csr_array:
    """The rows with ratings and the columns with ratings."""
    place = np.zeros(residual.shape[1], dtype=np.int32)
    place[rated_items] = np.arange(len(rated_items), dtype=np.int32)
    indptr = np.unique(residual.indptr)
    shape = (len(indptr) - 1, len(rated_items))
    return csr_array((residual.data, place[residual.indices], indptr), shape=shape)


def pattern_of(residual: csr_array) -> csr_array:
    """Ones where there is a rating."""
    return reweighted(residual, np.ones_like(residual.data))


def with_one(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.hstack([features, np.ones((len(features), 1), dtype=np.float32)])
