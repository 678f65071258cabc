import numpy as np
import pytest

from app.learning.ranking.blend import Blend, normalise


def test_best_of_a_row_becomes_one_and_zero_stays() -> None:
    scores = np.array([[0, 2, 4], [0, 0, 0], [-1, -2, 0], [1e-45, 0, 0], [-8, 0, 2]], dtype=np.float32)
    expected = [[0, 0.5, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0], [-1, 0, 1]]
    scaled = normalise(scores)
    np.testing.assert_array_equal(scaled, expected)
    assert scaled.dtype == np.float32
    assert scores[0, 2] == 4


def test_no_items() -> None:
    assert normalise(np.zeros((2, 0), dtype=np.float32)).shape == (2, 0)


def test_weighted_sum() -> None:
    scores = {
        "a": np.array([[1, 0]], dtype=np.float32),
        "b": np.array([[0, 1]], dtype=np.float32),
        "unused": np.array([[9, 9]], dtype=np.float32),
    }
    combined = Blend({"a": 0.25, "b": 0.75}).combine(scores)
    np.testing.assert_array_equal(combined, [[0.25, 0.75]])
    assert combined.dtype == np.float32


def test_a_missing_family_is_an_error() -> None:
    with pytest.raises(KeyError, match="b"):
        Blend({"a": 0.5, "b": 0.5}).combine({"a": np.zeros((1, 2), dtype=np.float32)})


def test_only_some_sources() -> None:
    blend = Blend({"als": 0.2, "ease": 0.3, "content": 0.1, "popularity": 0.4})
    assert blend.only(None) is blend
    assert blend.only(["collaborative", "latest"]).weights == pytest.approx({"als": 0.4, "ease": 0.6})
    assert blend.only(["popular"]).weights == {"popularity": 1.0}
    assert blend.only(["session"]).weights == {}
    assert Blend({"ease@idle": 0.5, "als": 0.5}).only({"collaborative"}).weights == {
        "ease@idle": 0.5,
        "als": 0.5,
    }
