"""Regressions of all items on all others against the plain formula."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from app.learning.recommenders import ridge
from app.learning.recommenders.ridge import gram_matrix, ridge_weights


@pytest.fixture
def matrix() -> csr_array:
    rng = np.random.default_rng(4)
    return csr_array(np.where(rng.random((40, 23)) < 0.3, rng.random((40, 23)), 0.0).astype(np.float32))


def test_the_gram_matrix_can_be_factored_in_place(matrix: csr_array) -> None:
    gram = gram_matrix(matrix)
    dense = matrix.toarray().astype(np.float64)
    np.testing.assert_allclose(gram, dense.T @ dense, rtol=1e-5, atol=1e-6)
    assert gram.flags.f_contiguous
    assert gram.dtype == np.float32


def test_weights_are_those_of_the_inverse(matrix: csr_array, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ridge, "_STRIP", 7)
    penalty = np.linspace(0.5, 2.0, 23).astype(np.float32)
    dense = matrix.toarray().astype(np.float64)
    inverse = np.linalg.inv(dense.T @ dense + np.diag(penalty))
    weights = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(weights, 0.0)
    np.testing.assert_allclose(ridge_weights(gram_matrix(matrix), penalty), weights, atol=1e-5)
