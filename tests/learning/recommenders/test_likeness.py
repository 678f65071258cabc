"""What items have in common is told in the shop's own words, the most telling first."""

import numpy as np
import pytest

from app.learning.recommenders.content import Content, ContentConfig, fit
from app.learning.recommenders.likeness import terms_in_common
from tests.worlds import Text, item_table, world

SHOE = Text("Swift Zebra shoe", "light", ("Sport > Running Shoes",), "Hermès", ("on sale",))
ALIKE = Text("A zebra, SWIFT", "light", ("sport>running  shoes > Trail", "Gifts"), "hermes", ("sale",))
OTHERS = [Text(f"Copper pot {number} a shoe", "light", ("Home > Kitchen",), "Pan") for number in range(12)]


@pytest.fixture(scope="module")
def content() -> Content:
    texts = {f"i{number:02}": text for number, text in enumerate([SHOE, ALIKE, *OTHERS])}
    made = world([("u", "i00")], texts)
    return fit(ContentConfig(), made.dataset, np.random.default_rng(1))


def test_shared_terms_are_spelt_as_the_first_item_spells_them(content: Content) -> None:
    table = item_table([SHOE, ALIKE, OTHERS[0]])
    forth, back = terms_in_common(content, table, [(0, 1), (1, 0)], 20)
    assert set(forth) == {"Swift", "Zebra", "Running Shoes", "Sport", "Hermès", "sale"}
    assert set(back) == {"SWIFT", "zebra", "running shoes", "sport", "hermes", "sale"}
    # The words of the title weigh most.
    assert set(forth[:2]) == {"Swift", "Zebra"}
    assert terms_in_common(content, table, [(0, 1)], 2) == [forth[:2]]


def test_what_nearly_all_have_or_only_the_description_says_is_not_told(content: Content) -> None:
    table = item_table([SHOE, OTHERS[0]])
    assert terms_in_common(content, table, [(0, 1)], 20) == [[]], "'shoe' is in 13 of 14 titles"


def test_items_without_text_and_no_pairs(content: Content) -> None:
    table = item_table([Text(), SHOE])
    assert terms_in_common(content, table, [(0, 1), (0, 0), (1, 1)], 1)[:2] == [[], []]
    assert terms_in_common(content, item_table([Text()]), [(0, 0)], 3) == [[]]
    assert terms_in_common(content, table, [], 3) == []


def test_words_that_are_not_set_apart(content: Content) -> None:
    table = item_table([Text("绿茶 龙井"), Text("绿茶 碧螺春")])
    assert terms_in_common(content, table, [(0, 1)], 3) == [["绿茶"]]
