"""From the plain objects of JSON to a filter's tree: `{"field": "price", "op": "<=", "value": 50}`."""

import math
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from app.core.errors import pointed
from app.learning.filtering.grammar import SIGNS, Dialect
from app.learning.filtering.tree import (
    DEEPEST,
    LONGEST,
    And,
    Comparison,
    Field,
    Filter,
    FilterError,
    Not,
    Operand,
    Operator,
    Or,
    Parameter,
    Value,
    Values,
)

_OPERATORS: Final[dict[str, Operator]] = dict(SIGNS) | {
    name: name for name in ("in", "has", "under", "starts with", "contains", "between", "exists", "missing")
}
_NAME: Final = re.compile(r"[^\W\d]\w*")
LONGEST_NAME: Final = 500


def tree_of(plain: Any, dialect: Dialect) -> Filter:
    """The tree of a filter given as JSON; raises `FilterError` with the pointer of what is wrong."""
    return _Reader(dialect).read(plain, "", 0)


def value_of(plain: Any, place: str) -> Value:
    """A text, a number or yes or no; raises `FilterError`."""
    if isinstance(plain, bool):
        return Value(plain, place)
    if isinstance(plain, int | float):
        try:
            number = float(plain)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise FilterError(place, "this number is too large")
        return Value(number, place)
    if isinstance(plain, str):
        if len(plain) > LONGEST:
            raise FilterError(place, f"a text may have {LONGEST} characters")
        return Value(plain, place)
    raise FilterError(place, "expected a text, a number, true or false")


class _Reader:
    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._comparisons = 0

    def read(self, plain: Any, at: str, depth: int) -> Filter:
        if depth > DEEPEST:
            raise FilterError(at, f"this is nested more than {DEEPEST} deep")
        if not isinstance(plain, dict):
            raise FilterError(at, 'expected an object such as {"field": "price", "op": "<=", "value": 50}')
        for word, joined in (("and", And), ("or", Or)):
            if word in plain:
                _only(plain, {word}, at)
                parts = plain[word]
                if not isinstance(parts, list) or not parts:
                    raise FilterError(f"{at}/{word}", f"'{word}' takes a list of one part or more")
                read = [
                    self.read(part, f"{at}/{word}/{place}", depth + 1) for place, part in enumerate(parts)
                ]
                return read[0] if len(read) == 1 else joined(tuple(read))
        if "not" in plain:
            _only(plain, {"not"}, at)
            return Not(self.read(plain["not"], f"{at}/not", depth + 1))
        return self._comparison(plain, at)

    def _comparison(self, plain: Mapping[str, Any], at: str) -> Comparison:
        self._comparisons += 1
        most = self._dialect.most_comparisons
        if most is not None and self._comparisons > most:
            raise FilterError(at, f"a filter may have {most} comparisons")
        _only(plain, {"field", "op", "value"}, at)
        for name in ("field", "op"):
            if name not in plain:
                raise FilterError(at, f"'{name}' is missing; a comparison has field, op and value")
        field = _field(plain["field"], f"{at}/field")
        operator = _OPERATORS.get(plain["op"]) if isinstance(plain["op"], str) else None
        if operator is None:
            raise FilterError(f"{at}/op", f"expected one of {', '.join(_OPERATORS)}")
        if operator in ("exists", "missing"):
            if "value" in plain:
                raise FilterError(f"{at}/value", f"'{operator}' takes no value")
            return Comparison(field, operator, Values((), f"{at}/op"), f"{at}/op")
        if "value" not in plain:
            raise FilterError(at, f"'value' is missing; '{operator}' compares with one")
        right = self._operand(plain["value"], operator, f"{at}/value")
        return Comparison(field, operator, right, f"{at}/op")

    def _operand(self, plain: Any, operator: Operator, at: str) -> Operand:
        if operator in SIGNS:
            if isinstance(plain, dict) and "field" in plain:
                _only(plain, {"field"}, at)
                return _field(plain["field"], f"{at}/field")
            return _value(plain, at)
        if operator == "between":
            if not isinstance(plain, list) or len(plain) != 2:
                raise FilterError(at, "'between' takes a list of two values")
            return Values(tuple(_value(part, f"{at}/{place}") for place, part in enumerate(plain)), at)
        if operator != "in":
            return _value(plain, at)
        if isinstance(plain, dict):
            return _value(plain, at)
        if not isinstance(plain, list):
            raise FilterError(at, "'in' takes a list of values")
        if len(plain) > self._dialect.most_values:
            raise FilterError(at, f"a list may have {self._dialect.most_values} values")
        return Values(tuple(_value(part, f"{at}/{place}") for place, part in enumerate(plain)), at)


def _value(plain: Any, at: str) -> Value | Parameter:
    if isinstance(plain, dict):
        _only(plain, {"parameter"}, at)
        name = plain.get("parameter")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise FilterError(f"{at}/parameter", "expected the name of a parameter")
        return Parameter(name, at)
    return value_of(plain, at)


def _field(plain: Any, at: str) -> Field:
    if not isinstance(plain, str) or not 0 < len(plain) <= LONGEST_NAME:
        raise FilterError(at, f"expected the name of a field, 1 to {LONGEST_NAME} characters")
    return Field(plain, at)


def _only(plain: Mapping[str, Any], allowed: set[str], at: str) -> None:
    for name in plain:
        if name not in allowed:
            near = get_close_matches(name, sorted({*allowed, "and", "or", "not"}), n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(sorted(allowed))}"
            raise FilterError(f"{at}/{_escaped(name)}", f"'{name[:100]}' has no meaning here; {hint}")


def _escaped(name: str) -> str:
    return pointed(name[:100])
