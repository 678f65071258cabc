import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from app.learning.evaluation.background import (
    DIMENSIONS,
    Background,
    background,
    category_shares,
    project,
)
from app.learning.evaluation.beyond import (
    beyond_accuracy,
    calibration,
    gini,
    intra_list_diversity,
    popularity_lift,
)
from app.learning.recommenders.content import FAMILY as CONTENT
from tests.worlds import Text, world

N_ITEMS = 6


def _unit(rows: list[list[float]]) -> csr_array:
    matrix = np.array(rows, dtype=np.float32)
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    return csr_array(np.divide(matrix, length, out=np.zeros_like(matrix), where=length > 0))


def _background(known_by: list[int], n_histories: int, categories: list[list[str]]) -> Background:
    vectors = _unit(np.eye(len(known_by)).tolist())
    return Background(np.array(known_by), n_histories, vectors, "content", category_shares(categories))


@given(st.data(), st.integers(1, 4), st.integers(1, 5))
def test_diversity_is_that_of_all_pairs(data: st.DataObject, n_users: int, n: int) -> None:
    vectors = _unit(
        data.draw(
            st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=N_ITEMS, max_size=N_ITEMS)
        )
    )
    item = st.integers(0, N_ITEMS - 1)
    lists = [data.draw(st.lists(item, max_size=n, unique=True)) for _ in range(n_users)]
    ranked = np.array([row + [-1] * (n - len(row)) for row in lists], dtype=np.int32)
    found = intra_list_diversity(ranked, vectors)
    dense = vectors.toarray()
    for row, items in enumerate(lists):
        cosines = [
            float(dense[a] @ dense[b]) for a, b in combinations(items, 2) if dense[a].any() and dense[b].any()
        ]
        expected = 1 - float(np.mean(cosines)) if cosines else math.nan
        assert found[row] == pytest.approx(expected, abs=1e-5, nan_ok=True)


def test_diversity_does_not_depend_on_how_users_are_taken_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    vectors = _unit(rng.random((50, 8)).tolist())
    ranked = np.array([rng.permutation(50)[:4] for _ in range(30)], dtype=np.int32)
    whole = intra_list_diversity(ranked, vectors)
    monkeypatch.setattr("app.learning.evaluation.beyond._PLACES", 12)
    np.testing.assert_allclose(intra_list_diversity(ranked, vectors), whole, atol=1e-6)


def test_many_dimensions_are_projected_and_diversity_stays_right() -> None:
    rng = np.random.default_rng(0)
    rows = (rng.random((20, 3 * DIMENSIONS)) < 0.05).astype(np.float32)
    rows[10:] = rows[:10]  # pairs of equal items
    vectors = _unit(rows.tolist())
    smaller = project(vectors, rng)
    assert smaller.shape == (20, DIMENSIONS)
    twins = np.array([[item, item + 10] for item in range(10)], dtype=np.int32)
    others = np.array([rng.permutation(10)[:8] for _ in range(20)], dtype=np.int32)
    for ranked, bound in ((twins, 0.2), (others, 0.03)):
        exact = intra_list_diversity(ranked, vectors)
        assert np.abs(intra_list_diversity(ranked, smaller) - exact).max() < bound
    assert np.abs(intra_list_diversity(twins, smaller)).mean() < 0.05


def test_few_dimensions_stay_exact() -> None:
    vectors = _unit([[0, 3, 0, 4], [0, 0, 0, 1]])
    dense = project(vectors, np.random.default_rng(0)).toarray()
    np.testing.assert_allclose(dense, np.array([[0.6, 0.8], [0.0, 1.0]]), atol=1e-6)


def test_novelty_is_information_in_bits() -> None:
    shop = _background([8, 4, 1, 0], 8, [[], [], [], []])
    ranked = np.array([[0, 1], [2, -1], [3, 2], [-1, -1]], dtype=np.int32)
    found = beyond_accuracy(ranked, csr_array((4, 4)), shop)
    # Of 8 histories 8, 4 and 1 hold the item: 0, 1 and 3 bits. What nobody knows is like the rarest.
    assert found.per_user["novelty"].tolist() == pytest.approx([0.5, 3, 3, math.nan], nan_ok=True)
    assert found.figures["novelty"] == pytest.approx(6.5 / 3)
    assert found.figures["calibration"] is None
    assert found.figures["popularity_lift"] is None


