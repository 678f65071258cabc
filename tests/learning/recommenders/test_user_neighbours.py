"""Similar users."""

from typing import get_args

import numpy as np
import pytest

from app.learning.preferences import dataset_histories
from app.learning.recommenders.similarity import Measure
from app.learning.recommenders.user_neighbours import UserNeighbours, UserNeighboursConfig, fit
from tests.worlds import World, world

LIKES = {"ann": "abc", "bob": "abd", "cat": "xyz", "dan": "a", "eve": "cd"}
MADE = world([(user, item) for user, items in LIKES.items() for item in items], sessions=["eve"])


def fitted(made: World = MADE, **config: object) -> UserNeighbours:
    return fit(UserNeighboursConfig.model_validate(config), made.dataset, np.random.default_rng(0))


@pytest.mark.parametrize("measure", get_args(Measure))
def test_neighbours_equal_the_dense_ones(measure: Measure) -> None:
    rng = np.random.default_rng(5)
    chosen = rng.random((20, 9)) < 0.4
    made = world([(f"u{user:02}", f"i{item}") for user, item in np.argwhere(chosen)])
    histories = dataset_histories(made.dataset)
    subjects, similarities = fitted(made, similarity=measure).neighbours(histories, 20)
    dense = histories.matrix.toarray().astype(np.float64)
    for row, asker in enumerate(dense):
        expected = {}
        for other, vector in enumerate(dense):
            if (vector > 0).sum() < 2 or not asker @ vector:
                continue
            if measure == "cosine":
                value = asker @ vector / np.linalg.norm(asker) / np.linalg.norm(vector)
            elif measure == "pearson":
                value = 0.0 if min(np.ptp(asker), np.ptp(vector)) == 0 else np.corrcoef(asker, vector)[0, 1]
            else:
                value = 1 / (1 + np.linalg.norm(asker - vector))
            if value > 1e-9:
                expected[other] = value
        found = subjects[row][subjects[row] >= 0]
        assert set(found.tolist()) == set(expected)
        np.testing.assert_allclose(similarities[row][: len(found)], [expected[n] for n in found], atol=1e-6)
        assert np.all(np.diff(similarities[row]) <= 0)


def test_neighbours_are_subjects_best_first_padded() -> None:
    subjects, similarities = fitted().neighbours(MADE.histories([("a", "b"), (), ("x",)]), 3)
    assert subjects.dtype == np.int64
    assert similarities.dtype == np.float32
    # ann and bob tie: the lower row comes first. dan has one item only and is not kept.
    assert subjects[0].tolist() == [MADE.row("ann"), MADE.row("bob"), -1]
    assert subjects[1].tolist() == [-1, -1, -1]
    assert subjects[2].tolist() == [MADE.row("cat"), -1, -1]
    assert similarities[2].tolist() == pytest.approx([3**-0.5, 0, 0])


def test_sessions_are_neighbours_too() -> None:
    subjects, _ = fitted().neighbours(MADE.history("c", "d"), 1)
    assert subjects.tolist() == [[MADE.row("eve")]]


def test_score_is_the_weighted_sum_of_the_neighbours() -> None:
    scores = fitted(neighbours=1).score(MADE.history("a", "b", "c"))[0]
    expected = [np.log(2) if item in "abc" else 0.0 for item in MADE.items]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_the_most_recently_active_are_kept() -> None:
    made = world([(user, item, "view", age) for age, user in enumerate("pqr") for item in "ab"])
    assert fitted(made, max_users=2).subjects.tolist() == [made.row("p"), made.row("q")]
