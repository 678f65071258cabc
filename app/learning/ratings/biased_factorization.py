"""Rating prediction by biased matrix factorisation, fitted by variational Bayes.

Lim and Teh, "Variational Bayesian approach to movie rating prediction" (KDD Cup 2007); biases as in
Koren, Bell and Volinsky, "Matrix factorization techniques for recommender systems" (2009).

A rating is `mean + b_u + b_i + p_u · q_i` and noise. A user's unknowns `[p_u, b_u]` are regressed on the
design `[q_i, 1]` of the items, an item's `[q_i, b_i]` on `[p_u, 1]`. Both posteriors are Gaussians with full
covariance, so that a user with two ratings is told apart from one with two hundred.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array

from app.learning.dataset import Dataset
from app.learning.preferences import RatingScale
from app.learning.ratings.base import Ratings, dataset_ratings
from app.learning.ratings.moments import Layout
from app.learning.recommenders.base import Config, NotEnoughData

Floats = NDArray[np.float64]

_CHUNK_BYTES = 48 * 2**20
"""Bound on the dense second moments that are held at once."""
_LEAST_RATINGS = 10
_LEAST_VARIANCE = 1e-6
_WARM_UP = 5
"""Epochs before precisions are learned: from random factors, all of them would look superfluous."""


class BiasedFactorizationConfig(Config):
    """Recipe of the rating model."""

    factors: int = Field(default=32, ge=1, le=128)
    """Length of the factors; the precision learned for each shrinks those that the data does not support."""
    epochs: int = Field(default=15, ge=1, le=500)
    """Alternations of the users' and the items' update."""
    noise: float | None = Field(default=None, gt=0)
    """Standard deviation of a rating about its expectation; learned if not given."""
    precision: float | None = Field(default=None, gt=0)
    """Prior precision of every factor, of users and items; learned for each if not given."""


@dataclass(frozen=True)
class BiasedFactorization:
    """The items' posterior and what solving for a user takes."""

    layout: Layout
    item_moments: NDArray[np.float32]
    """Moments of each item, `(n_items, layout.columns)`."""
    user_prior: Floats
    """Prior precisions of `[p_u, b_u]`, `(k + 1,)`."""
    mean: float
    noise: float
    """Variance of a rating about its expectation."""
    scale: RatingScale

    def predict(
        self, known: Ratings, rows: NDArray[np.int64], items: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Expected rating, within the scale, and standard deviation of a new rating; `(len(rows),)` each."""
        residual = _residual(known, self.mean)
        users = self.layout.evidence(residual, _pattern(residual), self.item_moments).posterior(
            self.user_prior, self.noise
        )
        user_moments = self.layout.moments(users.mean, users.cov)
        expected = np.empty(len(rows))
        variance = np.empty(len(rows))
        step = max(1, _CHUNK_BYTES // (16 * self.layout.columns))
        for start in range(0, len(rows), step):
            pair = slice(start, start + step)
            expected[pair], variance[pair] = self.layout.product(
                user_moments[rows[pair]], self.item_moments[items[pair]]
            )
        rating = np.clip(self.mean + expected, self.scale.low, self.scale.high)
        return rating.astype(np.float32), np.sqrt(self.noise + variance).astype(np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        rating = np.array([self.mean, self.noise, self.scale.low, self.scale.high])
        return {"item_moments": self.item_moments, "user_prior": self.user_prior, "rating": rating}

    @classmethod
    def from_arrays(cls, config: BiasedFactorizationConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        mean, noise, low, high = (float(number) for number in arrays["rating"])
        prior = np.asarray(arrays["user_prior"])
        layout = Layout(len(prior))
        return cls(layout, arrays["item_moments"], prior, mean, noise, RatingScale(low, high))


def fit_biased_factorization(
    config: BiasedFactorizationConfig, dataset: Dataset, rng: np.random.Generator
) -> BiasedFactorization:
    """Fit to the latest rating of each subject for each item. Raises `NotEnoughData` below ten ratings."""
    ratings = dataset_ratings(dataset)
    if len(ratings) < _LEAST_RATINGS:
        raise NotEnoughData(f"rating prediction needs {_LEAST_RATINGS} ratings, there are {len(ratings)}")
    n_items = ratings.shape[1]
    layout = Layout(config.factors + 1)
    mean = float(ratings.value.mean(dtype=np.float64))
    spread = max(float(ratings.value.var(dtype=np.float64)), _LEAST_VARIANCE)
    # Factors that together could explain all of the spread; learned precisions take the excess back.
    factor_variance = np.sqrt(spread / config.factors)
    prior = np.full(layout.width, config.precision or 1 / factor_variance)
    prior[-1] = 5 / spread
    user_prior = item_prior = prior
    noise = spread if config.noise is None else config.noise**2

    residual = _residual(ratings, mean)
    chunks = _user_chunks(residual, layout)
    start = rng.normal(0, np.sqrt(factor_variance), (n_items, layout.width))
    start[:, -1] = 0
    items = layout.moments(
        start, np.broadcast_to(np.eye(layout.width) * _LEAST_VARIANCE, (n_items, layout.width, layout.width))
    )
    rated_items = np.bincount(ratings.item, minlength=n_items) > 0
    n_raters = len(np.unique(ratings.row))
    for epoch in range(config.epochs):
        sums = np.zeros((n_items, layout.columns))
        user_power = np.zeros(layout.width)
        for chunk, pattern in chunks:
            users = layout.evidence(chunk, pattern, items).posterior(user_prior, noise)
            user_power += users.power().sum(axis=0)
            moments = layout.moments(users.mean, users.cov)
            sums += layout.add_up(_transposed(chunk), _transposed(pattern), moments)
        item_power = np.zeros(layout.width)
        squared_error = 0.0
        for rows in _row_chunks(n_items, layout):
            evidence = layout.unpack_sums(sums[rows])
            posterior = evidence.posterior(item_prior, noise)
            items[rows] = layout.moments(posterior.mean, posterior.cov)
            item_power += posterior.power()[rated_items[rows]].sum(axis=0)
            squared_error += evidence.squared_error(posterior)
        if config.noise is None:
            noise = max(squared_error / len(ratings), _LEAST_VARIANCE)
        if epoch >= _WARM_UP:
            user_prior = _precision(user_power / n_raters, config.precision)
            item_prior = _precision(item_power / rated_items.sum(), config.precision)
    scale = RatingScale(float(ratings.value.min()), float(ratings.value.max()))
    return BiasedFactorization(layout, items.astype(np.float32), user_prior, mean, noise, scale)


def _precision(power: Floats, factor_precision: float | None) -> Floats:
    """Precisions that make the posterior's mean squares most likely; those of the factors may be set."""
    learned = 1 / np.maximum(power, _LEAST_VARIANCE)
    if factor_precision is not None:
        learned[:-1] = factor_precision
    return learned


def _residual(ratings: Ratings, mean: float) -> csr_array:
    """Ratings less the mean, with an entry for each rating even where that is 0."""
    order = np.lexsort((ratings.item, ratings.row))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(ratings.row, minlength=ratings.shape[0]))])
    data = ratings.value[order].astype(np.float64) - mean
    return csr_array((data, ratings.item[order], indptr), shape=ratings.shape)


def _pattern(residual: csr_array) -> csr_array:
    """Ones where there is a rating."""
    return csr_array((np.ones_like(residual.data), residual.indices, residual.indptr), shape=residual.shape)


def _transposed(matrix: csr_array) -> csr_array:
    return csr_array(matrix.T)


def _row_chunks(n_rows: int, layout: Layout) -> list[slice]:
    """Slices of rows whose dense second moments stay within the bound."""
    step = max(1, _CHUNK_BYTES // (8 * layout.width**2))
    return [slice(start, start + step) for start in range(0, n_rows, step)]


def _user_chunks(residual: csr_array, layout: Layout) -> list[tuple[csr_array, csr_array]]:
    """Residuals and patterns of the users with ratings; the users' moments never exist all at once."""
    rated = residual[np.flatnonzero(np.diff(residual.indptr))]
    chunks = [csr_array(rated[rows]) for rows in _row_chunks(rated.shape[0], layout)]
    return [(chunk, _pattern(chunk)) for chunk in chunks]
