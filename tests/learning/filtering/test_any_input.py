"""Filters of any text and any JSON; the same properties as `python -m tests.fuzz filter tree`."""

import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.learning.filtering.grammar import parse
from app.learning.filtering.item_fields import ITEMS
from app.learning.filtering.tree import LONGEST, FilterError
from tests.fuzz.filters import check_text, check_tree
from tests.fuzz.guided import plain_from, text_from

GIVEN: dict[str, Any] = {"a": ["x", 1], "b": 2}


@settings(max_examples=150)
@given(st.text(max_size=60) | st.binary(max_size=20).map(text_from))
@example("price = " + "1" * 300)
@example("attributes.x = 1e300 and " * 20 + "price = -0")
def test_texts(text: str) -> None:
    check_text(text, GIVEN)


@settings(max_examples=150)
@given(st.binary(max_size=60).map(plain_from))
def test_trees(plain: Any) -> None:
    check_tree(plain, GIVEN)


@pytest.mark.parametrize(
    "text",
    [
        "1" * (LONGEST - 1) + "x",
        "1" * (LONGEST // 2) + "." + "1" * (LONGEST // 2 - 2) + "x",
        "`" * LONGEST,
        '"' + "\\" * (LONGEST - 1),
        "(" * LONGEST,
        "not " * (LONGEST // 4),
    ],
    ids=lambda text: text[:4],
)
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    with pytest.raises(FilterError):
        parse(text, ITEMS)
    assert time.process_time() - began < 0.3  # digits took 0.6 s, by trying all ways to part them
