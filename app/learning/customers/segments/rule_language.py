"""The language of saved filters over customers: `recency_days < 30 and (monetary > 100 or country = "DE")`.

The grammar is that of all filters, without comparisons by words, lists and parameters.
"""

from typing import Final

from app.learning.filtering.grammar import Dialect, parse
from app.learning.filtering.tree import Filter

CUSTOMERS: Final = Dialect("a feature or attribute", words=False)


def parse_rule(text: str) -> Filter:
    """The tree of a filter; raises `FilterError` where it cannot be understood."""
    return parse(text, CUSTOMERS)
