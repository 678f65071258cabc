"""Which rules are more than chance."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def chance_of(both: Ints, antecedent: Ints, consequent: Ints, n_baskets: int) -> Floats:
    """Bound on the chance of at least `both` common baskets, were the two sides independent, `(n,)`.

    One-sided Fisher's exact test: the first term of the hypergeometric tail, the rest bounded by the
    geometric series of its first ratio (later ratios are smaller), so it is never below the exact p-value.
    1 where the two sides are together no more often than by chance.
    """
    k, a, c = (values.astype(np.float64) for values in (both, antecedent, consequent))
    n = float(n_baskets)
    first = _log_choose(a, k) + _log_choose(n - a, c - k) - _log_choose(np.full_like(a, n), c)
    ratio = (a - k) * (c - k) / ((k + 1) * (n - a - c + k + 1))
    above = k * n > a * c
    bound = np.exp(np.minimum(first, 0.0)) / (1 - np.where(above, ratio, 0.0))
    return np.where(above, np.minimum(bound, 1.0), 1.0)


def discoveries(chances: Floats, rate: float) -> NDArray[np.bool_]:
    """Those of which at most a share of `rate` is expected to be chance (Benjamini & Hochberg 1995)."""
    if not len(chances):
        return np.zeros(0, dtype=np.bool_)
    ascending = np.sort(chances)
    passed = np.flatnonzero(ascending <= rate * np.arange(1, len(chances) + 1) / len(chances))
    return chances <= ascending[passed[-1]] if len(passed) else np.zeros(len(chances), dtype=np.bool_)


def _log_choose(n: Floats, k: Floats) -> Floats:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
