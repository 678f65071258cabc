"""The groups of RFM and the table that gives each of the 125 scores its group."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

GROUPS: Final = (
    ("champions", "bought most recently, most often and for most"),
    ("loyal", "buy often, and lately"),
    ("potential loyalists", "bought lately, not yet as often as others"),
    ("new", "bought most recently, and least often"),
    ("promising", "bought lately, and least often"),
    ("need attention", "were good customers and begin to stay away"),
    ("about to sleep", "bought little, some time ago"),
    ("at risk", "bought often or for much, long ago"),
    ("cannot lose", "were among the best, and have been away for long"),
    ("hibernating", "bought little, long ago"),
    ("lost", "bought little, longest ago"),
)
"""Name and meaning, the best first. All beside the shop's other customers: scores are fifths of them."""

_LETTERS: Final = "CLYNPASRBHO"
"""Champions, Loyal, potential loYalists, New, Promising, need Attention, about to Sleep, at Risk, cannot lose
(Best once: B), Hibernating, lOst: one for each group, in their order."""
_TABLE: Final = {
    # One word for each frequency from 1 to 5, one letter in it for each monetary score from 1 to 5.
    5: "NNNNN YYYYY YYYLL LLLCC LLCCC",
    4: "PPPPP YYYYY YYYLL LLLCC LLCCC",
    3: "SSSAA SSAAA AAAAA AALLL LLLLL",
    2: "HHHRR HHRRR RRRRR RRRBB RRBBB",
    1: "OOOOH OOOHR HHRRR RRRBB RRBBB",
}
"""Groups by recency, 5 the most recent. Frequency and money 5 are the most."""


def group_table() -> NDArray[np.int8]:
    """Group of each score, `(5, 5, 5)` over recency, frequency and money, each less 1."""
    rows = [
        [_LETTERS.index(letter) for letter in _TABLE[recency].replace(" ", "")] for recency in range(1, 6)
    ]
    return np.array(rows, dtype=np.int8).reshape(5, 5, 5)
