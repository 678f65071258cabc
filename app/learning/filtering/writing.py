"""From a tree back to its text, and to the plain objects of JSON."""

from typing import Any, Final

from app.learning.filtering.grammar import RESERVED
from app.learning.filtering.tokens import named, quoted
from app.learning.filtering.tree import (
    And,
    Comparison,
    Field,
    Filter,
    FilterError,
    Not,
    Operand,
    Operator,
    Parameter,
    Values,
)

_TURNED: Final[dict[Operator, Operator]] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def text_of(tree: Filter) -> str:
    """A text whose tree is this one."""
    if isinstance(tree, Comparison):
        left, right = _operand(tree.left), tree.right
        if isinstance(right, Values) and tree.operator == "between":
            low, high = right.values
            return f"{left} between {_operand(low)} and {_operand(high)}"
        if tree.operator in ("exists", "missing"):
            return f"{left} {tree.operator}"
        return f"{left} {tree.operator} {_operand(right)}"
    if isinstance(tree, Not):
        return f"not {_enclosed(tree.part, isinstance(tree.part, Comparison | Not))}"
    if isinstance(tree, And):
        return " and ".join(_enclosed(part, isinstance(part, Comparison | Not)) for part in tree.parts)
    return " or ".join(_enclosed(part, isinstance(part, Comparison | Not | And)) for part in tree.parts)


def plain_of(tree: Filter) -> dict[str, Any]:
    """The tree as JSON has it; a value before its field changes sides."""
    if isinstance(tree, Not):
        return {"not": plain_of(tree.part)}
    if not isinstance(tree, Comparison):
        word = "and" if isinstance(tree, And) else "or"
        return {word: [plain_of(part) for part in tree.parts]}
    field, operator, right = turned(tree)
    said: dict[str, Any] = {"field": field.name, "op": operator}
    if operator not in ("exists", "missing"):
        said["value"] = _plain(right)
    return said


def turned(comparison: Comparison) -> tuple[Field, Operator, Operand]:
    """The comparison with its field first, changing sides if need be."""
    if isinstance(comparison.left, Field):
        return comparison.left, comparison.operator, comparison.right
    if isinstance(comparison.right, Field):
        operator = _TURNED.get(comparison.operator, comparison.operator)
        return comparison.right, operator, comparison.left
    raise FilterError(comparison.place, "one side must be a field")


def _enclosed(part: Filter, bare: bool) -> str:
    return text_of(part) if bare else f"({text_of(part)})"


def _operand(side: Operand) -> str:
    if isinstance(side, Field):
        return named(side.name, RESERVED)
    if isinstance(side, Parameter):
        return f"${side.name}"
    if isinstance(side, Values):
        return f"[{', '.join(_operand(value) for value in side.values)}]"
    if isinstance(side.value, bool):
        return str(side.value).lower()
    if isinstance(side.value, str):
        return quoted(side.value)
    return str(int(side.value)) if side.value == int(side.value) else repr(side.value)


def _plain(side: Operand) -> Any:
    if isinstance(side, Field):
        return {"field": side.name}
    if isinstance(side, Parameter):
        return {"parameter": side.name}
    if isinstance(side, Values):
        return [_plain(value) for value in side.values]
    return side.value
