"""A filter over items, made ready: names and kinds checked, values read, evaluated over whole columns."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from app.learning.filtering.columns import Column, ListColumn, Mask, NumberColumn, Numbers, TextColumn
from app.learning.filtering.dates import milliseconds
from app.learning.filtering.dictionary import Dictionary, Table, path_of
from app.learning.filtering.item_fields import Kind, field_named, kind_of
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
    Values,
    fields,
)
from app.learning.filtering.writing import turned

Columns = Mapping[str, Column]
Evaluate = Callable[[Columns], Mask]
"""From the columns by name to which items pass, `(n,)`, an array of its own."""

_SIGNS: Final[Mapping[Operator, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ALWAYS: Final[tuple[Operator, ...]] = ("exists", "missing")
_BY_KIND: Final[Mapping[Kind, tuple[Operator, ...]]] = {
    "text": ("=", "!=", "in", "starts with", "contains"),
    "number": (*_SIGNS, "in", "between"),
    "date": (*_SIGNS, "in", "between"),
    "list": ("has", "in", "starts with", "contains"),
    "paths": ("under", "has", "in", "starts with", "contains"),
    "any": (*_SIGNS, "in", "between", "has", "starts with", "contains"),
}
_A: Final[Mapping[Kind, str]] = {
    "text": "a text",
    "number": "a number",
    "date": "a date",
    "list": "a list of texts",
    "paths": "a list of category paths",
    "any": "an attribute",
}


@dataclass(frozen=True, eq=False)
class Condition:
    """A filter that is ready to be asked; the same object is the same filter."""

    fields: frozenset[str]
    """Of which it needs the columns."""
    mask: Evaluate
    """Which items pass: a comparison with what is unknown is false, its `not` true."""


def condition_of(tree: Filter) -> Condition:
    """Make a filter ready; all its parameters must be filled.

    Raises `FilterError` for a name that is not there, and for a comparison that makes no sense.
    """
    evaluate = _ready(tree)
    return Condition(frozenset(field_named(Field(name)) for name in fields(tree)), evaluate)


def _ready(tree: Filter) -> Evaluate:
    if isinstance(tree, Comparison):
        return _comparison(tree)
    if isinstance(tree, Not):
        part = _ready(tree.part)
        return lambda columns: ~part(columns)
    parts = [_ready(part) for part in tree.parts]
    join = np.logical_and if isinstance(tree, And) else np.logical_or

    def joined(columns: Columns) -> Mask:
        mask = parts[0](columns)
        for one in parts[1:]:
            join(mask, one(columns), out=mask)
        return mask

    return joined


def _comparison(comparison: Comparison) -> Evaluate:
    field, sign, right = turned(comparison)
    name = field_named(field)
    kind = kind_of(name)
    if sign == "exists":
        return lambda columns: columns[name].known()
    if sign == "missing":
        return lambda columns: ~columns[name].known()
    if sign not in _BY_KIND[kind]:
        usable = ", ".join((*_BY_KIND[kind], *_ALWAYS))
        raise FilterError(comparison.place, f"'{field.name}' is {_A[kind]}; it can be compared by {usable}")
    if isinstance(right, Field):
        return _two_fields(name, kind, sign, right)
    written = _listed(right)
    values = [_read(value, field, kind, sign) for value in written]
    if kind in ("number", "date"):
        return _of_numbers(name, sign, values)
    if kind == "any" and sign in ("<", "<=", ">", ">=", "between"):
        return _of_singles(name, sign, values, written)
    table = _table(sign, values)
    if kind == "any" and sign in ("=", "!="):
        return lambda columns: _having(columns[name], table) & _singles(columns[name])
    return lambda columns: _having(columns[name], table)


def _listed(side: Operand) -> list[Value]:
    values = side.values if isinstance(side, Values) else (side,)
    return [value for value in values if isinstance(value, Value)]


def _read(value: Value, field: Field, kind: Kind, sign: Operator) -> Any:
    """The value as the column has it."""
    given = value.value
    if kind == "any" and sign in ("starts with", "contains") and not isinstance(given, str):
        raise FilterError(value.place, f"'{sign}' takes a text")
    if kind == "any":
        return given
    if kind == "number":
        if isinstance(given, str | bool):
            raise FilterError(value.place, f"'{field.name}' is a number, {_said(given)} is none")
        return given
    if not isinstance(given, str):
        raise FilterError(value.place, f"'{field.name}' is {_A[kind]}; {_said(given)} cannot be in it")
    if kind == "date":
        moment = milliseconds(given)
        if moment is None:
            said = f'\'{field.name}\' is a date; expected one such as "2026-11-21T09:30:00Z" or "2026-11-21"'
            raise FilterError(value.place, said)
        return moment
    return path_of(given) if kind == "paths" and sign in ("under", "has", "in") else given


def _said(given: float | str | bool) -> str:
    if isinstance(given, bool):
        return str(given).lower()
    return f"{given:g}" if isinstance(given, float) else f"'{given[:100]}'"


def _of_numbers(name: str, sign: Operator, values: list[Any]) -> Evaluate:
    if sign == "in":
        return lambda columns: np.isin(_numbers(columns[name]), values)
    return lambda columns: _compared(_numbers(columns[name]), sign, values)


def _compared(numbers: Numbers, sign: Operator, values: list[Any]) -> Mask:
    if sign == "between":
        return np.asarray((numbers >= values[0]) & (numbers <= values[1]))
    found = np.asarray(_SIGNS[sign](numbers, values[0]))
    # Only != holds for what is not a number.
    return found & ~np.isnan(numbers) if sign == "!=" else found


def _of_singles(name: str, sign: Operator, values: list[Any], written: list[Value]) -> Evaluate:
    """An attribute by order: of numbers, or of dates."""
    moments = [milliseconds(value) if isinstance(value, str) else None for value in values]
    for value, moment in zip(written, moments, strict=True):
        if moment is None and type(value.value) is not float:
            said = f"'{sign}' compares numbers or dates, and {_said(value.value)} is neither"
            raise FilterError(value.place, said)
        if (moment is None) is not (moments[0] is None):
            raise FilterError(value.place, f"'{sign}' takes two numbers or two dates")
    if moments[0] is None:
        return lambda columns: _compared(_numbers(columns[name]), sign, values)
    return lambda columns: _compared(_dates(columns[name]), sign, moments)


def _two_fields(name: str, kind: Kind, sign: Operator, right: Field) -> Evaluate:
    other = field_named(right)
    kinds = {kind, kind_of(other)}
    if sign not in _SIGNS or kinds & {"text", "list", "paths"}:
        raise FilterError(right.place, "only numbers and dates can be compared with another field")
    if kinds == {"number", "date"}:
        said = f"'{right.name}' is {_A[kind_of(other)]}, and is compared with {_A[kind]}"
        raise FilterError(right.place, said)
    read = _dates if "date" in kinds else _numbers

    def compared(columns: Columns) -> Mask:
        one, two = read(columns[name]), read(columns[other])
        return np.asarray(_SIGNS[sign](one, two)) & ~np.isnan(one) & ~np.isnan(two)

    return compared


def _numbers(column: Column) -> Numbers:
    return np.full(column.n, np.nan) if isinstance(column, TextColumn) else column.numbers()


def _dates(column: Column) -> Numbers:
    return column.dates() if isinstance(column, ListColumn) else _numbers(column)


def _table(sign: Operator, values: list[Any]) -> Callable[[Dictionary], Table]:
    """Which of a column's different values pass."""
    if sign == "starts with":
        return lambda known: known.starting_with(values[0])
    if sign == "contains":
        return lambda known: known.containing(values[0])
    if sign == "under":
        return lambda known: known.under(values[0])
    if sign == "!=":
        return lambda known: known.of_kind(values[0]) & ~known.equal(values)
    return lambda known: known.equal(values)


def _having(column: Column, table: Callable[[Dictionary], Table]) -> Mask:
    if isinstance(column, NumberColumn):
        return np.zeros(column.n, dtype=np.bool_)
    return column.having(table(column.dictionary))


def _singles(column: Column) -> Mask:
    return column.singles() if isinstance(column, ListColumn) else column.known()
