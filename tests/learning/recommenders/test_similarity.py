"""Similarities and pruning against a dense computation."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.recommenders import similarity as machinery
from app.learning.recommenders.item_neighbours import ItemNeighboursConfig, fit
from app.learning.recommenders.similarity import (
    Measure,
    Moments,
    chunks,
    meetings,
    nearest,
    similarity,
    strongest,
)
from tests.worlds import world

measures = pytest.mark.parametrize("measure", get_args(Measure))


def dense_similarity(measure: Measure, matrix: NDArray[np.float64], shrinkage: float) -> NDArray[np.float64]:
    """Similarity of the columns, pair by pair."""
    n = matrix.shape[1]
    found = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            a, b = matrix[:, i], matrix[:, j]
            together = int(((a > 0) & (b > 0)).sum())
            if i == j or together == 0:
                continue
            if measure == "cosine":
                value = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            elif measure == "pearson":
                value = 0.0 if np.ptp(a) == 0 or np.ptp(b) == 0 else np.corrcoef(a, b)[0, 1]
            else:
                value = 1 / (1 + np.linalg.norm(a - b))
            found[i, j] = max(0.0, value) * together / (together + shrinkage)
    return found


def dense_top(matrix: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    kept = np.zeros_like(matrix)
    for row, values in enumerate(matrix):
        best = np.argsort(-values, kind="stable")[:k]
        kept[row, best] = np.maximum(values[best], 0)
    return kept


@measures
@pytest.mark.parametrize("shrinkage", [0.0, 4.0])
def test_item_similarities_equal_the_dense_ones(
    measure: Measure, shrinkage: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machinery, "CHUNK_ENTRIES", 40)
    rng = np.random.default_rng(3)
    chosen = rng.random((30, 12)) < 0.35
    chosen[:, 5] = True
    events = [
        (f"u{user:02}", f"i{item:02}", "view", 0.0, None, quantity)
        for user, item in np.argwhere(chosen)
        for quantity in [float(rng.integers(1, 9))]
    ]
    made = world(events)
    matrix = np.zeros(chosen.shape)
    for user, item, *_, quantity in events:
        matrix[made.row(user), made.column(item)] = np.log1p(np.float32(1 + np.log(quantity)))
    config = ItemNeighboursConfig(similarity=measure, neighbours=12, shrinkage=shrinkage)
    model = fit(config, made.dataset, np.random.default_rng(0))
    expected = dense_similarity(measure, matrix, shrinkage)
    np.testing.assert_allclose(model.similarities.toarray(), expected, atol=1e-6)
    history = made.history("i00", "i03")
    np.testing.assert_allclose(model.score(history)[0], expected[0] + expected[3], atol=1e-6)


def test_an_item_that_everybody_likes_alike_correlates_with_none() -> None:
    events = [(f"u{user}", item) for user in range(6) for item in ("all", "a" if user < 3 else "b")]
    events += [("u0", "c"), ("u1", "c")]
    model = fit(
        ItemNeighboursConfig(similarity="pearson"), (made := world(events)).dataset, np.random.default_rng(0)
    )
    assert not model.score(made.history("all")).any()
    assert model.score(made.history("a"))[0, made.column("c")] > 0


def test_equal_items_are_at_no_distance() -> None:
    events = [(f"u{user}", item, "view", 0.0, None, 3.0) for user in range(9) for item in ("a", "b")]
    config = ItemNeighboursConfig(similarity="euclidean", shrinkage=0.0)
    made = world(events)
    model = fit(config, made.dataset, np.random.default_rng(0))
    assert model.score(made.history("a"))[0].tolist() == [0.0, 1.0]


def test_rounding_makes_neither_distance_nor_variation() -> None:
    value = np.random.default_rng(1).random(1000)
    constant = Moments(10 * value, 10 * value * value, length=10)
    varied = Moments(np.full(1000, 1.0), np.full(1000, 1.0), length=10)
    assert not similarity("pearson", value, constant, varied).any()
    dot = np.nextafter(constant.squares, np.array([0.0, 100.0])[np.arange(1000) % 2])
    np.testing.assert_array_equal(similarity("euclidean", dot, constant, constant), 1.0)


def test_only_the_most_recent_items_of_a_robot_are_learnt_from() -> None:
    events = [("robot", f"i{age}", "view", float(age)) for age in range(9)]
    made = world(events)
    model = fit(ItemNeighboursConfig(max_history=3), made.dataset, np.random.default_rng(0))
    assert np.flatnonzero(np.diff(model.similarities.indptr)).tolist() == [0, 1, 2]


@given(
    st_numpy.arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.integers(1, 12)),
        elements=st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0]),
    ),
    st.integers(1, 13),
)
def test_strongest_keeps_the_largest_and_breaks_ties_by_column(matrix: NDArray[np.float32], k: int) -> None:
    reverse = csr_array(matrix)
    for row in range(reverse.shape[0]):  # as a product leaves them: in no order
        part = slice(reverse.indptr[row], reverse.indptr[row + 1])
        reverse.indices[part] = reverse.indices[part][::-1].copy()
        reverse.data[part] = reverse.data[part][::-1].copy()
    reverse.has_sorted_indices = False
    np.testing.assert_array_equal(strongest(reverse, k).toarray(), dense_top(matrix, k))


@given(st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_chunks_change_nothing_and_stay_bounded(entries: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = csr_array(np.where(rng.random((15, 6)) < 0.3, rng.random((15, 6)), 0.0))
    found = list(chunks(meetings(vectors), entries))
    assert [row for chunk in found for row in range(chunk.start, chunk.stop)] == list(range(15))
    for chunk in found:
        assert (vectors[chunk] @ vectors.T).nnz <= entries + 15
    dense = (vectors @ vectors.T).toarray()
    np.fill_diagonal(dense, 0.0)
    np.testing.assert_allclose(
        nearest(vectors, 4).toarray(), dense_top(dense.astype(np.float32), 4), rtol=1e-6
    )
