"""The shop's own attributes of its customers as numbers."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MOST_CATEGORIES: Final = 20
_LEAST_USERS: Final = 2
"""Users that must share a category: what each has for themselves (a name, an address) tells nothing."""
_MOST_ATTRIBUTES: Final = 100


@dataclass(frozen=True)
class AttributeColumn:
    """How one column is made."""

    attribute: str
    kind: Literal["number", "category", "missing"]
    """A number (or truth value) as it is, one value of a category, or whether a number is missing."""
    category: str = ""
    fill: float = 0.0
    """What stands for a number that is missing: the median."""

    @property
    def name(self) -> str:
        if self.kind == "category":
            return f"{self.attribute} = {self.category}"
        return f"{self.attribute} is missing" if self.kind == "missing" else self.attribute


@dataclass(frozen=True)
class AttributeTable:
    """Attributes of users."""

    columns: tuple[AttributeColumn, ...]
    values: Floats
    """`(n_users, n_columns)`, finite."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def units(self) -> tuple[str, ...]:
        return tuple("" if column.kind == "number" else "yes or no" for column in self.columns)

    def describe(self) -> list[dict[str, Any]]:
        """The columns as plain values for JSON; `AttributeColumn(**each)` gives them back."""
        return [asdict(column) for column in self.columns]

    @classmethod
    def empty(cls, n_users: int) -> Self:
        return cls((), np.zeros((n_users, 0)))


def attribute_table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[AttributeColumn] | None = None
) -> AttributeTable:
    """One row per user; with `columns`, those of an earlier table, so that new users fit its model.

    Numbers and truth values stay what they are, texts become a column for each of the 20 most frequent
    values; anything else (lists, objects, numbers that are not finite) counts as missing.
    """
    if columns is None:
        columns = _columns(rows)
    values = np.zeros((len(rows), len(columns)))
    for place, column in enumerate(columns):
        given = [row.get(column.attribute) for row in rows]
        if column.kind == "category":
            values[:, place] = [_text(value) == column.category for value in given]
            continue
        numbers = [_number(value) for value in given]
        if column.kind == "missing":
            values[:, place] = [number is None for number in numbers]
        else:
            values[:, place] = [column.fill if number is None else number for number in numbers]
    return AttributeTable(tuple(columns), values)


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[AttributeColumn]:
    numbers: dict[str, list[float]] = defaultdict(list)
    texts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        for attribute, value in row.items():
            if (number := _number(value)) is not None:
                numbers[attribute].append(number)
            elif text := _text(value):
                texts[attribute][text] += 1
    columns = []
    for attribute in sorted(numbers.keys() | texts.keys())[:_MOST_ATTRIBUTES]:
        given, told = numbers[attribute], texts[attribute]
        if len(given) >= told.total():
            columns.append(AttributeColumn(attribute, "number", fill=float(np.median(given))))
            if len(given) < len(rows):
                columns.append(AttributeColumn(attribute, "missing"))
            continue
        # Equally frequent ones by their name, so that the order of the users does not matter.
        frequent = sorted(told.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_CATEGORIES]
        columns += [
            AttributeColumn(attribute, "category", category)
            for category, count in frequent
            if count >= _LEAST_USERS
        ]
    return columns


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
