"""Moments of Gaussian factors with a bias, packed into rows so that sums over ratings are sparse products."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Posterior:
    """Gaussians over `[factors, bias]`: `mean` `(n, width)`, `cov` `(n, width, width)`."""

    mean: Floats
    cov: Floats

    def power(self) -> Floats:
        """Expected squares, `(n, width)`."""
        return np.asarray(self.mean**2 + np.diagonal(self.cov, axis1=1, axis2=2))


@dataclass(frozen=True)
class Evidence:
    """What the ratings of each row say of its factors."""

    gram: Floats
    """Summed second moments of the designs, `(n, width, width)`."""
    target: Floats
    """Summed designs times what is left to explain, `(n, width)`."""
    squares: Floats
    """Summed squares of what is left to explain, `(n,)`."""

    def posterior(self, prior: Floats, noise: float) -> Posterior:
        """Bayesian linear regression; `prior` holds precisions `(width,)`, `noise` is a variance."""
        cov = np.linalg.inv(self.gram / noise + np.diag(prior))
        mean = (cov @ (self.target / noise)[:, :, None])[:, :, 0]
        return Posterior(np.asarray(mean, dtype=np.float64), np.asarray(cov, dtype=np.float64))

    def squared_error(self, posterior: Posterior) -> float:
        """Expected squared error, summed over all ratings."""
        mean = posterior.mean
        spread = np.vdot(posterior.cov, self.gram) + np.vdot(mean, (self.gram @ mean[:, :, None])[:, :, 0])
        return float(self.squares.sum() + spread - 2 * np.vdot(mean, self.target))


@dataclass(frozen=True)
class Layout:
    """Where each moment is in a row of `columns` numbers.

    First the upper triangle of the second moments of the design `[factors, 1]`, whose last column is the
    design itself; then those of design and bias, ending with the bias itself; last the bias squared.
    """

    width: int
    """Factors and one bias."""
    _rows: NDArray[np.int64] = field(init=False, repr=False, compare=False)
    _columns: NDArray[np.int64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rows, columns = np.triu_indices(self.width)
        object.__setattr__(self, "_rows", rows)
        object.__setattr__(self, "_columns", columns)

    @property
    def packed(self) -> int:
        return self.width * (self.width + 1) // 2

    @property
    def columns(self) -> int:
        return self.packed + self.width + 1

    def moments(self, mean: Floats, cov: Floats) -> Floats:
        """Moments of Gaussians over `[factors, bias]`, `(n, columns)`."""
        second = cov + mean[:, :, None] * mean[:, None, :]
        row = np.empty((len(mean), self.columns))
        row[:, self.packed : -2] = second[:, -1, :-1]
        row[:, -2] = mean[:, -1]
        row[:, -1] = second[:, -1, -1]
        second[:, :-1, -1] = mean[:, :-1]
        second[:, -1, -1] = 1.0
        row[:, : self.packed] = second[:, self._rows, self._columns]
        return row

    def add_up(self, residual: csr_array, pattern: csr_array, moments: NDArray[np.floating]) -> Floats:
        """Packed gram, target and squares of each row of ratings, `(n, columns)`; `moments` of the others."""
        total = np.asarray(pattern @ moments, dtype=np.float64)
        design = np.flatnonzero(self._columns == self.width - 1)
        linear = residual @ moments[:, [*design, self.columns - 2]]
        squares = np.add.reduceat(np.append(residual.data**2, 0.0), residual.indptr[:-1])
        squares[np.diff(residual.indptr) == 0] = 0
        total[:, self.packed : -1] = linear[:, :-1] - total[:, self.packed : -1]
        total[:, -1] += squares - 2 * linear[:, -1]
        return total

    def unpack_sums(self, sums: Floats) -> Evidence:
        """The evidence in packed sums, which may have been added over chunks."""
        gram = np.empty((len(sums), self.width, self.width))
        gram[:, self._rows, self._columns] = sums[:, : self.packed]
        gram[:, self._columns, self._rows] = sums[:, : self.packed]
        return Evidence(gram, sums[:, self.packed : -1], sums[:, -1])

    def evidence(self, residual: csr_array, pattern: csr_array, moments: NDArray[np.floating]) -> Evidence:
        """What the ratings of each row say, given the moments of the other side."""
        return self.unpack_sums(self.add_up(residual, pattern, moments))

    def product(self, left: Floats, right: NDArray[np.floating]) -> tuple[Floats, Floats]:
        """Mean and variance of `p · q + b + b'` for rows of moments of both sides, `(n,)` each."""
        design = np.flatnonzero(self._columns == self.width - 1)[:-1]
        twice = np.where(self._rows == self._columns, 1.0, 2.0)
        # The bias of the left regressed on the design of the right, and the right's bias as it is.
        p, q = left[:, design], np.asarray(right[:, design], dtype=np.float64)
        b, c = left[:, -2], np.asarray(right[:, -2], dtype=np.float64)
        mean = (p * q).sum(axis=1) + b + c
        inner = self._columns < self.width - 1
        second = ((left[:, : self.packed] * right[:, : self.packed])[:, inner] * twice[inner]).sum(axis=1)
        with_bias = (left[:, self.packed : -2] * q).sum(axis=1) + (right[:, self.packed : -2] * p).sum(axis=1)
        total = second + 2 * with_bias + 2 * b * c + left[:, -1] + right[:, -1]
        return mean, np.maximum(total - mean**2, 0.0)
