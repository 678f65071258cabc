"""The best few of many scores."""

import numpy as np
from numpy.typing import NDArray

from app.learning.recommenders.base import Scores

_GROUP = 32
"""Scores of which the best is looked at first."""
_MANY = 2
"""Groups for each wanted item, from which that is quicker than to look at all."""


def top_k(
    scores: Scores, n: int, allowed: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int32], Scores]:
    """The `n` best allowed items of each row: items `(n_batch, n)` int32 and their scores, float32.

    By score descending, equal scores by item ascending, also where the list is cut. NaN and -inf are never
    returned; what is missing is padded with item -1 and score 0. `scores` is `(n_batch, n_items)`; `allowed`
    is `(n_items,)` or `(n_batch, n_items)`.
    """
    n_batch, n_items = scores.shape
    items = np.full((n_batch, n), -1, dtype=np.int32)
    best = np.zeros((n_batch, n), dtype=np.float32)
    if n <= 0:
        return items, best
    shared = np.flatnonzero(allowed) if allowed is not None and allowed.ndim == 1 else None
    few = shared is not None and len(shared) < n_items // 2
    for row in range(n_batch):
        values = scores[row]
        if few:
            values = values[shared]
        elif allowed is not None:
            values = np.where(allowed if allowed.ndim == 1 else allowed[row], values, -np.inf)
        chosen = _best(values, n)
        best[row, : len(chosen)] = values[chosen]
        items[row, : len(chosen)] = shared[chosen] if few and shared is not None else chosen
    return items, best


def _best(values: Scores, n: int) -> NDArray[np.int64]:
    """Positions of the best `n` of one row, in order."""
    if np.isnan(values).any():
        values = np.where(np.isnan(values), np.float32(-np.inf), values)
    cut = nth_best(values, n) if n < len(values) else np.float32(-np.inf)
    above = np.flatnonzero(values > cut)
    if cut > -np.inf:
        # Only as many of the equal ones as there is room for: whole catalogues score the same 0.
        above = np.concatenate([above, np.flatnonzero(values == cut)[: n - len(above)]])
    # Stable, and each part is in item order: equal scores stay so.
    return above[np.argsort(-values[above], kind="stable")]


def nth_best(values: Scores, n: int) -> np.float32:
    """The `n`-th best of some scores, of which there are more; none of them NaN."""
    groups = len(values) // _GROUP
    if groups >= _MANY * n:
        # `n` groups have a best that is not below the n-th of these: neither is the n-th best of all.
        best = values[: groups * _GROUP].reshape(_GROUP, groups).max(axis=0)
        least: np.float32 = np.partition(best, groups - n)[groups - n]
        values = values[values > least]
        if len(values) < n:
            return least
    # Partitioning the values, not their positions: it is faster, and says where the cut is.
    cut: np.float32 = np.partition(values, len(values) - n)[len(values) - n]
    return cut
