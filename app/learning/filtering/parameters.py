"""Values that come with a request, in the places that a filter holds for them."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Final

from app.learning.filtering.plain import value_of
from app.learning.filtering.tree import (
    And,
    Comparison,
    Filter,
    FilterError,
    Not,
    Operand,
    Or,
    Parameter,
    Place,
    Value,
    Values,
    comparisons,
)

_MOST_VALUES: Final = 1_000


def parameters_of(tree: Filter) -> dict[str, Place]:
    """Names of the parameters of a filter and where each stands first."""
    found: dict[str, Place] = {}
    for comparison in comparisons(tree):
        for side in (comparison.left, comparison.right):
            for value in side.values if isinstance(side, Values) else (side,):
                if isinstance(value, Parameter):
                    found.setdefault(value.name, value.place)
    return found


def filled(tree: Filter, given: Mapping[str, Any]) -> Filter:
    """The filter with a value for each parameter; raises `FilterError` for one that is missing or unfit."""
    if isinstance(tree, Comparison):
        left, right = _filled(tree.left, tree, given), _filled(tree.right, tree, given)
        return replace(tree, left=left, right=right)
    if isinstance(tree, Not):
        return Not(filled(tree.part, given))
    joined = And if isinstance(tree, And) else Or
    return joined(tuple(filled(part, given) for part in tree.parts))


def unused(names: Collection[str], used: Collection[str]) -> dict[str, str]:
    """What to say of each parameter that no filter names."""
    found = {}
    for name in names:
        if name not in used:
            near = get_close_matches(name, sorted(used), n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            found[name] = f"no filter uses the parameter '{name}'{hint}"
    return found


def _filled(side: Operand, of: Comparison, given: Mapping[str, Any]) -> Operand:
    if isinstance(side, Values):
        return Values(tuple(_one(value, given) for value in side.values), side.place)
    if isinstance(side, Parameter) and of.operator == "in":
        values = _given(side, given)
        if not isinstance(values, list):
            raise FilterError(side.place, f"'in' takes a list, and the parameter '{side.name}' is none")
        if len(values) > _MOST_VALUES:
            raise FilterError(side.place, f"a list may have {_MOST_VALUES} values")
        return Values(tuple(_checked(side, value) for value in values), side.place)
    return _one(side, given) if isinstance(side, Parameter) else side


def _one(value: Value | Parameter, given: Mapping[str, Any]) -> Value:
    return value if isinstance(value, Value) else _checked(value, _given(value, given))


def _given(parameter: Parameter, given: Mapping[str, Any]) -> Any:
    if parameter.name not in given:
        raise FilterError(parameter.place, f"the parameter '{parameter.name}' is not given")
    return given[parameter.name]


def _checked(parameter: Parameter, plain: Any) -> Value:
    """The value at the parameter's place."""
    try:
        return Value(value_of(plain, "").value, parameter.place)
    except FilterError as error:
        raise FilterError(parameter.place, f"the parameter '{parameter.name}': {error}") from None
