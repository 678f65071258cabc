import numpy as np
import pytest
from scipy.sparse import csr_array

from app.learning.evaluation.blending import ScoreBatch, collect_candidates, learn_blend
from app.learning.ranking.blend import normalise
from app.learning.recommenders.base import Scores

N_USERS, N_ITEMS = 60, 80


def _world() -> tuple[dict[str, Scores], csr_array]:
    """Two families that each know half of what is relevant, and one that knows nothing."""
    rng = np.random.default_rng(4)
    truth = rng.random((N_USERS, N_ITEMS)) < 0.08
    half = rng.random(truth.shape) < 0.5
    noise = rng.random((3, *truth.shape)) * 0.8
    scores = {
        "first": noise[0] + (truth & half),
        "second": noise[1] + (truth & ~half),
        "blind": noise[2],
    }
    return {name: normalise(s.astype(np.float32)) for name, s in scores.items()}, csr_array(
        truth.astype(np.float32)
    )


def _batches(scores: dict[str, Scores], step: int = 25) -> list[ScoreBatch]:
    return [
        ScoreBatch({name: s[start : start + step] for name, s in scores.items()}, None)
        for start in range(0, N_USERS, step)
    ]


def test_weighs_what_complements_and_drops_what_knows_nothing() -> None:
    scores, relevant = _world()
    blend = learn_blend(collect_candidates(_batches(scores)), relevant, np.random.default_rng(0))
    assert set(blend.weights) == {"first", "second"}
    assert sum(blend.weights.values()) == pytest.approx(1)
    assert 0.3 < blend.weights["first"] < 0.7
    assert learn_blend(collect_candidates(_batches(scores)), relevant, np.random.default_rng(0)) == blend


def test_prefers_one_family_where_all_are_equal() -> None:
    scores, relevant = _world()
    same = dict.fromkeys(("a", "b", "c"), scores["first"])
    assert learn_blend(collect_candidates(_batches(same)), relevant, np.random.default_rng(0)).weights == {
        "a": 1.0
    }


def test_candidates_are_each_familys_best_unseen() -> None:
    scores = {
        "up": np.array([[1, 2, 3, 4, 5], [1, 2, 3, 4, 5]], dtype=np.float32),
        "down": np.array([[5, 4, 3, 2, 1], [1, 2, 3, 4, 5]], dtype=np.float32),
    }
    allowed = np.array([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]], dtype=np.bool_)
    candidates = collect_candidates([ScoreBatch(scores, allowed)], per_family=2)
    assert candidates.families == ("up", "down")
    assert candidates.items.tolist() == [[0, 1, 2, 3], [3, 4, -1, -1]]
    assert candidates.scores[0].tolist() == [[1, 2, 3, 4], [5, 4, 3, 2]]
    assert candidates.scores.dtype == np.float32


def test_batches_do_not_matter() -> None:
    scores, _ = _world()
    whole, parts = (collect_candidates(_batches(scores, step), 10) for step in (N_USERS, 7))
    np.testing.assert_array_equal(whole.items, parts.items)
    real = whole.items >= 0
    for family in range(3):
        np.testing.assert_array_equal(whole.scores[:, family][real], parts.scores[:, family][real])


def test_nobody_to_learn_from() -> None:
    with pytest.raises(ValueError, match="no users"):
        collect_candidates([])
