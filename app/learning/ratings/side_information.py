"""What is known of users and items beside the values of the ratings: who rated what, and the catalogue."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import ItemTable
from app.learning.matrices import reweighted
from app.learning.recommenders.text import category_terms, fold, hashed_counts

_ROWS_PER_FEATURE = 8
"""So many users and items are asked for each feature, so that few rows are not explained by many features."""
_POWER_ITERATIONS = 3


def read_sets(pattern: csr_array, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features of rows by the items that they rated, `(n, n_features)`: summed weights over root of number.

    This stands in for the implicit term of SVD++ (Koren 2008), and a user unknown at training has it too.
    `pattern` `(n, n_items)` holds ones, `weights` is `(n_items, n_features)`.
    """
    number = np.maximum(np.diff(pattern.indptr), 1)
    return np.asarray((pattern @ weights) / np.sqrt(number)[:, None], dtype=np.float32)


def rated_sets(
    pattern: csr_array, n_features: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Main directions of who rated what: weights for `read_sets`, and the items' own features.

    Both `(n_items, up to n_features)`, from the singular vectors of `pattern` `(n_users, n_items)` with rows
    and columns divided by the root of their number (as in spectral co-clustering, Dhillon 2001). Each row
    and column must have an entry. Both sides' features have mean squared length 1.
    """
    n_users, n_items = pattern.shape
    n_features = min(n_features, n_users // _ROWS_PER_FEATURE, n_items // _ROWS_PER_FEATURE)
    if not n_features:
        nothing = np.zeros((n_items, 0), dtype=np.float32)
        return nothing, nothing
    column = 1 / np.sqrt(np.bincount(pattern.indices, minlength=n_items))
    row = 1 / np.sqrt(np.diff(pattern.indptr))
    data = np.repeat(row, np.diff(pattern.indptr)) * column[pattern.indices]
    even = reweighted(pattern, data.astype(np.float32))
    singular, directions = _directions(even, n_features, rng)
    weights = directions * column[:, None] * np.sqrt(n_users / np.sum(singular**2))
    items = directions * singular * np.sqrt(n_items / np.sum(singular**2))
    return weights.astype(np.float32), items.astype(np.float32)


def catalogue_features(
    items: ItemTable, rated: NDArray[np.int64], n_features: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Main directions of the items' categories, brands and tags, `(n_items, up to n_features)`.

    Found from the `rated` items, of which alone anything can be learned; terms that none of those or only
    one has tell nothing.
    """
    counts = hashed_counts(_terms(items), len(items.title))
    telling = np.bincount(counts[rated].indices, minlength=counts.shape[1]) >= 2
    kept = csr_array(counts[:, np.flatnonzero(telling)])
    n_features = min(n_features, kept.shape[1], len(rated) // _ROWS_PER_FEATURE)
    if not n_features:
        return np.zeros((len(items.title), 0), dtype=np.float32)
    number = np.diff(kept.indptr)
    data = np.repeat(1 / np.sqrt(np.maximum(number, 1)), number).astype(np.float32)
    unit = reweighted(kept, data)
    _, directions = _directions(csr_array(unit[rated]), n_features, rng)
    return np.asarray(unit @ directions, dtype=np.float32)


def _terms(items: ItemTable) -> Iterator[Iterable[str]]:
    for categories, brand, tags in zip(items.categories, items.brand, items.tags, strict=True):
        terms = {*category_terms(categories), *(f"tag:{fold(tag.strip())}" for tag in tags)}
        yield terms | ({f"brand:{fold(brand.strip())}"} if brand.strip() else set())


def _directions(
    matrix: csr_array, number: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Largest singular values `(r,)`, descending, and right vectors `(columns, r)`, r at most `number`."""
    from sklearn.utils.extmath import randomized_svd

    _, singular, directions = randomized_svd(
        matrix, n_components=number, n_iter=_POWER_ITERATIONS, random_state=int(rng.integers(2**31))
    )
    found = singular > 1e-5 * singular[0]
    return singular[found], directions[found].T
