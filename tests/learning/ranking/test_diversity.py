"""Lists that are not all alike, and at most so many of a kind."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from app.learning.ranking.caps import Caps
from app.learning.ranking.diversity import diverse_order, likeness

SCORES = np.array([1.0, 0.9, 0.8, 0.1], dtype=np.float32)
ALIKE = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=np.float32)


@pytest.mark.parametrize(
    ("diversity", "order"),
    [(0.0, [0, 1, 2, 3]), (0.3, [0, 2, 1, 3]), (0.6, [0, 2, 3, 1]), (1.0, [0, 2, 3, 1])],
)
def test_the_like_come_later(diversity: float, order: list[int]) -> None:
    assert list(diverse_order(SCORES, ALIKE, diversity)) == order


@given(st.lists(st.sampled_from([0.1, 0.5, 1.0]), max_size=8), st.floats(0, 1), st.integers(0, 5))
def test_each_comes_once_the_best_first(scores: list[float], diversity: float, seed: int) -> None:
    descending = np.array(sorted(scores, reverse=True), dtype=np.float32)
    alike = np.random.default_rng(seed).random((len(scores), len(scores)), dtype=np.float32)
    order = list(diverse_order(descending, alike, diversity))
    assert sorted(order) == list(range(len(scores)))
    assert order[:1] == [0][: len(scores)]
    assert list(diverse_order(descending, np.zeros_like(alike), diversity)) == list(range(len(scores)))


def test_likeness_of_neighbours() -> None:
    similarities = csr_array(np.array([[0, 0.5, 0], [0, 0, 0], [0.2, 1.5, 0]], dtype=np.float32))
    found = likeness(similarities, np.array([2, 7, 0]))
    assert found.round(6).tolist() == np.array([[0, 0, 0.2], [0, 0, 0], [0.2, 0, 0]], np.float32).tolist()
    assert likeness(similarities, np.array([1, 2])).max() == 1
    assert likeness(similarities, np.empty(0, dtype=np.int64)).shape == (0, 0)


def test_caps_count_each_group_of_each_cap() -> None:
    caps = Caps([1, 2])
    assert caps.have_room([[5], [1, 2]])
    caps.count([[5], [1, 2]])
    assert not caps.have_room([[5], []])
    assert caps.have_room([[], [1]])
    caps.count([[6], [2]])
    assert caps.have_room([[7], [1]])
    assert not caps.have_room([[7], [1, 2]])
    assert Caps([]).have_room([])
