"""Items without a history stand where those stand that are described alike."""

import numpy as np
from scipy.sparse import csr_array

from app.learning.ranking.cold_items import PARENTS, ColdItems, inherit, parents

ALIKE = csr_array(
    np.array(
        [
            [0.0, 0.5, 0.0, 0.0],
            [0.5, 0.0, 0.0, 0.9],
            [0.0, 0.0, 0.0, 0.0],
            [0.2, 0.6, 0.0, 0.0],
        ],
        dtype=np.float32,
    )
)
CHOSEN = np.array([True, True, False, False])


def test_a_cold_item_has_the_mean_of_its_parents_times_how_near_and_how_far_trusted() -> None:
    cold = ColdItems.of(ALIKE, CHOSEN, 0.5)
    assert cold.items.tolist() == [3], "item 2 is like nothing"
    scores = cold.lend(np.array([[1.0, 0.2, 0.0, 0.0], [0.0, 0.0, 0.0, 0.3]], dtype=np.float32))
    mean = (0.2 * 1.0 + 0.6 * 0.2) / 0.8
    np.testing.assert_allclose(scores[0], [1.0, 0.2, 0.0, 0.5 * 0.6 / 0.7 * mean], rtol=1e-6)
    np.testing.assert_allclose(scores[1], [0.0, 0.0, 0.0, 0.3], rtol=1e-6)


def test_only_chosen_items_are_parents_and_only_the_nearest() -> None:
    many = csr_array(np.linspace(0.01, 1.0, 60, dtype=np.float32)[None, :])
    chosen = np.arange(60) % 2 == 0
    shares = parents(many, chosen)
    assert shares.nnz == PARENTS
    assert chosen[shares.indices].all()
    assert shares.indices.min() == 58 - 2 * (PARENTS - 1)


def test_nobody_inherits_a_bad_name_and_nothing_is_lent_without_trust() -> None:
    cold = ColdItems.of(ALIKE, CHOSEN, 0.0)
    scores = np.array([[1.0, 1.0, 0.0, 0.0]], dtype=np.float32)
    np.testing.assert_array_equal(cold.lend(scores.copy()), scores)
    negative = np.array([[-1.0, -1.0, 0.0, 0.0]], dtype=np.float32)
    assert inherit(negative, cold.parents).tolist() == [[0.0]]


def test_arrays_round_trip_and_an_empty_one_does_nothing() -> None:
    cold = ColdItems.of(ALIKE, CHOSEN, 0.7)
    again = ColdItems.from_arrays(cold.arrays())
    scores = np.array([[1.0, 0.2, 0.0, 0.0]], dtype=np.float32)
    np.testing.assert_array_equal(again.lend(scores.copy()), cold.lend(scores.copy()))
    assert again.warm(4).tolist() == [True, True, True, False]
    np.testing.assert_array_equal(ColdItems.none(4).lend(scores.copy()), scores)
