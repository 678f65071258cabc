"""From features to the space in which customers are near or far."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SKEWED = 1.0
_ALIKE = 0.999
"""Correlation from which two features are one."""
_NORMAL = 1.349
"""Interquartile range of a normal distribution, in standard deviations."""
_NARROW = 0.3
"""Share of the standard deviation below which the interquartile range says nothing: most values are equal."""
_REACH = 4.0
"""Spreads from the middle beyond which all values are one: no customer is a world of their own."""

_DIGITS = 9
"""Of a point. What differs by less is equal up to rounding, not another kind of customer."""


@dataclass(frozen=True)
class Scaling:
    """How features are made comparable."""

    logged: NDArray[np.bool_]
    """Features whose logarithm is taken, `(n_features,)`."""
    middle: Floats
    """Medians, after the logarithm."""
    spread: Floats
    """Interquartile ranges as standard deviations; 0 for a feature that counts for nothing."""
    direction: bool
    """Whether customers are compared by direction alone: what they like, not how much of it."""

    def apply(self, values: Floats) -> Floats:
        """Points, `(n, n_features)`; a feature that counts for nothing is 0."""
        if self.direction:
            lengths = np.linalg.norm(values, axis=1, keepdims=True)
            return np.round(values / np.where(lengths > 0, lengths, 1.0), _DIGITS)
        points = (logarithm(values, self.logged) - self.middle) / np.where(
            self.spread > 0, self.spread, np.inf
        )
        return np.round(np.clip(points, -_REACH, _REACH, out=points), _DIGITS, out=points)


def fit_scaling(values: Floats) -> Scaling:
    """Robust scaling of `(n, n_features)`: median and interquartile range, of logarithms where skewed.

    Constant features are dropped, and of two that are as good as equal the earlier one.
    """
    logged = skewed(values)
    scaled = logarithm(values, logged)
    low, middle, high = np.quantile(scaled, [0.25, 0.5, 0.75], axis=0)
    deviation, robust = scaled.std(axis=0), (high - low) / _NORMAL
    spread = np.where(robust >= _NARROW * deviation, robust, deviation)
    spread = np.where(np.ptp(values, axis=0) == 0, 0.0, spread)
    # Where a shop records purchases only, interactions are purchases and active days are purchase days: the
    # same fact must not count twice. The later feature is the more specific one.
    standard = (scaled - scaled.mean(axis=0)) / np.where(spread > 0, np.maximum(deviation, 1e-300), np.inf)
    alike = np.triu(np.abs(standard.T @ standard) / len(values) > _ALIKE, k=1).any(axis=1)
    return Scaling(logged, middle, np.where(alike, 0.0, spread), direction=False)


def direction_only(n_features: int) -> Scaling:
    """Rows by their direction: each divided by its length."""
    ones = np.ones(n_features)
    return Scaling(np.zeros(n_features, dtype=np.bool_), 0 * ones, ones, direction=True)


def skewed(values: Floats) -> NDArray[np.bool_]:
    """Columns that are skewed and less so after the logarithm; none of an empty table."""
    if len(values) == 0:
        return np.zeros(values.shape[1], dtype=np.bool_)
    logs = logarithm(values, np.ones(values.shape[1], dtype=np.bool_))
    skew = np.abs(skewness(values))
    return np.asarray((skew > _SKEWED) & (np.abs(skewness(logs)) < skew))


def logarithm(values: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """log(1 + x) of the chosen columns, odd, because refunds can make a sum negative."""
    return np.where(chosen, np.sign(values) * np.log1p(np.abs(values)), values)


def skewness(values: Floats) -> Floats:
    """Third standardised moment of each column; 0 for a constant one."""
    deviation = values.std(axis=0)
    centred = (values - values.mean(axis=0)) / np.where(deviation > 0, deviation, np.inf)
    return np.asarray((centred**3).mean(axis=0))
