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

    def variances(self) -> Floats:
        """`(n, width)`."""
        return np.asarray(np.diagonal(self.cov, axis1=1, axis2=2))


@dataclass(frozen=True)
class Evidence:
    """What the ratings of each row say of its factors."""

    gram: Floats
    """Summed second moments of the designs, `(n, width, width)`."""
    target: Floats
    """Summed designs times what is left to explain, `(n, width)`."""
    squares: Floats
    """Summed squares of what is left to explain, `(n,)`."""

    def posterior(self, mean: Floats, precision: Floats, noise: float) -> Posterior:
        """Bayesian linear regression with a prior of its own for each row.

        `mean` is `(n, width)`, `precision` `(n, width)` or `(width,)`, `noise` a variance.
        """
        inverse = self.gram / noise
        inverse.reshape(len(inverse), -1)[:, :: inverse.shape[1] + 1] += precision
        cov = np.asarray(np.linalg.inv(inverse), dtype=np.float64)
        pull = self.target / noise + precision * mean
        return Posterior((cov @ pull[:, :, None])[:, :, 0], cov)

    def squared_errors(self, posterior: Posterior) -> Floats:
        """Expected squared error, summed over the ratings of each row, `(n,)`."""
        mean = posterior.mean
        second = posterior.cov + mean[:, :, None] * mean[:, None, :]
        explained = np.einsum("nab,nab->n", second, self.gram) - 2 * np.einsum("na,na->n", mean, self.target)
        return np.asarray(np.maximum(self.squares + explained, 0.0))


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
    _square: NDArray[np.int64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rows, columns = np.triu_indices(self.width)
        square = np.empty((self.width, self.width), dtype=np.int64)
        square[rows, columns] = square[columns, rows] = np.arange(len(rows))
        object.__setattr__(self, "_rows", rows)
        object.__setattr__(self, "_columns", columns)
        object.__setattr__(self, "_square", square.ravel())

    @property
    def packed(self) -> int:
        return self.width * (self.width + 1) // 2

    @property
    def columns(self) -> int:
        return self.packed + self.width + 1

    def moments(self, posterior: Posterior) -> NDArray[np.float32]:
        """Moments of Gaussians over `[factors, bias]`, `(n, columns)`."""
        mean = posterior.mean
        second = posterior.cov + mean[:, :, None] * mean[:, None, :]
        row = np.empty((len(mean), self.columns), dtype=np.float32)
        row[:, self.packed : -2] = second[:, -1, :-1]
        row[:, -2] = mean[:, -1]
        row[:, -1] = second[:, -1, -1]
        second[:, :-1, -1] = mean[:, :-1]
        second[:, -1, -1] = 1.0
        flat = second.reshape(len(second), -1)
        row[:, : self.packed] = flat[:, self._rows * self.width + self._columns]
        return row

    def add_up(self, residual: csr_array, pattern: csr_array, moments: NDArray[np.float32]) -> Floats:
        """Packed gram, target and squares of each row of ratings, `(n, columns)`; `moments` of the others.

        `residual` holds what the ratings are above the mean, `pattern` ones in the same places.
        """
        total = np.asarray(pattern @ moments, dtype=np.float64)
        design = np.flatnonzero(self._columns == self.width - 1)
        linear = residual @ moments[:, [*design, self.columns - 2]]
        total[:, self.packed : -1] = linear[:, :-1] - total[:, self.packed : -1]
        total[:, -1] += residual.power(2).sum(axis=1) - 2 * linear[:, -1]
        return total

    def unpack_sums(self, sums: Floats) -> Evidence:
        """The evidence in packed sums, which may have been added over chunks."""
        gram = sums[:, self._square].reshape(len(sums), self.width, self.width)
        return Evidence(gram, sums[:, self.packed : -1], sums[:, -1])

    def evidence(self, residual: csr_array, pattern: csr_array, moments: NDArray[np.float32]) -> Evidence:
        """What the ratings of each row say, given the moments of the other side."""
        return self.unpack_sums(self.add_up(residual, pattern, moments))

    def product(self, left: NDArray[np.float32], right: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """Mean and variance of `p · q + b + b'` for rows of moments of both sides, `(n,)` each."""
        left, right = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
        design = np.flatnonzero(self._columns == self.width - 1)[:-1]
        twice = np.where(self._rows == self._columns, 1.0, 2.0)
        # The bias of the left regressed on the design of the right, and the right's bias as it is.
        p, q = left[:, design], right[:, design]
        b, c = left[:, -2], right[:, -2]
        mean = (p * q).sum(axis=1) + b + c
        inner = self._columns < self.width - 1
        second = ((left[:, : self.packed] * right[:, : self.packed])[:, inner] * twice[inner]).sum(axis=1)
        with_bias = (left[:, self.packed : -2] * q).sum(axis=1) + (right[:, self.packed : -2] * p).sum(axis=1)
        total = second + 2 * with_bias + 2 * b * c + left[:, -1] + right[:, -1]
        return mean, np.maximum(total - mean**2, 0.0)
