import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from app.learning.evaluation.metrics import (
    bootstrap_interval,
    coverage,
    mae,
    paired_interval,
    ranking_metrics,
    rmse,
)

N_ITEMS = 9


def _naive(ranked: list[int], wanted: set[int]) -> dict[str, float]:
    n = len(ranked)
    hits = [item in wanted for item in ranked]
    precision, recall = sum(hits) / n, sum(hits) / len(wanted) if wanted else 0.0
    ideal = sum(1 / math.log2(place + 2) for place in range(min(n, len(wanted))))
    gain = sum(1 / math.log2(place + 2) for place, hit in enumerate(hits) if hit)
    precisions = [sum(hits[: place + 1]) / (place + 1) for place, hit in enumerate(hits) if hit]
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        "ndcg": gain / ideal if ideal else 0.0,
        "map": sum(precisions) / min(n, len(wanted)) if wanted else 0.0,
        "mrr": 1 / (hits.index(True) + 1) if any(hits) else 0.0,
        "hit_rate": float(any(hits)),
    }


@given(st.data(), st.integers(1, 6), st.integers(1, 5))
def test_as_written_out(data: st.DataObject, n: int, n_users: int) -> None:
    item = st.integers(0, N_ITEMS - 1)
    lists = [data.draw(st.lists(item, max_size=n, unique=True)) for _ in range(n_users)]
    wanted = [data.draw(st.sets(item)) for _ in range(n_users)]
    ranked = np.array([row + [-1] * (n - len(row)) for row in lists], dtype=np.int32)
    dense = np.zeros((n_users, N_ITEMS), dtype=np.float32)
    for row, items in enumerate(wanted):
        dense[row, list(items)] = 1
    metrics = ranking_metrics(ranked, csr_array(dense))
    for row in range(n_users):
        for name, value in _naive(ranked[row].tolist(), wanted[row]).items():
            assert metrics[name][row] == pytest.approx(value), name


def test_a_known_list() -> None:
    metrics = ranking_metrics(
        np.array([[3, 1, 2]], dtype=np.int32), csr_array(np.array([[0.0, 1.0, 1.0, 0.0]]))
    )
    assert metrics["ndcg"][0] == pytest.approx((1 / math.log2(3) + 0.5) / (1 + 1 / math.log2(3)))
    assert metrics["map"][0] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert metrics["mrr"][0] == 0.5


def test_coverage() -> None:
    assert coverage(np.array([[0, 1], [1, -1]], dtype=np.int32), 4) == 0.5
    assert coverage(np.zeros((0, 2), dtype=np.int32), 0) == 0


def test_errors_of_ratings() -> None:
    predicted, actual = np.array([1.0, 3.0], dtype=np.float32), np.array([1.0, 1.0], dtype=np.float32)
    assert rmse(predicted, actual) == pytest.approx(math.sqrt(2))
    assert mae(predicted, actual) == 1


def test_interval_holds_the_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(100):
        low, high = bootstrap_interval(rng.exponential(size=80), rng)
        inside += low <= 1 <= high
    assert 87 <= inside <= 99


def test_paired_interval_sees_what_spread_between_users_hides() -> None:
    rng = np.random.default_rng(0)
    a = rng.random(200)
    low, high = paired_interval(a + 0.01 + 0.001 * rng.random(200), a, rng)
    assert 0.01 <= low <= high < 0.011


def test_intervals_need_values_and_pairs() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_interval(np.zeros(0), rng)
    with pytest.raises(ValueError, match="same users"):
        paired_interval(np.zeros(2), np.zeros(1), rng)
