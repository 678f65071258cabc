"""Measures of ranked lists and of predicted ratings."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Floats = NDArray[np.float64]
_DRAWS = 1000
_AT_ONCE = 2**18
"""Bound on the values that are drawn at once."""


def ranking_metrics(ranked: NDArray[np.int32], relevant: csr_array) -> dict[str, Floats]:
    """Measures of each user's list at its length `n`, by name, `(n_users,)` each.

    `ranked` is `(n_users, n)`, best first, distinct items, padded with -1; `relevant` is
    `(n_users, n_items)`, an entry for each relevant item. A padded place is a miss, so precision divides by
    `n`. Recall, nDCG and MAP of a user without relevant items are 0.

    nDCG: Järvelin and Kekäläinen (2002), binary gains, the ideal list holding `min(n, relevant)` hits. MAP
    divides by the same number.
    """
    n = ranked.shape[1]
    hits = _hits(ranked, relevant)
    places = np.arange(1, n + 1)
    found = hits.sum(axis=1)
    wanted = np.diff(relevant.indptr)
    reachable = np.minimum(wanted, n)
    precision = found / n
    recall = _ratio(found, wanted)
    gains = 1 / np.log2(places + 1)
    ideal = np.concatenate([[0.0], np.cumsum(gains)])[reachable]
    precision_at_hits = np.where(hits, np.cumsum(hits, axis=1) / places, 0.0)
    return {
        "precision": precision,
        "recall": recall,
        "f1": _ratio(2 * precision * recall, precision + recall),
        "ndcg": _ratio(hits @ gains, ideal),
        "map": _ratio(precision_at_hits.sum(axis=1), reachable),
        "mrr": np.where(hits, 1 / places, 0.0).max(axis=1),
        "hit_rate": (found > 0).astype(np.float64),
    }


def coverage(ranked: NDArray[np.int32], n_items: int) -> float:
    """Share of the catalogue that is in at least one list."""
    return len(np.unique(ranked[ranked >= 0])) / n_items if n_items else 0.0


def rmse(predicted: NDArray[np.floating], actual: NDArray[np.floating]) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(np.mean((predicted.astype(np.float64) - actual) ** 2)))


def mae(predicted: NDArray[np.floating], actual: NDArray[np.floating]) -> float:
    """Mean absolute error."""
    return float(np.mean(np.abs(predicted.astype(np.float64) - actual)))


def bootstrap_interval(values: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """95 % interval of the mean by resampling users (Efron 1979). Raises `ValueError` without values."""
    if not len(values):
        raise ValueError("an interval needs at least one value")
    # Many draws at once, in blocks that stay in the processor's cache.
    block = max(1, min(_DRAWS, _AT_ONCE // len(values)))
    means = np.concatenate(
        [
            values[
                rng.integers(len(values), size=(min(block, _DRAWS - done), len(values)), dtype=np.int32)
            ].mean(axis=1)
            for done in range(0, _DRAWS, block)
        ]
    )
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def paired_interval(a: Floats, b: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """95 % interval of the mean of `a - b`, measured on the same users in the same order."""
    if len(a) != len(b):
        raise ValueError("paired values need the same users")
    return bootstrap_interval(a - b, rng)


def _hits(ranked: NDArray[np.int32], relevant: csr_array) -> NDArray[np.bool_]:
    """Whether each place of each list holds a relevant item."""
    n_users, n_items = relevant.shape
    owner = np.repeat(np.arange(n_users, dtype=np.int64), np.diff(relevant.indptr))
    wanted = np.sort(owner * n_items + relevant.indices)
    asked = np.arange(n_users, dtype=np.int64)[:, None] * n_items + ranked
    if not len(wanted):
        return np.zeros(ranked.shape, dtype=np.bool_)
    place = np.minimum(np.searchsorted(wanted, asked), len(wanted) - 1)
    return np.asarray((wanted[place] == asked) & (ranked >= 0))


def _ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> Floats:
    """Element by element; 0 where the whole is 0."""
    return np.asarray(np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0), dtype=np.float64)
