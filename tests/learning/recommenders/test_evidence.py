"""Scores of few items, from few entries and from many."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from app.learning.recommenders.evidence import Evidence, gather


@pytest.mark.parametrize("n_items", [40, 5_000])
@pytest.mark.parametrize("known", [0, 1, 12])
def test_gathering_is_the_product(n_items: int, known: int) -> None:
    rng = np.random.default_rng(n_items + known)
    dense = rng.random((30, n_items), dtype=np.float32)
    weights = csr_array(np.where(dense < 0.05, dense, 0))
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


def test_each_item_is_multiplied_by_its_own_factor() -> None:
    found = Evidence(np.array([1, 3]), np.array([2, 4], dtype=np.float32), 5)
    factors = np.array([9, 0.5, 9, 2, 9], dtype=np.float32)
    assert found.times(factors).dense().tolist() == [[0, 1, 0, 8, 0]]
