"""What a filter may name beside the features: predicted figures, and the shop's own attributes of its users.

An attribute is read as what the filter compares it with, so that one customer is judged as all are.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from app.learning.customers.features import FEATURES, Feature
from app.learning.customers.segments.rule_matching import matches
from app.learning.filtering.tree import Field, Filter, FilterError, Operand, Value, comparisons

Kind = Literal["number", "text", "yes or no"]
Kinds = Mapping[str, Mapping[str, int]]
"""By attribute how many users have a value of each kind."""

FIGURES: Final = (
    Feature(
        "churn", "probability", "That the customer buys no more (visits no more, in a shop without sales)"
    ),
    Feature("next_purchase", "probability", "That the customer buys within the horizon"),
    Feature("next_purchase_days", "days", "Until the next purchase, if it comes within the horizon"),
    Feature("expected_days", "days", "Until the next purchase, whenever it comes; at most ten years"),
    Feature("value", "currency", "Money that the customer will spend within the horizon, less refunds"),
    Feature("alive", "probability", "That a buyer still is a customer"),
    Feature("expected_purchases", "days", "Days with a purchase in the year to come"),
    Feature("lifetime_value", "currency", "Money of the year to come, discounted"),
)
"""Predicted figures. Each is unknown for customers it is not told of."""
LEARNED: Final = frozenset(feature.name for feature in (*FEATURES, *FIGURES))
"""Names that are no attributes: they go before an attribute of the same name."""
MOST_ATTRIBUTES: Final = 1_000
"""Different attributes that filters can name; the first ones found."""
LONGEST_TEXT: Final = 200
"""Characters of a text in a filter; it bounds what a column of texts takes."""
_A: Final[Mapping[str, str]] = {"number": "a number", "text": "a text", "yes or no": "yes or no"}


def compared_kinds(rule: Filter) -> dict[str, Kind]:
    """What each attribute of a rule is read as; raises `FilterError` where it is compared as two kinds.

    An attribute that is compared with another attribute alone is a number.
    """
    found: dict[str, Kind] = {}
    rest: list[Field] = []
    for comparison in comparisons(rule):
        for side, other in ((comparison.left, comparison.right), (comparison.right, comparison.left)):
            if not isinstance(side, Field) or side.name in LEARNED:
                continue
            if isinstance(other, Field) and other.name not in LEARNED:
                rest.append(side)
                continue
            kind: Kind = "number" if isinstance(other, Field) else _literal_kind(other)
            before = found.setdefault(side.name, kind)
            if before != kind:
                raise FilterError(side.place, f"'{side.name}' is compared as {_A[before]} and as {_A[kind]}")
    for field in rest:
        found.setdefault(field.name, "number")
    return found


def check_names(rule: Filter, kinds: Kinds | None) -> None:
    """Raises `FilterError` for a name that is not there, and where things of different kinds are compared.

    Without `kinds` (nothing is known of the attributes) any attribute is taken as it is compared.
    """
    compared = compared_kinds(rule)
    for comparison in comparisons(rule):
        for side in (comparison.left, comparison.right):
            if isinstance(side, Value) and isinstance(side.value, str) and len(side.value) > LONGEST_TEXT:
                raise FilterError(side.place, f"a text may have {LONGEST_TEXT} characters")
            if isinstance(side, Field) and kinds is not None:
                _check_kind(side, compared, kinds)
    attributes: dict[str, Kind] = dict.fromkeys(kinds or {}, "number")
    columns = {name: empty_column(kind, 0, 1) for name, kind in (attributes | compared).items()}
    if kinds is not None:
        columns = {name: column for name, column in columns.items() if name in kinds}
    matches(rule, columns | {name: np.empty(0) for name in LEARNED}, 0)


def text_width(rule: Filter) -> int:
    """Characters by which texts are told apart from all that the rule compares them with."""
    sides = [side for comparison in comparisons(rule) for side in (comparison.left, comparison.right)]
    values = [side.value for side in sides if isinstance(side, Value)]
    return 1 + max((len(value) for value in values if isinstance(value, str)), default=0)


def count_kinds(rows: Iterable[Mapping[str, Any]], counts: dict[str, Counter[str]]) -> None:
    """Add how many of the rows have a value of each kind, by attribute, of at most `MOST_ATTRIBUTES`."""
    for row in rows:
        for name, value in row.items():
            kind = kind_of(value)
            if kind is not None and (name in counts or len(counts) < MOST_ATTRIBUTES):
                counts.setdefault(name, Counter())[kind] += 1


def kind_of(value: Any) -> Kind | None:
    """Kind of an attribute's value; None for what no filter can compare."""
    if isinstance(value, bool):
        return "yes or no"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) and value else None


def empty_column(kind: Kind, n: int, width: int) -> NDArray[Any]:
    """A column `(n,)` of which nothing is known; of yes or no: all no."""
    if kind == "number":
        return np.full(n, np.nan)
    return np.zeros(n, dtype=np.bool_ if kind == "yes or no" else f"U{width}")


def stored(value: Any, kind: Kind, width: int) -> Any:
    """A value as a column of the kind has it; None where it is not of that kind."""
    if kind_of(value) != kind:
        return None
    if kind == "text":
        return value[:width]
    if kind == "number":
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None
    return value


def _check_kind(field: Field, compared: Mapping[str, Kind], kinds: Kinds) -> None:
    held = kinds.get(field.name) if field.name not in LEARNED else None
    if held and not held.get(compared[field.name]):
        usual = max(held, key=lambda kind: held[kind])
        wanted = compared[field.name]
        raise FilterError(field.place, f"'{field.name}' is {_A[usual]} here, and compared as {_A[wanted]}")


def _literal_kind(side: Operand) -> Kind:
    if isinstance(side, Value) and isinstance(side.value, bool):
        return "yes or no"
    return "text" if isinstance(side, Value) and isinstance(side.value, str) else "number"
