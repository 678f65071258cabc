"""Sums and orders within groups, over arrays in which each group's rows lie together."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


def changes(*columns: NDArray[np.integer]) -> Flags:
    """Whether a row differs from the one before in any column, `(n,)`; the first one does."""
    new = np.ones(len(columns[0]), dtype=np.bool_)
    if len(new):
        new[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return new


def count(group: Ints, n_groups: int) -> Floats:
    """Rows of each group, `(n_groups,)`."""
    return np.bincount(group, minlength=n_groups).astype(np.float64)


def total(group: Ints, weights: Floats, n_groups: int) -> Floats:
    """Sum of each group, `(n_groups,)`."""
    return np.bincount(group, weights=weights, minlength=n_groups).astype(np.float64)


def gaps(group: Ints, day: Ints, n_groups: int) -> tuple[Floats, Floats]:
    """Median and standard deviation of the steps between a group's ascending days, `(n_groups,)` each.

    0 where there is no step; the deviation also where there is one.
    """
    same = group[1:] == group[:-1]
    owner, gap = group[1:][same], np.diff(day)[same]
    gap = gap[np.lexsort((gap, owner))]
    steps = np.bincount(owner, minlength=n_groups)
    start = np.cumsum(steps) - steps
    some = steps > 0
    low = start[some] + (steps[some] - 1) // 2
    high = start[some] + steps[some] // 2
    median = np.zeros(n_groups)
    median[some] = (gap[low] + gap[high]) / 2
    divisor = np.maximum(steps, 1)
    mean = total(owner, gap.astype(np.float64), n_groups) / divisor
    variance = total(owner, (gap - mean[owner]) ** 2, n_groups) / divisor
    return median, np.sqrt(variance)


def ratio(part: Floats, whole: Floats) -> Floats:
    """`part / whole`; 0 where there is no whole."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), 0.0)
