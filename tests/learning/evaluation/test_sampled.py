import numpy as np
import pytest
from scipy.sparse import csr_array

from app.learning.dataset import Histories
from app.learning.evaluation.sampled import evaluate_sampled
from app.learning.recommenders.base import Scores

N_ITEMS = 200


def _histories(rows: int) -> Histories:
    matrix = np.zeros((rows, N_ITEMS), dtype=np.float32)
    matrix[:, 0] = 1
    return Histories(csr_array(matrix), np.zeros(rows, dtype=np.float32))


def _by_index(histories: Histories) -> Scores:
    """The lower the better."""
    return np.tile(np.arange(N_ITEMS, 0, -1, dtype=np.float32), (len(histories), 1))


def _wanted(*columns: list[int]) -> csr_array:
    dense = np.zeros((len(columns), N_ITEMS), dtype=np.float32)
    for row, items in enumerate(columns):
        dense[row, items] = 1
    return csr_array(dense)


def test_only_items_that_are_neither_known_nor_wanted_compete() -> None:
    # Item 0 is known, 1 and 2 are wanted: nothing that is drawn can be better than either.
    found = evaluate_sampled(
        _by_index, _histories(3), np.array([0, 2]), _wanted([1, 2], [199]), 10, 100, np.random.default_rng(0)
    )
    assert found["sampled_hit_rate"].tolist() == [1, 0]
    assert found["sampled_ndcg"].tolist() == [1, 0]


def test_the_share_of_hits_is_that_of_the_draws() -> None:
    users = np.zeros(2_000, dtype=np.int64)
    wanted = _wanted(*([20] for _ in users))
    found = evaluate_sampled(_by_index, _histories(1), users, wanted, 1, 10, np.random.default_rng(0))
    # A hit is ten draws of 198 without one of the 19 better items.
    assert found["sampled_hit_rate"].mean() == pytest.approx((1 - 19 / 198) ** 10, abs=0.03)


def test_equal_scores_are_halfway() -> None:
    def equal(histories: Histories) -> Scores:
        return np.zeros((len(histories), N_ITEMS), dtype=np.float32)

    users, wanted = np.array([0]), _wanted([5])
    at = [
        evaluate_sampled(equal, _histories(1), users, wanted, n, 20, np.random.default_rng(0))[
            "sampled_hit_rate"
        ][0]
        for n in (10, 11)
    ]
    assert at == [0, 1]


def test_nothing_left_to_compete() -> None:
    found = evaluate_sampled(
        _by_index,
        _histories(1),
        np.array([0]),
        _wanted(list(range(1, N_ITEMS))),
        10,
        5,
        np.random.default_rng(0),
    )
    assert np.isnan(found["sampled_ndcg"]).all()
