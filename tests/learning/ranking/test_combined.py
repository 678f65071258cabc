"""The scores of one person over what anybody is told are those of a sum over all items."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from app.learning.ranking.cold_items import ColdItems
from app.learning.ranking.combined import MANY, Combined, Ground
from app.learning.recommenders.evidence import Part

N_ITEMS = 1_000


def _cold(rng: np.random.Generator, n_cold: int, factor: float) -> ColdItems:
    """The last items are like some of the others."""
    chosen = np.arange(N_ITEMS) < N_ITEMS - n_cold
    alike = rng.random((N_ITEMS, N_ITEMS), dtype=np.float32)
    return ColdItems.of(csr_array(alike * (alike < 0.05)), chosen, factor)


def _parts(rng: np.random.Generator, sizes: list[int]) -> list[Part]:
    """Some speak against their items."""
    return [
        (
            np.sort(rng.permutation(N_ITEMS)[:size]),
            rng.choice([-1, 0.5, 1], size).astype(np.float32) * rng.random(size, dtype=np.float32),
        )
        for size in sizes
    ]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    sizes=st.lists(st.sampled_from([0, 1, 7, 30, 200]), max_size=3),
    n_cold=st.sampled_from([0, 1, 60]),
    factor=st.sampled_from([0.0, 0.4]),
    density=st.sampled_from([0.0, 0.2, 1.0]),
)
def test_it_is_the_sum_and_what_it_lends(
    seed: int, sizes: list[int], n_cold: int, factor: float, density: float
) -> None:
    rng = np.random.default_rng(seed)
    cold, parts = _cold(rng, n_cold, factor), _parts(rng, sizes)
    base = (rng.random((1, N_ITEMS)) * (rng.random((1, N_ITEMS)) < density)).astype(np.float32)
    expected = base.copy()
    for items, gained in parts:
        expected[0, items] += gained
    expected = cold.lend(expected)[0]
    ground = Ground.of(base, cold)
    np.testing.assert_allclose(ground.scores, cold.lend(base.copy())[0], rtol=1e-6)
    found = Combined.of(ground, parts, cold)
    np.testing.assert_allclose(found.dense(), expected, rtol=1e-4, atol=1e-6)
    asked = rng.permutation(N_ITEMS)[:50]
    np.testing.assert_array_equal(found.at(asked), found.dense()[asked])
    assert found.n_items == N_ITEMS
    if found.whole is None:
        assert (np.diff(found.items) > 0).all(), "each once, in order"
    else:
        assert sum(sizes) >= MANY * N_ITEMS


def test_the_ground_is_in_order_and_equals_by_index() -> None:
    scores = np.array([[0.2, 0.0, 0.5, 0.2, 0.5]], dtype=np.float32)
    assert Ground.of(scores, ColdItems.none(5)).order.tolist() == [2, 4, 0, 3]


@pytest.mark.parametrize("stored", [True, False])
def test_heirs_are_stored_and_made_where_an_older_release_stored_none(stored: bool) -> None:
    rng = np.random.default_rng(3)
    cold = _cold(rng, 60, 0.4)
    arrays = cold.arrays()
    if not stored:
        arrays = {name: array for name, array in arrays.items() if not name.startswith("heirs")}
    again = ColdItems.from_arrays(arrays)
    np.testing.assert_array_equal(again.heirs.toarray(), cold.parents.toarray().T)
    ground = Ground.of(np.zeros((1, N_ITEMS), dtype=np.float32), again)
    parts = _parts(rng, [30])
    np.testing.assert_array_equal(
        Combined.of(ground, parts, again).dense(), Combined.of(ground, parts, cold).dense()
    )