def test_popularity_lift_is_that_of_the_lists_over_the_histories() -> None:
    shop = _background([8, 4, 2, 1], 8, [[], [], [], []])
    histories = csr_array(np.array([[0.0, 0.2, 0.0, 3.0], [0.0, 0.0, 9.0, 0.0]], dtype=np.float32))
    found = beyond_accuracy(np.array([[0, 1], [3, -1]], dtype=np.int32), histories, shop)
    # Lists: 6/8 and 1/8; histories, each item once whatever its strength: 2.5/8 and 2/8.
    assert found.figures["popularity_lift"] == pytest.approx((6 + 1) / (2.5 + 2) - 1)
    own = beyond_accuracy(np.array([[1, 3], [2, -1]], dtype=np.int32), histories, shop)
    assert own.figures["popularity_lift"] == pytest.approx(0)
    assert popularity_lift(np.array([math.nan]), np.array([0.5])) is None


def test_calibration_as_steck_writes_it() -> None:
    categories = category_shares([["Tea"], ["Shoes", "Tea"], ["Shoes"], []])
    known = csr_array(np.array([[1.0, 0, 1, 1], [1, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]]))
    lists = csr_array(np.array([[1.0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]))
    found = calibration(known, lists, categories)
    p, q = 0.5, np.array([0.75, 0.25])  # the first user likes both alike, the list is 3/4 tea
    smooth = 0.99 * q + 0.01 * p
    assert found[0] == pytest.approx(float((p * np.log(p / smooth)).sum()))
    # Nothing of what the user likes: all that is left is the smoothing.
    assert found[1] == pytest.approx(math.log(100))
    assert np.isnan(found[2:]).all()
    assert calibration(known, known, categories)[:2] == pytest.approx([0, 0], abs=1e-12)


def test_calibration_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    known, lists = (csr_array((rng.random((9, 5)) < 0.5).astype(np.float64)) for _ in range(2))
    categories = category_shares([["a"], ["b"], ["a", "c"], ["d"], []])
    whole = calibration(known, lists, categories)
    monkeypatch.setattr("app.learning.evaluation.beyond._CELLS", 8)
    np.testing.assert_array_equal(calibration(known, lists, categories), whole)


def test_categories_are_two_levels_of_the_path() -> None:
    shares = category_shares([["Shoes > Running > Trail", "shoes>running", "Tea"], [" > "], ["TEA"]])
    assert shares.toarray().tolist() == [[0.5, 0.5], [0, 0], [0, 1]]


@pytest.mark.parametrize(
    ("exposure", "expected"), [([5, 5, 5, 5], 0.0), ([0, 0, 0, 7], 0.75), ([1, 3], 0.25), ([0, 0], 0.0)]
)
def test_gini(exposure: list[int], expected: float) -> None:
    assert gini(np.array(exposure)) == pytest.approx(expected)


def test_exposure_counts_the_whole_catalogue() -> None:
    shop = _background([1, 1, 1, 1], 2, [[], [], [], []])
    found = beyond_accuracy(np.array([[0, -1], [0, -1]], dtype=np.int32), csr_array((2, 4)), shop)
    assert found.gini == pytest.approx(0.75)


EVENTS: list[tuple[object, ...]] = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("c", "z"), ("c", "w")]


def test_items_are_compared_by_their_text_where_there_is_some() -> None:
    titles = {"x": "green tea", "y": "black tea", "z": "green tea", "w": "mug"}
    shop = world(EVENTS, {item: Text(title, categories=["Tea"]) for item, title in titles.items()})
    rng = np.random.default_rng(0)
    model = CONTENT.fit(CONTENT.config(), shop.dataset, rng)
    rows = shop.histories([("x", "y"), ("x", "y"), ("z", "w"), ()])
    found = background(rows, shop.dataset.items, {"content": model}, rng)
    assert (found.vectors_from, found.n_histories, found.known_by.tolist()) == ("content", 3, [1, 2, 2, 1])
    same, other = (
        intra_list_diversity(np.array([[shop.column(a), shop.column(b)]], dtype=np.int32), found.vectors)[0]
        for a, b in (("x", "z"), ("x", "w"))
    )
    assert same == pytest.approx(0, abs=1e-6)
    assert other > 0.3


def test_items_without_text_are_compared_by_who_knows_them() -> None:
    shop = world(EVENTS)
    rows = shop.histories([("x", "y"), ("x", "y"), ("x", "w"), ()])
    found = background(rows, shop.dataset.items, {}, np.random.default_rng(0))
    assert found.vectors_from == "co-occurrence"
    columns = {item: shop.column(item) for item in "wxyz"}

    def diversity(a: str, b: str) -> float:
        ranked = np.array([[columns[a], columns[b]]], dtype=np.int32)
        return float(intra_list_diversity(ranked, found.vectors)[0])

    assert diversity("x", "y") == pytest.approx(1 - 2 / math.sqrt(6))
    assert diversity("w", "y") == pytest.approx(1)
    assert math.isnan(diversity("x", "z"))
