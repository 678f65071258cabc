import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import Histories
from app.learning.evaluation.harness import batches, evaluate_ratings, evaluate_top_n
from app.learning.ratings.base import RatingModel, Ratings
from app.learning.recommenders.base import Scores

PREFERENCES = np.array([[1, 0, 0, 0], [0, 2, 0, 1], [0, 0, 0, 0], [0, 0, 3, 0]], dtype=np.float32)


def _histories() -> Histories:
    matrix = csr_array(PREFERENCES)
    return Histories(matrix, np.array([0, 20, 21, 30], dtype=np.float32))


def _score(histories: Histories) -> Scores:
    """What is in the history, most of all, then the lower item."""
    return histories.matrix.toarray() * 10 + np.arange(4, 0, -1, dtype=np.float32)


def test_takes_rows_with_their_ages() -> None:
    taken = _histories().take(np.array([3, 1, 2, 0]))
    np.testing.assert_array_equal(taken.matrix.toarray(), PREFERENCES[[3, 1, 2, 0]])
    assert taken.ages.tolist() == [30, 20, 21, 0]


@pytest.mark.parametrize("batch", [1, 2, 256])
def test_ranks_and_measures(batch: int) -> None:
    relevant = csr_array(np.array([[0, 1, 0, 0], [0, 0, 1, 0]], dtype=np.float32))
    users = np.array([1, 3])
    new = evaluate_top_n(_score, _histories(), users, relevant, 1, exclude_seen=True, batch=batch)
    # User 1 has seen items 1 and 3, user 3 item 2: both are shown item 0.
    assert new.per_user["hit_rate"].tolist() == [0, 0]
    assert new.coverage == 0.25
    again = evaluate_top_n(_score, _histories(), users, relevant, 1, exclude_seen=False, batch=batch)
    assert again.per_user["hit_rate"].tolist() == [1, 1]
    assert again.means["ndcg"] == 1
    assert again.coverage == 0.5


def test_nobody_to_evaluate() -> None:
    with pytest.raises(ValueError, match="no user"):
        evaluate_top_n(_score, _histories(), np.zeros(0, np.int64), csr_array((0, 4)), 1, exclude_seen=True)


def test_batches_shrink_with_the_catalogue_and_cover_all() -> None:
    for n_items, largest in ((10, 256), (1_000_000, 33), (10**9, 1)):
        parts = batches(300, n_items, 256)
        assert max(part.stop - part.start for part in parts) == largest
        assert [row for part in parts for row in range(part.start, part.stop)] == list(range(300))


class _MeanOfHistory:
    """Predicts the mean of the row's ratings, a standard deviation of 1."""

    def predict(
        self, known: Ratings, rows: NDArray[np.int64], items: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        total = np.bincount(known.row, weights=known.value, minlength=known.shape[0])
        count = np.bincount(known.row, minlength=known.shape[0])
        mean = (total / np.maximum(count, 1))[rows].astype(np.float32)
        return mean, np.ones(len(rows), dtype=np.float32)

    arrays = from_arrays = None


@pytest.mark.parametrize("at_once", [1, 4096])
def test_ratings_are_predicted_from_the_same_rows(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.learning.evaluation.harness._RATERS", at_once)

    def ratings(rows: list[int], values: list[float]) -> Ratings:
        items = np.arange(len(rows), dtype=np.int32)
        return Ratings(np.array(rows, dtype=np.int32), items, np.array(values, dtype=np.float32), (9, 6))

    model: RatingModel = _MeanOfHistory()  # type: ignore[assignment]
    result = evaluate_ratings(model, ratings([7, 2, 7], [1, 5, 3]), ratings([7, 2, 7, 8], [2, 5, 4, 0]))
    assert result.rmse == 1
    assert result.mae == 0.5
    assert result.within_std == 0.75
    assert result.n_ratings == 4
    with pytest.raises(ValueError, match="no rating"):
        evaluate_ratings(model, ratings([7], [1]), ratings([], []))
