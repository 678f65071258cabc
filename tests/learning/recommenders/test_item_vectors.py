"""Inner products with the vectors of a catalogue, of which most are short."""

import numpy as np
import pytest
from numpy.typing import NDArray

from app.learning.recommenders.item_vectors import LEADERS, LEAST, ItemVectors


def _catalogue(n: int, seed: int = 3) -> NDArray[np.float32]:
    """Lengths as in a shop: a few long, most a hundredth of these."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, 8)) * rng.pareto(1.2, size=(n, 1))).astype(np.float32)


def test_what_cannot_come_near_the_best_is_passed_over_and_nothing_else() -> None:
    vectors = _catalogue(20_000)
    held = ItemVectors.of(vectors)
    for seed in range(5):
        other = np.random.default_rng(seed).normal(size=8).astype(np.float32)
        exact = vectors @ other
        found = held.evidence(other)
        assert LEADERS <= len(found.items) < 10_000
        asked = np.zeros(len(vectors), dtype=np.bool_)
        asked[found.items] = True
        np.testing.assert_allclose(found.dense()[0][asked], exact[asked], rtol=1e-4, atol=1e-4)
        assert np.abs(exact[~asked]).max() <= LEAST * exact.max()


def test_a_batch_is_asked_as_each_of_it() -> None:
    vectors = _catalogue(20_000)
    held = ItemVectors.of(vectors)
    others = np.random.default_rng(1).normal(size=(6, 8)).astype(np.float32)
    scores = held.scores(others)
    for row, other in enumerate(others):
        found = held.evidence(other)
        np.testing.assert_allclose(scores[row], found.dense()[0], rtol=1e-4, atol=1e-4)
        some = np.arange(0, 20_000, 7)
        np.testing.assert_array_equal(found.at(some), found.dense()[0, some])


@pytest.mark.parametrize("n", [1, 5, LEADERS])
def test_a_small_catalogue_is_asked_whole(n: int) -> None:
    vectors = _catalogue(n)
    other = np.random.default_rng(2).normal(size=8).astype(np.float32)
    found = ItemVectors.of(vectors).evidence(other)
    np.testing.assert_allclose(found.dense()[0], vectors @ other, rtol=1e-4, atol=1e-4)


def test_where_the_leaders_say_nothing_for_it_all_are_asked() -> None:
    vectors = _catalogue(3_000)
    vectors[:, 0] = np.abs(vectors[:, 0])
    other = np.eye(8, dtype=np.float32)[0] * -1
    assert len(ItemVectors.of(vectors).evidence(other).items) == 3_000


def test_of_somebody_unknown_nothing_is_said() -> None:
    found = ItemVectors.of(_catalogue(3_000)).evidence(np.zeros(8, dtype=np.float32))
    assert len(found.items) == LEADERS
    assert not found.scores.any()


def test_they_are_stored_and_read_as_releases_before_wrote_them() -> None:
    vectors = _catalogue(50)
    held = ItemVectors.of(vectors)
    again = ItemVectors.from_arrays(held.arrays(), "factors")
    older = ItemVectors.from_arrays({"factors": vectors}, "factors")
    for one in (again, older):
        np.testing.assert_array_equal(one.of_items(np.arange(50)), vectors)
        np.testing.assert_array_equal(one.items, held.items)
