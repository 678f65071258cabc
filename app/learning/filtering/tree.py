"""What a filter is once it is understood, and what is raised where it cannot be."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

Sign = Literal["=", "!=", "<", "<=", ">", ">="]
Operator = Literal[Sign, "in", "has", "under", "starts with", "contains", "between", "exists", "missing"]
Place = int | str
"""Of a text the column, counted from 1; of a tree the JSON pointer."""

LONGEST: Final = 4_000
"""Characters of a filter's text, and of a text in it."""
DEEPEST: Final = 50


class FilterError(ValueError):
    """The filter cannot be understood; says where.

    `column` counts from 1 and is 0 for a filter that is a tree, `pointer` is empty for one that is a text.
    """

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message if isinstance(place, str) else f"column {place}: {message}")
        self.column = 0 if isinstance(place, str) else place
        self.pointer = place if isinstance(place, str) else ""


@dataclass(frozen=True)
class Field:
    """What is compared, by its name."""

    name: str
    place: Place = field(default=0, compare=False)


@dataclass(frozen=True)
class Value:
    """A value as written."""

    value: float | str | bool
    place: Place = field(default=0, compare=False)


@dataclass(frozen=True)
class Parameter:
    """A value, or a list of values, that comes with each request."""

    name: str
    place: Place = field(default=0, compare=False)


@dataclass(frozen=True)
class Values:
    """Several values: a list, the two of `between`, or none."""

    values: tuple[Value | Parameter, ...] = ()
    place: Place = field(default=0, compare=False)


Operand = Field | Value | Parameter | Values


@dataclass(frozen=True)
class Comparison:
    left: Operand
    operator: Operator
    right: Operand
    place: Place = field(default=0, compare=False)
    """Of the operator."""


@dataclass(frozen=True)
class Not:
    part: "Filter"


@dataclass(frozen=True)
class And:
    parts: tuple["Filter", ...]


@dataclass(frozen=True)
class Or:
    parts: tuple["Filter", ...]


Filter = Comparison | Not | And | Or


def comparisons(tree: Filter) -> Iterator[Comparison]:
    """All comparisons of a filter, from left to right."""
    if isinstance(tree, Comparison):
        yield tree
    elif isinstance(tree, Not):
        yield from comparisons(tree.part)
    else:
        for part in tree.parts:
            yield from comparisons(part)


def fields(tree: Filter) -> set[str]:
    """Names that the filter reads."""
    sides = [side for comparison in comparisons(tree) for side in (comparison.left, comparison.right)]
    return {side.name for side in sides if isinstance(side, Field)}
