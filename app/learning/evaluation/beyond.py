"""Measures of lists beside their accuracy: novelty, diversity, popularity bias, calibration."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.evaluation.background import Background
from app.learning.evaluation.metrics import Floats
from app.learning.matrices import reweighted

_SMOOTHING: Final = 0.01
"""Share of the history's distribution that is mixed into the list's, so that the divergence is finite."""
_CELLS: Final = 2**22
"""Bound on the dense cells (users by categories) at once."""
_PLACES: Final = 5_000
"""Bound on the places of lists whose items' vectors are dense at once."""


@dataclass(frozen=True)
class Beyond:
    """Measures of the lists; those by user are NaN where a user's list or history does not tell."""

    per_user: dict[str, Floats]
    """`novelty`, `diversity`, `calibration`, `popularity` and `history_popularity`, `(n_users,)` each."""
    gini: float
    """Of the exposure of the catalogue's items: 0 all alike, 1 one item has all."""

    @property
    def figures(self) -> dict[str, float | None]:
        """Means over the users of whom there is one, and the figures of the whole; None without any."""
        shown = {name: mean_or_none(self.per_user[name]) for name in ("novelty", "diversity", "calibration")}
        lift = popularity_lift(self.per_user["popularity"], self.per_user["history_popularity"])
        return {**shown, "popularity_lift": lift, "gini": self.gini}


def beyond_accuracy(ranked: NDArray[np.int32], history: csr_array, background: Background) -> Beyond:
    """Measure lists `(n_users, n)`, padded with -1, beside the users' histories `(n_users, n_items)`."""
    lists = _membership(ranked, len(background.known_by))
    known = reweighted(history, np.ones(history.nnz))
    popularity = background.known_by / max(1, background.n_histories)
    # An item that nobody knows is as rare as one that a single history holds: its information is finite.
    information = np.log2(max(1, background.n_histories) / np.maximum(background.known_by, 1))
    return Beyond(
        {
            "novelty": _mean_of(lists, information),
            "diversity": intra_list_diversity(ranked, background.vectors),
            "calibration": calibration(known, lists, background.categories),
            "popularity": _mean_of(lists, popularity),
            "history_popularity": _mean_of(known, popularity),
        },
        gini(np.bincount(lists.indices, minlength=lists.shape[1])),
    )


def intra_list_diversity(ranked: NDArray[np.int32], vectors: csr_array) -> Floats:
    """1 - the mean cosine of the pairs of each list, `(n_users,)` (Ziegler et al. 2005).

    `ranked` is `(n_users, n)`, padded with -1; `vectors` `(n_items, k)`, see `Background`. Items without a
    vector are left out; NaN with fewer than two others. No pair is formed: the square of a sum of vectors is
    their squares plus twice the products of the pairs.
    """
    found = np.full(len(ranked), np.nan)
    step = max(1, _PLACES // max(1, ranked.shape[1]))
    for start in range(0, len(ranked), step):
        part = ranked[start : start + step]
        items, place = np.unique(part, return_inverse=True)
        place = place.reshape(part.shape)
        dense = vectors[np.maximum(items, 0)].toarray().astype(np.float32)
        dense[items < 0] = 0
        square = np.einsum("ik,ik->i", dense, dense, dtype=np.float64)
        total = np.zeros((len(part), dense.shape[1]), dtype=np.float32)
        for position in place.T:
            total += dense[position]
        number = (square > 0)[place].sum(axis=1)
        products = np.einsum("uk,uk->u", total, total, dtype=np.float64) - square[place].sum(axis=1)
        pairs = number * (number - 1)
        cosine = np.divide(products, pairs, out=np.full(len(part), np.nan), where=pairs > 0)
        found[start : start + step] = 1 - cosine
    return found


def calibration(known: csr_array, lists: csr_array, categories: csr_array) -> Floats:
    """Divergence of the list's categories from the history's, in nats, `(n_users,)` (Steck 2018).

    KL(p | q) with p the mean share of each category in the history and q that in the list, of which 1 %
    is replaced by p. NaN for users whose history or list has no item with a category.
    """
    divergence = np.full(known.shape[0], np.nan)
    step = max(1, _CELLS // max(1, categories.shape[1]))
    for start in range(0, known.shape[0], step):
        part = slice(start, start + step)
        p, q = (np.asarray((matrix[part] @ categories).todense()) for matrix in (known, lists))
        whole_p, whole_q = p.sum(axis=1, keepdims=True), q.sum(axis=1, keepdims=True)
        told = ((whole_p > 0) & (whole_q > 0))[:, 0]
        p, q = p[told] / whole_p[told], q[told] / whole_q[told]
        q = (1 - _SMOOTHING) * q + _SMOOTHING * p
        ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
        divergence[start + np.flatnonzero(told)] = np.maximum((p * np.log(ratio)).sum(axis=1), 0)
    return divergence


def popularity_lift(popularity: Floats, history_popularity: Floats) -> float | None:
    """How much more popular the lists' items are than those of the same users' histories.

    The mean over users of the lists' average popularity, divided by that of their histories, less 1
    (Abdollahpouri et al. 2019, "The unfairness of popularity bias in recommendation").
    """
    told = np.isfinite(popularity) & np.isfinite(history_popularity)
    own = float(history_popularity[told].mean()) if told.any() else 0.0
    return float(popularity[told].mean()) / own - 1 if own > 0 else None


def gini(exposure: NDArray[np.int64]) -> float:
    """Gini coefficient of how often each item is shown; 0 where nothing is."""
    n, total = len(exposure), int(exposure.sum())
    if not total:
        return 0.0
    weights = 2 * np.arange(1, n + 1) - n - 1
    return float(weights @ np.sort(exposure)) / (n * total)


def mean_or_none(values: Floats) -> float | None:
    """The mean of what is not NaN; None without any."""
    told = np.isfinite(values)
    return float(values[told].mean()) if told.any() else None


def _membership(ranked: NDArray[np.int32], n_items: int) -> csr_array:
    """Ones for the items of each list, `(n_users, n_items)`."""
    filled = ranked >= 0
    indptr = np.concatenate([[0], np.cumsum(filled.sum(axis=1))])
    items = ranked[filled]
    return csr_array((np.ones(len(items)), items, indptr), shape=(len(ranked), n_items))


def _mean_of(matrix: csr_array, of_item: Floats) -> Floats:
    """Mean of a property of each row's items; NaN for an empty row."""
    count = np.diff(matrix.indptr)
    total = np.asarray(matrix @ of_item)
    return np.asarray(np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0))
