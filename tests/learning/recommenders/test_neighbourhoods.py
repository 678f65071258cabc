"""Neighbours by shared people, however the rows are parted between dense and sparse products."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.recommenders import neighbourhoods, similarity
from app.learning.recommenders.neighbourhoods import Comparison, nearest_by_people
from app.learning.recommenders.similarity import Moments


def all_pairs(vectors: NDArray[np.float64], comparison: Comparison, shrinkage: float) -> NDArray[np.float64]:
    """Positive similarities of all pairs at once, `(n_items, n_items)`."""
    dots = vectors @ vectors.T
    if comparison != "dot":
        moments = Moments.of_rows(csr_array(vectors))
        n = len(vectors)
        left, right = (moments.take(index.ravel()) for index in np.indices((n, n)))
        dots = similarity.similarity(comparison, dots.ravel(), left, right).reshape(n, n)
    together = ((vectors != 0).astype(float)) @ (vectors != 0).T
    factor = np.divide(together, together + shrinkage, out=np.zeros_like(dots), where=together > 0)
    weighed = np.maximum(dots * factor, 0.0)
    np.fill_diagonal(weighed, 0.0)
    return np.asarray(weighed)


def check(found: csr_array, pairs: NDArray[np.float64], k: int) -> None:
    """The kept are as all pairs say, and the `k` strongest; which of nearly equal ones stays is open."""
    kept = found.toarray()
    np.testing.assert_allclose(kept, np.where(kept > 0, pairs, 0.0), atol=1e-6)
    np.testing.assert_allclose(np.sort(kept)[:, -k:], np.sort(pairs)[:, -k:], atol=1e-6)
    assert np.diff(found.indptr).max() <= k


@pytest.fixture
def skewed() -> NDArray[np.float64]:
    """Items by people: some that nearly all chose, and many that one or two did; all values differ."""
    rng = np.random.default_rng(7)
    popularity = np.r_[np.full(15, 0.6), np.full(65, 0.04)]
    return np.where(rng.random((80, 60)) < popularity[:, None], rng.random((80, 60)), 0.0)


@pytest.mark.parametrize("comparison", ["cosine", "pearson", "euclidean", "dot"])
@pytest.mark.parametrize("shrinkage", [0.0, 3.0])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 2.0], ids=["dense", "half", "few dense", "sparse"])
@pytest.mark.parametrize("k", [1, 6, 100])
def test_dense_and_sparse_parts_make_the_same_neighbours(
    skewed: NDArray[np.float64],
    comparison: Comparison,
    shrinkage: float,
    share: float,
    k: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(neighbourhoods, "_DENSE", share)
    monkeypatch.setattr(neighbourhoods, "_CELLS", 300)
    monkeypatch.setattr(neighbourhoods, "_GROUPS", 2)
    monkeypatch.setattr(similarity, "CHUNK_ENTRIES", 70)
    found = nearest_by_people(csr_array(skewed), k, comparison, shrinkage)
    assert found.has_sorted_indices
    assert found.indices.dtype == np.int32
    assert found.data.dtype == np.float32
    check(found, all_pairs(skewed, comparison, shrinkage), k)


@pytest.mark.parametrize("share", [0.0, 2.0])
def test_products_that_cancel_to_zero_keep_their_counts_apart(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbourhoods, "_DENSE", share)
    vectors = np.array([[1.0, 1.0, 0, 2.0], [1.0, -1.0, 0, 0], [0, 3.0, 1.0, 2.0], [1.0, 1.0, 1.0, 0]])
    found = nearest_by_people(csr_array(vectors), 4, "cosine", 1.0)
    check(found, all_pairs(vectors, "cosine", 1.0), 4)


@pytest.mark.parametrize("share", [0.0, 0.6, 2.0])
def test_among_equals_the_lower_column_stays(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbourhoods, "_DENSE", share)
    monkeypatch.setattr(neighbourhoods, "_CELLS", 25)
    found = nearest_by_people(csr_array(np.ones((9, 4))), 3, "cosine")
    assert found.indices.reshape(9, 3)[[0, 2, 8]].tolist() == [[1, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_what_is_worth_little_everywhere_is_still_compared() -> None:
    vectors = np.where(np.random.default_rng(0).random((8, 12)) < 0.5, 1e-30, 0.0)
    found = nearest_by_people(csr_array(vectors.astype(np.float32)), 8, "cosine")
    check(found, all_pairs(vectors * 1e30, "cosine", 0.0), 8)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 4))
def test_the_bound_never_passes_a_neighbour(seed: int, k: int, groups: int) -> None:
    block = np.random.default_rng(seed).integers(-3, 9, (5, 37)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbourhoods, "_GROUPS", groups)
        bounds = neighbourhoods._bounds(block, k)
    kth = np.sort(block, axis=1)[:, ::-1][:, k - 1]
    assert (bounds[:, 0] > 0).all()
    assert ((kth >= bounds[:, 0]) | (bounds[:, 0] == neighbourhoods._LEAST)).all()


def test_memory_is_that_of_blocks_and_of_what_is_kept() -> None:
    n_items, k = 6_000, 20
    rng = np.random.default_rng(1)
    vectors = csr_array(np.where(rng.random((n_items, 2_000)) < 0.02, 1.0, 0.0))
    tracemalloc.start()
    try:
        found = nearest_by_people(vectors, k, "cosine", 10.0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.nnz == n_items * k
    assert peak < n_items**2  # bytes: a fourth of all similarities in float32
