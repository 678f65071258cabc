"""Priors of factors whose mean is regressed on what is known beside the ratings.

Agarwal and Chen, "Regression-based latent factor models" (KDD 2009); as in Simm et al., "Macau: scalable
Bayesian factorization with high-dimensional side information" (2015), here fitted by EM.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from app.learning.ratings.moments import Floats, Posterior

_LEAST_POWER = 1e-6
"""In units of the ratings' variance."""
_ROUNDS = 20


@dataclass
class Sums:
    """All that a prior learns from the rows of one side; added up over chunks."""

    gram: Floats
    """Of the features, `(n_features, n_features)`."""
    cross: Floats
    """Of features and factors' means, `(n_features, width)`."""
    power: Floats
    """Expected squares of the factors, `(width,)`."""
    rows: float = 0.0

    @classmethod
    def none(cls, n_features: int, width: int) -> Self:
        return cls(np.zeros((n_features, n_features)), np.zeros((n_features, width)), np.zeros(width))

    def add(
        self,
        features: NDArray[np.floating],
        posterior: Posterior,
        weights: NDArray[np.floating] | None = None,
    ) -> None:
        """Count rows with their features, `(n, n_features)`, each once or `weights` `(n,)` times."""
        weighted = features if weights is None else features * weights[:, None]
        self.gram += weighted.T @ features
        self.cross += weighted.T @ posterior.mean
        power = posterior.mean**2 + posterior.variances()
        self.power += power.sum(axis=0) if weights is None else weights @ power
        self.rows += len(features) if weights is None else float(weights.sum())

    def of_features(self, start: int) -> Self:
        """The same rows without the features before `start`."""
        return replace(self, gram=self.gram[start:, start:], cross=self.cross[start:])


@dataclass(frozen=True)
class FactorPrior:
    """`[factors, bias]` of a row are its features times `coefficients`, give or take `precision`."""

    coefficients: Floats
    """`(n_features, width)`."""
    precision: Floats
    """Of the rows about their expectation, `(width,)`."""
    shrinkage: Floats
    """Precision of the coefficients about 0, `(width,)`."""

    @classmethod
    def wide(cls, n_features: int, precision: Floats) -> Self:
        """A prior that expects 0 of all rows."""
        return cls(np.zeros((n_features, len(precision))), precision, 4 * precision)

    def mean(self, features: NDArray[np.floating]) -> Floats:
        """What is expected of rows, `(n, width)`, by their features `(n, n_features)`."""
        return np.asarray(features @ self.coefficients, dtype=np.float64)

    def learned(self, sums: Sums, factor_precision: float | None) -> Self:
        """The prior under which the rows are most likely; the factors' precision may be set instead."""
        values, vectors = np.linalg.eigh(sums.gram)
        values = np.maximum(values, 0.0)[:, None]
        rotated = vectors.T @ sums.cross / (values + self.shrinkage / self.precision)
        coefficients = vectors @ rotated
        unsure = 1 / (self.precision * values + self.shrinkage)
        shrinkage = 1 / np.maximum((rotated**2 + unsure).mean(axis=0), _LEAST_POWER)
        explained = (rotated * (2 * vectors.T @ sums.cross - values * rotated)).sum(axis=0)
        precision = 1 / np.maximum((sums.power - explained) / sums.rows, _LEAST_POWER)
        if factor_precision is not None:
            precision[:-1] = factor_precision
        return type(self)(coefficients, precision, shrinkage)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that the prior is."""
        return {"coefficients": self.coefficients, "precision": self.precision, "shrinkage": self.shrinkage}

    @classmethod
    def from_arrays(cls, prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The same prior from its arrays, whose names begin with `prefix`."""
        names = ("coefficients", "precision", "shrinkage")
        return cls(*(np.asarray(arrays[prefix + name]) for name in names))

    def without(self, n_features: int, sums: Sums, factor_precision: float | None) -> Self:
        """The prior for rows whose first `n_features` features are not known."""
        rest = type(self)(self.coefficients[n_features:], self.precision, self.shrinkage)
        known = sums.of_features(n_features)
        for _ in range(_ROUNDS):
            rest = rest.learned(known, factor_precision)
        return rest
