"""The least squares of ALS against a direct solution, however the rows are bundled."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import Histories
from app.learning.recommenders import als
from app.learning.recommenders.item_vectors import ItemVectors
from app.learning.recommenders.sparse import empty


@pytest.fixture
def preferences() -> csr_array:
    """Rows of very different lengths, one of them empty."""
    rng = np.random.default_rng(2)
    share = np.r_[0.0, np.full(30, 0.08), np.full(9, 0.5), 1.0]
    chosen = rng.random((len(share), 50)) < share[:, None]
    return csr_array(np.where(chosen, rng.random(chosen.shape) + 0.5, 0.0).astype(np.float32))


def direct(
    matrix: csr_array, fixed: NDArray[np.float32], gram: NDArray[np.float32], ridge: NDArray[np.float32]
) -> NDArray[np.float64]:
    rows = []
    for row in range(matrix.shape[0]):
        part = slice(matrix.indptr[row], matrix.indptr[row + 1])
        theirs = fixed[matrix.indices[part]].astype(np.float64)
        system = gram + theirs.T @ theirs + ridge[row] * np.eye(fixed.shape[1])
        rows.append(np.linalg.solve(system, theirs.T @ matrix.data[part]))
    return np.array(rows)


@pytest.mark.parametrize("gathered", [1, 60, 10**6])
@pytest.mark.parametrize("longest", [1, 70, 10**6])
def test_rows_are_solved_alike_however_they_are_bundled(
    preferences: csr_array, gathered: int, longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(als, "_GATHERED", gathered)
    monkeypatch.setattr(als, "_LONGEST", longest)
    rng = np.random.default_rng(0)
    fixed = rng.normal(size=(50, 6)).astype(np.float32)
    gram = (0.1 * fixed.T @ fixed).astype(np.float32)
    ridge = rng.uniform(0.5, 1.5, preferences.shape[0]).astype(np.float32)
    start = rng.normal(size=(preferences.shape[0], 6)).astype(np.float32)
    solved = als._solve(als._bundles(preferences, 6), fixed, gram, ridge, start, steps=12)
    np.testing.assert_allclose(solved, direct(preferences, fixed, gram, ridge), rtol=1e-3, atol=1e-4)


def test_each_row_with_entries_is_in_one_bundle_with_all_of_them(preferences: csr_array) -> None:
    bundles = als._bundles(preferences, 64)
    rows = np.concatenate([bundle.rows for bundle in bundles])
    assert sorted(rows.tolist()) == list(range(1, preferences.shape[0]))
    for bundle in bundles:
        made = np.zeros((len(bundle.rows), 50), dtype=np.float32)
        np.add.at(made, (np.arange(len(bundle.rows))[:, None], bundle.indices), bundle.values)
        np.testing.assert_array_equal(made, preferences[bundle.rows].toarray())
        assert bundle.stored.sum() >= als._SHORTEST * bundle.stored.size * 0.8


def test_no_history_makes_no_bundle() -> None:
    assert als._bundles(empty(3, 5), 8) == []


def test_a_history_has_the_same_factors_alone_and_among_others(preferences: csr_array) -> None:
    rng = np.random.default_rng(1)
    # Of lengths that differ by a thousand times: eight steps are far from the solution.
    vectors = (rng.normal(size=(50, 32)) * np.geomspace(1.0, 1e-3, 32)).astype(np.float32)
    model = als.ALS(als.ALSConfig(factors=32, regularization=1e-4), ItemVectors.of(vectors))
    histories = Histories(preferences, np.zeros(preferences.nnz, dtype=np.float32))
    together = model._folded_in(histories)
    alone = [model._folded_in(histories.take(np.array([row])))[0] for row in range(len(histories))]
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6 * np.abs(together).max())
