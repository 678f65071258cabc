"""Which customers a filter matches, all at once."""

import operator
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.learning.customers.features import FeatureTable
from app.learning.filtering.tree import (
    And,
    Comparison,
    Field,
    Filter,
    FilterError,
    Not,
    Operand,
    Operator,
    Value,
)

Columns = Mapping[str, NDArray[Any]]
"""By name, each `(n_users,)`: numbers (NaN unknown), texts ("" unknown) or truth values."""
Mask = NDArray[np.bool_]

_KINDS: Final = {"b": "yes or no", "U": "a text"}
_OPERATIONS: Final[dict[Operator, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def columns_of(features: FeatureTable, attributes: Columns | None = None) -> dict[str, NDArray[Any]]:
    """Features and attributes under their names; a feature goes before an attribute of the same name.

    Features of customers of whom nothing is known are unknown.
    """
    found = {
        name: np.where(features.known, features.values[:, place], np.nan)
        for place, name in enumerate(features.names)
    }
    return {**(attributes or {}), **found}


def matches(rule: Filter, columns: Columns, n_users: int) -> Mask:
    """Whom the rule matches, `(n_users,)`; a comparison with an unknown value is false, its `not` true.

    Raises `FilterError` for a name that is not there, and where things of different kinds are compared.
    """
    if isinstance(rule, Comparison):
        return _compare(rule, columns, n_users)
    if isinstance(rule, Not):
        return ~matches(rule.part, columns, n_users)
    parts = [matches(part, columns, n_users) for part in rule.parts]
    combine = np.logical_and if isinstance(rule, And) else np.logical_or
    return np.asarray(combine.reduce(parts))


def _compare(rule: Comparison, columns: Columns, n_users: int) -> Mask:
    left, right = _operand(rule.left, columns), _operand(rule.right, columns)
    kind, other = _kind(left), _kind(right)
    if kind != other:
        said = f"{_name(rule.left)} is {kind}, {_name(rule.right)} is {other}; they cannot be compared"
        raise FilterError(rule.right.place, said)
    if kind != "a number" and rule.operator not in ("=", "!="):
        raise FilterError(rule.place, f"{_name(rule.left)} is {kind}; it can only be compared by = and !=")
    known = _known(left) & _known(right)
    return np.broadcast_to(_OPERATIONS[rule.operator](left, right) & known, (n_users,)).copy()


def _operand(side: Operand, columns: Columns) -> NDArray[Any]:
    if isinstance(side, Value):
        return np.array(side.value)
    if not isinstance(side, Field):
        raise FilterError(side.place, "customers are compared with single values")
    if side.name not in columns:
        near = get_close_matches(side.name, columns, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else f"; there are {', '.join(sorted(columns))}"
        raise FilterError(side.place, f"there is no feature or attribute '{side.name}'{hint}")
    return np.asarray(columns[side.name])


def _kind(column: NDArray[Any]) -> str:
    return _KINDS.get(column.dtype.kind, "a number")


def _known(column: NDArray[Any]) -> Mask:
    if column.dtype.kind == "U":
        # An empty text that the filter itself gives is a value, not an unknown.
        return np.asarray((column != "") | (column.ndim == 0))
    return np.asarray(
        ~np.isnan(column) if column.dtype.kind == "f" else np.ones(column.shape, dtype=np.bool_)
    )


def _name(side: Operand) -> str:
    return f"'{side.value}'" if isinstance(side, Value) else f"'{getattr(side, 'name', '')}'"
