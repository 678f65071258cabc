"""Filters whose parameters come later: what no value could mend is found now."""

import pytest

from app.learning.filtering.checking import check
from app.learning.filtering.grammar import parse
from app.learning.filtering.item_fields import ITEMS
from app.learning.filtering.tree import FilterError


@pytest.mark.parametrize(
    "text",
    [
        "price <= $a",
        "title contains $a",
        "available_from >= $a",
        "tags in $a",
        "brand in [$a, 'x', $b]",
        "price between $a and $b",
        "attributes.x > $a or not attributes.x = $a",
        "category under $given and price < $a",
    ],
)
def test_what_some_values_fit(text: str) -> None:
    check(parse(text, ITEMS), {"given": "Shoes"})


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("price <= $a and prise < 3", 17),
        ("title < $a", 7),
        ("price in [$a, 'x']", 15),
        ("price < $a or price < $given", 23),
        ("tags in $given", 9),
    ],
)
def test_what_no_value_mends(text: str, column: int) -> None:
    with pytest.raises(FilterError) as error:
        check(parse(text, ITEMS), {"given": "Shoes"})
    assert error.value.column == column
