"""Scores of few items, from few entries and from many."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.sparse import csr_array

from app.learning.dataset import Histories
from app.learning.recommenders.ease import EASE
from app.learning.recommenders.evidence import Evidence, best, gather, summed


@pytest.mark.parametrize("n_items", [40, 5_000, 50_000])
@pytest.mark.parametrize("known", [0, 1, 12])
def test_gathering_is_the_product(n_items: int, known: int) -> None:
    """With few entries for a large catalogue, and with many for a small one."""
    rng = np.random.default_rng(n_items + known)
    dense = np.zeros((30, n_items), dtype=np.float32)
    dense[:, :200] = rng.random((30, min(200, n_items)), dtype=np.float32) < 0.1
    weights = csr_array(dense * rng.random(30, dtype=np.float32)[:, None])
    chosen = np.sort(rng.permutation(30)[:known]).astype(np.int32)
    row = csr_array((rng.random(known, dtype=np.float32), chosen, [0, known]), shape=(1, 30))
    found = gather(row, weights)
    expected = (row @ weights).toarray()
    np.testing.assert_allclose(found.dense(), expected, rtol=1e-6)
    assert (np.diff(found.items) > 0).all(), "each once, in order"
    asked = rng.permutation(n_items)[:20]
    np.testing.assert_allclose(found.at(asked), expected[0, asked], rtol=1e-6)
    again = gather(Evidence(row.indices, row.data, 30), weights)
    assert (again.items.tolist(), again.scores.tolist()) == (found.items.tolist(), found.scores.tolist())


@pytest.mark.parametrize("k", [1, 2, 3, 9])
def test_the_best_of_equals_are_the_lower_ones_and_nothing_bad_is_among_them(k: int) -> None:
    found = Evidence(np.array([2, 3, 5, 8]), np.array([0.5, 0.0, 1.0, 0.5], dtype=np.float32), 10)
    kept = best(found, k)
    assert kept.items.tolist() == {1: [5], 2: [2, 5]}.get(k, [2, 5, 8])
    assert kept.at(np.array([5, 3])).tolist() == [1.0, 0.0]


def test_sums_of_one_thread_are_not_another_s() -> None:
    """Each sum is made in room that the last one of its thread left behind."""
    rng = np.random.default_rng(1)

    def sums(seed: int) -> bool:
        own = np.random.default_rng(seed)
        for _ in range(50):
            items = own.integers(0, 5_000, 300)
            scores = own.random(300, dtype=np.float32)
            kind = np.float32 if own.random() < 0.5 else np.float64
            expected = np.bincount(items, weights=scores, minlength=5_000)
            found = summed([(items[:100], scores[:100].astype(kind)), (items[100:], scores[100:])], 5_000)
            if not np.allclose(found.dense()[0], expected, rtol=1e-5):
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(sums, rng.integers(0, 1_000, 8).tolist()))


def test_each_item_is_multiplied_by_its_own_factor() -> None:
    found = Evidence(np.array([1, 3]), np.array([2, 4], dtype=np.float32), 5)
    factors = np.array([9, 0.5, 9, 2, 9], dtype=np.float32)
    assert found.times(factors).dense().tolist() == [[0, 1, 0, 8, 0]]


def test_weights_that_cover_no_item_say_nothing() -> None:
    matrix = csr_array((np.ones(2, dtype=np.float32), [1, 3], [0, 2]), shape=(1, 5))
    known = Histories(matrix, np.zeros(2, dtype=np.float32))
    nothing = EASE(None, np.empty(0, dtype=np.int32), np.empty((0, 0), dtype=np.float32), 5)
    assert nothing.evidence(known).dense().tolist() == nothing.score(known).tolist() == [[0.0] * 5]
