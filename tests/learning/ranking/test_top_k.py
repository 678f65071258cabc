import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from app.learning.ranking.top_k import top_k
from app.learning.recommenders.base import Scores

FEW = [0.0, -0.0, 1.0, 2.0, -1.0, np.nan, np.inf, -np.inf]
SCORES = hnp.arrays(
    np.float32, st.tuples(st.integers(0, 4), st.integers(0, 12)), elements=st.sampled_from(FEW)
)


def _naive(scores: Scores, n: int, allowed: NDArray[np.bool_]) -> list[list[int]]:
    return [
        sorted((i for i in range(len(row)) if ok[i] and row[i] > -np.inf), key=lambda i: (-row[i], i))[:n]
        for row, ok in zip(scores, allowed, strict=True)
    ]


@given(SCORES, st.integers(0, 14), st.sampled_from(["none", "shared", "each"]), st.data())
def test_as_a_plain_sort(scores: Scores, n: int, mask: str, data: st.DataObject) -> None:
    allowed = None
    if mask != "none":
        shape = scores.shape[1:] if mask == "shared" else scores.shape
        allowed = data.draw(hnp.arrays(np.bool_, shape))
    everywhere = np.broadcast_to(True if allowed is None else allowed, scores.shape)
    items, best = top_k(scores, n, allowed)
    assert items.shape == best.shape == (len(scores), n)
    assert items.dtype == np.int32
    assert best.dtype == np.float32
    for row, wanted in enumerate(_naive(scores, n, everywhere)):
        assert items[row].tolist() == wanted + [-1] * (n - len(wanted))
        np.testing.assert_array_equal(best[row, : len(wanted)], scores[row, wanted])
        assert (best[row, len(wanted) :] == 0).all()


@given(
    hnp.arrays(np.float32, st.integers(60, 700), elements=st.sampled_from([0.0] * 9 + FEW[2:] + [0.5])),
    st.integers(1, 6),
)
def test_many_scores_as_a_plain_sort(row: NDArray[np.float32], n: int) -> None:
    wanted = _naive(row[None, :], n, np.ones((1, len(row)), dtype=np.bool_))[0]
    assert top_k(row[None, :], n)[0][0].tolist() == wanted + [-1] * (n - len(wanted))


def test_ties_at_the_cut_go_to_the_lower_item() -> None:
    scores = np.zeros((1, 100_000), dtype=np.float32)
    scores[0, 70_000] = 1
    assert top_k(scores, 4)[0].tolist() == [[70_000, 0, 1, 2]]


@pytest.mark.parametrize("allowed_items", [[5, 9], list(range(9_000))])
def test_leaves_the_scores_as_they_are(allowed_items: list[int]) -> None:
    scores = np.random.default_rng(0).random((2, 10_000), dtype=np.float32)
    scores[0, 3] = np.nan
    before = scores.copy()
    scores.flags.writeable = False
    allowed = np.zeros(10_000, dtype=np.bool_)
    allowed[allowed_items] = True
    top_k(scores, 5, allowed)
    np.testing.assert_array_equal(scores, before)
