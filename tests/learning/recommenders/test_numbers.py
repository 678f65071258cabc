"""Numbers of items: soft bins, prices beside their category, attributes."""

from typing import Any

import numpy as np
import pytest

from app.learning.recommenders.attributes import (
    attribute_numbers,
    attribute_terms,
    attribute_values,
    numeric_attributes,
)
from app.learning.recommenders.price_levels import PriceLevels
from app.learning.recommenders.soft_bins import SoftBins
from app.learning.recommenders.text import category_terms, hashed_counts

NAN = float("nan")


def column(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array(values, dtype=np.float64)[:, None]


def test_the_nearer_two_numbers_the_more_alike() -> None:
    bins = SoftBins.learn(column(*range(100)))
    vectors = bins.of(column(50, 51, 55, 70, 99)).toarray()
    alike = vectors @ vectors[0]
    assert (np.diff(alike) <= 0).all()
    assert alike[0] == pytest.approx(1.0)
    assert alike[1] > 0.95 > alike[2] > 0.3
    assert alike[3] == alike[4] == 0.0
    assert len(bins) == 8


def test_numbers_beyond_those_of_the_training_are_at_the_edge() -> None:
    bins = SoftBins.learn(column(*range(100)))
    np.testing.assert_array_equal(
        bins.of(column(-1e9, 0, 1e9)).toarray(), bins.of(column(0, 0, 99)).toarray()
    )


def test_unknown_numbers_are_empty_and_a_constant_has_no_bins() -> None:
    values = np.array([[1.0, 5.0, NAN], [2.0, 5.0, NAN], [NAN, 5.0, NAN]])
    bins = SoftBins.learn(values)
    found = bins.of(values).toarray()
    assert found.shape == (3, len(bins))
    assert bins.starts.tolist() == [0, len(bins), len(bins), len(bins)]
    assert not found[2].any()
    np.testing.assert_allclose(np.linalg.norm(found[:2], axis=1), 1.0)


def test_one_exception_among_equals_stands_apart() -> None:
    bins = SoftBins.learn(column(*[3.0] * 99, 4.0))
    np.testing.assert_array_equal(bins.of(column(3.0, 4.0)).toarray(), np.eye(2))


def test_a_price_is_dear_or_cheap_for_its_category() -> None:
    paths = [["Shoes"]] * 5 + [["Shoes > Laces"]] * 5 + [["Pens"]] * 2 + [[]] * 5
    prices = np.array([80, 90, 100, 110, 120, 1, 2, 3, 4, 5, 7, 8, NAN, 0, -3, np.inf, 20], dtype=np.float32)
    categories = hashed_counts(map(category_terms, paths), len(paths))
    relative = PriceLevels.learn(prices, categories).relative(prices, categories)
    # Laces are shoes too, so the middle of the shoes lies between 5 and 80; their own level is narrower.
    assert relative[2] == pytest.approx(np.log(100 / 20), abs=1e-6)
    assert relative[7] == pytest.approx(0.0)
    assert relative[9] == pytest.approx(np.log(5 / 3), abs=1e-6)
    shop = np.median(np.log(prices[np.isfinite(prices) & (prices > 0)]))
    # Two pens are too few for a level of their own.
    assert relative[10] == pytest.approx(np.log(7) - shop, abs=1e-6)
    assert np.isnan(relative[12:16]).all()
    assert np.isfinite(relative[16])


def test_without_prices_there_is_no_level() -> None:
    categories = hashed_counts([["category:x"]] * 6, 6)
    prices = np.full(6, NAN, dtype=np.float32)
    assert np.isnan(PriceLevels.learn(prices, categories).relative(prices, categories)).all()
    assert PriceLevels.learn(prices[:0], hashed_counts([], 0)).relative(prices[:0], categories[:0]).size == 0


def test_attributes_as_terms() -> None:
    attributes = {
        "Größe": " Extra  LARGE ",
        "waterproof": True,
        "vegan": False,
        "weight": 3.5,
        "fits": ["Trail", 7, None, "road", ["x"]],
        "story": "x" * 51,
        "none": None,
        "nested": {"a": "b"},
        "": "x",
        "n" * 101: "x",
        "empty": "",
    }
    assert sorted(attribute_terms(attributes)) == [
        "fits=road",
        "fits=trail",
        "grosse=extra large",
        "vegan=false",
        "waterproof=true",
    ]
    assert list(attribute_terms(dict(reversed(attributes.items())))) == list(attribute_terms(attributes))
    assert len(list(attribute_terms({"many": [f"v{n}" for n in range(500)]}))) == 100


def test_which_numbers_are_compared() -> None:
    of_items: list[dict[str, Any]] = [
        {"size": n, "rare": 1, "same": 4, "flag": n % 2 == 0, "word": str(n)} for n in range(2)
    ]
    of_items += [{"size": 3.0, "same": 4}] * 50
    numbers = [attribute_numbers(each) for each in of_items]
    assert numeric_attributes(numbers, len(numbers)) == ("size",)
    assert numeric_attributes([{"a": n, "b": -n} for n in range(3)], 3) == ("a", "b")
    assert len(numeric_attributes([{f"n{k}": n for k in range(30)} for n in range(3)], 3)) == 7
    assert numeric_attributes([], 0) == ()


def test_numbers_that_are_none_are_left_out() -> None:
    odd = [{"x": value} for value in (1, NAN, np.inf, 10**400, "7", True, None, [3], -1e300, 2.5)]
    numbers = [attribute_numbers(each) for each in odd]
    np.testing.assert_array_equal(attribute_values(numbers, ("x",), len(odd))[:, 0], [1.0, *[NAN] * 8, 2.5])
    assert attribute_values([], (), 0).shape == (0, 0)
