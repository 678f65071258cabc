"""Parts of the blended scores sum to what is served."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import Histories
from app.learning.preferences import dataset_histories
from app.learning.ranking.blend import Blend
from app.learning.ranking.cold_items import ColdItems
from app.learning.ranking.contributions import blended, served
from app.learning.recommenders.base import Recommender, Scores
from app.learning.recommenders.item_vectors import ItemVectors
from app.learning.recommenders.registry import FAMILIES
from app.learning.recommenders.truncated_svd import TruncatedSVD
from tests.worlds import befriended, checkerboard

WORLD = befriended(checkerboard())
N_ITEMS = WORLD.dataset.n_items
ALL = np.arange(N_ITEMS, dtype=np.int32)
CONFIGS: dict[str, dict[str, Any]] = {
    "user_neighbours": {"neighbours": 8},
    "truncated_svd": {"factors": 2},
    "session_neighbours": {"pause_minutes": 100_000},
    "transitions": {"longest_gap": 60},
    "als": {"factors": 4},
}


@pytest.fixture(scope="module")
def models() -> dict[str, Recommender]:
    return {
        name: family.fit(family.config(**CONFIGS.get(name, {})), WORLD.dataset, np.random.default_rng(7))
        for name, family in FAMILIES.items()
    }


def history(row: int) -> Histories:
    return dataset_histories(WORLD.dataset).take(np.array([row]))


@dataclass(frozen=True)
class Linear:
    """Weights between items, as they are given."""

    weights: NDArray[np.float32]

    def score(self, histories: Histories) -> Scores:
        return np.asarray(histories.matrix @ self.weights, dtype=np.float32)

    def contributions(self, histories: Histories, items: NDArray[np.int32]) -> Scores:
        known = histories.matrix.indices
        return np.asarray((self.weights[known][:, items] * histories.matrix.data[:, None]).T)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    @classmethod
    def from_arrays(cls, config: Any, arrays: Any) -> "Linear":
        raise NotImplementedError


def linear(*rows: list[float]) -> Linear:
    return Linear(np.array(rows, dtype=np.float32))


def of(*preferences: float) -> Histories:
    matrix = csr_array(np.array([preferences], dtype=np.float32))
    return Histories(matrix, np.zeros(matrix.nnz, dtype=np.float32))


def test_parts_of_all_families_sum_to_the_blend(models: dict[str, Recommender]) -> None:
    blend = Blend({name: 1 / len(models) for name in models})
    for row in (0, 5, 23):
        known = history(row)
        parts = blended(models, blend, known, ALL)
        expected = blend.score(models, known)[0]
        np.testing.assert_allclose(parts.total, expected, rtol=1e-5, atol=1e-6)
        assert parts.entries.shape == (N_ITEMS, known.matrix.nnz)
        # What is left to others is popularity, trends and ties.
        impersonal = sum(np.maximum(parts.families[name], 0) for name in ("popularity", "trending", "social"))
        np.testing.assert_allclose(parts.unexplained, impersonal, atol=2e-4)
        np.testing.assert_allclose(parts.entries.sum(axis=1) + impersonal, expected, atol=2e-4)
        assert (parts.shares >= 0).all()
        assert (parts.shares.sum(axis=1) <= 1 + 1e-5).all()


def test_nothing_carried_what_was_passed_over() -> None:
    rng = np.random.default_rng(5)
    vectors = (rng.normal(size=(4_000, 6)) * rng.pareto(1.0, size=(4_000, 1))).astype(np.float32)
    svd = TruncatedSVD(None, ItemVectors.of(vectors), np.ones(4_000, dtype=np.float32))
    matrix = csr_array((np.ones(2, dtype=np.float32), [7, 90], [0, 2]), shape=(1, 4_000))
    known, everything = Histories(matrix, np.zeros(2, dtype=np.float32)), np.arange(4_000, dtype=np.int32)
    blend = Blend({"truncated_svd": 1.0})
    parts = blended({"truncated_svd": svd}, blend, known, everything)
    np.testing.assert_allclose(parts.total, blend.score({"truncated_svd": svd}, known)[0], atol=1e-6)
    passed_over = parts.total == 0
    assert passed_over.sum() > 500
    assert not parts.entries[passed_over].any()
    assert not parts.unexplained[passed_over].any()


def test_what_comes_again_is_carried_by_itself(models: dict[str, Recommender]) -> None:
    known = history(3)
    parts = blended(models, Blend({"repeat": 1.0}), known, known.matrix.indices)
    off_diagonal = parts.entries - np.diag(np.diag(parts.entries))
    assert not off_diagonal.any()
    np.testing.assert_allclose(np.diag(parts.entries), parts.total, rtol=1e-5)
    assert parts.total.any()


def test_somebody_of_whom_nothing_is_known(models: dict[str, Recommender]) -> None:
    blend = Blend({"popularity": 0.5, "als": 0.3, "repeat": 0.2})
    parts = blended(models, blend, WORLD.history(), ALL)
    assert parts.entries.shape == (N_ITEMS, 0)
    np.testing.assert_allclose(parts.unexplained, parts.total)
    assert parts.shares.shape == (N_ITEMS, 0)


def test_parts_are_scaled_as_the_blend_scales_the_scores() -> None:
    # The best score of the first family is 8 + 2 = 10, of the second 1.
    first = linear([0, 0, 8, -30], [0, 0, 2, 4], [0] * 4, [0] * 4)
    second = linear([0, 0, 0, 0], [0, 0, 1, 0.5], [0] * 4, [0] * 4)
    models: dict[str, Recommender] = {"ease": first, "rp3beta": second}
    blend = Blend({"ease": 0.75, "rp3beta": 0.25})
    parts = blended(models, blend, of(1, 1, 0, 0), np.array([2, 3], dtype=np.int32))
    np.testing.assert_allclose(parts.entries[0], [0.6, 0.15 + 0.25], rtol=1e-6)
    # -26 of 10 is bounded at -1, and its parts with it.
    np.testing.assert_allclose(parts.families["ease"], [0.75, -0.75], rtol=1e-6)
    np.testing.assert_allclose(parts.entries[1], [-0.75 * 30 / 26, 0.75 * 4 / 26 + 0.125], rtol=1e-5)
    np.testing.assert_allclose(
        parts.entries.sum(axis=1), blend.score(models, of(1, 1, 0, 0))[0, 2:], rtol=1e-5
    )
    # What speaks against an item has no share in it.
    np.testing.assert_allclose(parts.shares, np.array([[0.6, 0.4], [0, 1]]), rtol=1e-6)


def test_a_family_that_advises_against_everything_adds_nothing() -> None:
    models: dict[str, Recommender] = {"ease": linear([-1, -2], [0, 0]), "rp3beta": linear([0, 2], [0, 0])}
    parts = blended(models, Blend({"ease": 0.5, "rp3beta": 0.5}), of(1, 0), np.array([0, 1], dtype=np.int32))
    np.testing.assert_allclose(parts.total, np.array([0, 0.5]))
    np.testing.assert_allclose(parts.entries, np.array([[0], [0.5]]))


def test_cold_items_are_carried_by_what_carries_those_that_they_are_like() -> None:
    # Items 0 and 1 are known; 2 and 3 are chosen with them; 4 is like 2 and 3; 5 is like 3, which is advised
    # against; 6 is like 2 but has more of its own.
    weights = np.zeros((7, 7), dtype=np.float32)
    weights[0, 2], weights[1, 2], weights[1, 3], weights[1, 6] = 0.6, 0.4, -0.5, 0.9
    weights[0, 4] = 0.01
    models: dict[str, Recommender] = {"ease": Linear(weights)}
    shares = np.zeros((3, 7), dtype=np.float32)
    shares[0, 2], shares[0, 3], shares[1, 3], shares[2, 2] = 0.5, 0.3, 0.8, 0.8
    cold = ColdItems(np.array([4, 5, 6], dtype=np.int32), csr_array(shares), 0.5)
    came = csr_array(np.array([[0, 0, 1.0, 0, 0, 0, 0], [0] * 7], dtype=np.float32))
    known = of(1, 1, 0, 0, 0, 0, 0)
    items = np.array([6, 4, 2, 5], dtype=np.int32)
    blend = Blend({"ease": 1.0})
    parts, lent = served(models, blend, cold, known, items, came)
    expected = cold.lend(blend.score(models, known))[0, items]
    np.testing.assert_allclose(parts.total, [*expected, 0.5, 0], rtol=1e-5)
    np.testing.assert_allclose(parts.entries.sum(axis=1), parts.total, rtol=1e-5)
    np.testing.assert_allclose(parts.entries[1], [0.5 * 0.5 * 0.6, 0.5 * 0.5 * 0.4], rtol=1e-5)
    np.testing.assert_allclose(parts.entries[4], [0.3, 0.2], rtol=1e-5)
    gained = lent.toarray()
    np.testing.assert_allclose(gained[[1, 4], 2], [0.25, 0.5], rtol=1e-5)
    gained[[1, 4], 2] = 0
    assert not gained.any()
    none, _ = served(models, blend, cold.with_factor(0.0), known, items)
    np.testing.assert_allclose(none.total, blend.score(models, known)[0, items], rtol=1e-6)


def test_nothing_is_wanted_or_nothing_is_cold(models: dict[str, Recommender]) -> None:
    blend = Blend({"ease": 1.0})
    nothing = np.empty(0, dtype=np.int32)
    parts, lent = served(models, blend, ColdItems.none(N_ITEMS), history(0), nothing)
    assert parts.total.shape == (0,)
    assert lent.shape == (0, N_ITEMS)
    without_parents = csr_array(np.zeros((1, N_ITEMS), dtype=np.float32))
    parts, _ = served(models, blend, ColdItems.none(N_ITEMS), history(0), nothing, without_parents)
    assert parts.total.tolist() == [0]
    assert parts.shares.shape == (1, history(0).matrix.nnz)


def test_more_of_an_item_carries_more(models: dict[str, Recommender]) -> None:
    known = WORLD.history("i00", "i02")
    more = replace(known, matrix=csr_array(known.matrix.multiply(np.where(ALL == 2, 3, 1)[None, :])))
    blend = Blend({"ease": 0.5, "item_neighbours": 0.5})
    item = np.array([4], dtype=np.int32)
    before, after = (blended(models, blend, each, item).shares[0] for each in (known, more))
    assert after[1] > before[1] > 0
    assert after[0] < before[0]
