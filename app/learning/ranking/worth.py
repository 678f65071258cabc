"""What items are worth to the shop beside each other, and by how much that moves them."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def percentiles(values: Numbers, among: NDArray[np.bool_]) -> Numbers:
    """Share of the items `among` that are worth less, those worth the same counted half; `(n,)`, in (0, 1).

    The median, 0.5, where an item is not `among` them or its value is unknown (NaN).
    """
    found = np.full(len(values), 0.5)
    places = np.flatnonzero(among & np.isfinite(values))
    if len(places):
        _, which, counts = np.unique(values[places], return_inverse=True, return_counts=True)
        middle = np.cumsum(counts) - counts / 2
        found[places] = (middle / len(places))[which]
    return found


def moves(shares: Numbers, weight: float) -> Numbers:
    """By what scores are multiplied: around 1, which is the median, and by up to `weight` more or less.

    Above 0 also for a weight of 1, as no percentile is 0.
    """
    return 1 + weight * (2 * shares - 1)
