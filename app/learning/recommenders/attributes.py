"""What a shop's own attributes say of an item: terms and numbers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.learning.recommenders.text import fold

LONGEST_NAME = 100
LONGEST_VALUE = 50
"""Characters up to which a text is a value that others may have too."""
MOST_TERMS = 100
"""Terms of an item."""
MOST_NUMBERS = 7
"""Numeric attributes, those that most items have."""
LARGEST = 1e150
"""Beyond it numbers are left out, infinite ones too: they cannot be interpolated."""
LEAST_SHARE = 0.05
"""Share of the items from which on a numeric attribute is compared."""


def attribute_terms(attributes: Mapping[str, Any]) -> Iterator[str]:
    """`name=value` of booleans, short texts and the short texts of lists; at most 100."""
    number = 0
    # The order of an object's names is the database's, not the shop's.
    for name in sorted(attributes):
        folded = _name(name)
        value = attributes[name]
        for each in (value if isinstance(value, list) else [value]) if folded else []:
            text = _value(each)
            if text and number < MOST_TERMS:
                number += 1
                yield f"{folded}={text}"


def numeric_attributes(of_items: Iterable[Mapping[str, float]], n_items: int) -> tuple[str, ...]:
    """Names of the numbers that are given often enough and differ, the most frequent first, at most 7."""
    number: dict[str, int] = {}
    first: dict[str, float] = {}
    differ: set[str] = set()
    for numbers in of_items:
        for name, value in numbers.items():
            number[name] = number.get(name, 0) + 1
            if first.setdefault(name, value) != value:
                differ.add(name)
    often = [name for name in differ if number[name] >= max(2, LEAST_SHARE * n_items)]
    return tuple(sorted(often, key=lambda name: (-number[name], name))[:MOST_NUMBERS])


def attribute_values(
    of_items: Sequence[Mapping[str, float]], names: Sequence[str], n_items: int
) -> NDArray[np.float64]:
    """The named numbers, `(n_items, len(names))`; NaN where unknown."""
    values = np.full((n_items, len(names)), np.nan)
    places = {name: place for place, name in enumerate(names)}
    for row, numbers in enumerate(of_items if places else []):
        for name, value in numbers.items():
            if name in places:
                values[row, places[name]] = value
    return values


def attribute_numbers(attributes: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among the attributes by folded name; the smaller where two names fold alike."""
    found: dict[str, float] = {}
    for name, value in attributes.items():
        # A truth value is a number to Python.
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                continue
            folded = _name(name) if abs(number) <= LARGEST else ""
            if folded:
                found[folded] = min(number, found.get(folded, number))
    return found


@lru_cache(maxsize=4_096)
def _name(name: str) -> str:
    return fold(name.strip()) if len(name) <= LONGEST_NAME else ""


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and len(value) <= LONGEST_VALUE:
        return fold(" ".join(value.split()))
    return ""
