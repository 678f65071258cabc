"""From a filter's text to its tree: `price <= 50 and not tags has "sale"`.

    filter     = and-part { "or" and-part }
    and-part   = not-part { "and" not-part }
    not-part   = "not" not-part | "(" filter ")" | comparison
    comparison = operand ( "=" | "==" | "!=" | "<" | "<=" | ">" | ">=" ) operand
               | field "in" ( list | parameter ) | field ( "has" | "under" | "contains" ) value
               | field "starts" "with" value | field "between" value "and" value
               | field ( "exists" | "missing" )
    list       = "[" [ value { "," value } ] "]"
    operand    = field | value
    value      = number | string | "true" | "false" | parameter

Names of fields that are no plain words stand in backticks (one inside is doubled); strings in single or
double quotes, with a backslash before a quote inside; a parameter is `$` and a name. Words with a meaning may
be written in capitals. A dialect may lack the comparisons by words, lists and parameters.
"""

import math
from dataclasses import dataclass
from typing import Final

from app.learning.filtering.tokens import Token, cut, unquoted
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
    Sign,
    Value,
    Values,
)

SIGNS: Final[dict[str, Sign]] = {
    "=": "=",
    "==": "=",
    "!=": "!=",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}
_WORDS: Final[dict[str, Operator]] = {
    "in": "in",
    "has": "has",
    "under": "under",
    "starts": "starts with",
    "contains": "contains",
    "between": "between",
    "exists": "exists",
    "missing": "missing",
}
RESERVED: Final = frozenset({"and", "or", "not", "true", "false"})
"""Words that are no names."""
_CORE: Final = frozenset({"space", "number", "string", "quoted", "word", "sign"})


@dataclass(frozen=True)
class Dialect:
    """What a filter may be written with."""

    name: str
    """What the names in it are, as an error says it."""
    words: bool
    """Whether there are comparisons by words, lists and parameters."""
    most_comparisons: int | None = None
    most_values: int = 1_000
    """In one list."""

    @property
    def kinds(self) -> frozenset[str]:
        return _CORE | {"parameter", "list"} if self.words else _CORE

    @property
    def operators(self) -> str:
        return ", ".join([*SIGNS, *(dict.fromkeys(_WORDS.values()) if self.words else ())])


def parse(text: str, dialect: Dialect) -> Filter:
    """The tree of a filter; raises `FilterError` where it cannot be understood."""
    if len(text) > LONGEST:
        raise FilterError(LONGEST + 1, f"a filter may have {LONGEST} characters, this one has {len(text)}")
    parser = _Parser(cut(text, dialect.kinds), dialect)
    tree = parser.any_of(0)
    parser.expect_end()
    return tree


class _Parser:
    """Recursive descent; the depth is bounded, so that no filter can exhaust the stack."""

    def __init__(self, tokens: list[Token], dialect: Dialect) -> None:
        self._tokens = tokens
        self._dialect = dialect
        self._place = 0
        self._comparisons = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self._next
        self._place += 1
        return token

    def expect_end(self) -> None:
        if self._next.kind != "end":
            wanted = "and, or, or the end" if self._next.text != ")" else "no ) without a ( before it"
            raise FilterError(self._next.column, f"expected {wanted}, found '{self._next.text}'")

    def any_of(self, depth: int) -> Filter:
        parts = [self._all_of(depth)]
        while self._next.keyword == "or":
            self._take()
            parts.append(self._all_of(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all_of(self, depth: int) -> Filter:
        parts = [self._one(depth)]
        while self._next.keyword == "and":
            self._take()
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self, depth: int) -> Filter:
        if depth > DEEPEST:
            raise FilterError(self._next.column, f"this is nested more than {DEEPEST} deep")
        if self._next.keyword == "not":
            self._take()
            return Not(self._one(depth + 1))
        if self._next.is_sign("("):
            opened = self._take()
            tree = self.any_of(depth + 1)
            if not self._next.is_sign(")"):
                raise FilterError(self._next.column, f"the ( of column {opened.column} is not closed")
            self._take()
            return tree
        return self._comparison()

    def _comparison(self) -> Comparison:
        left = self._operand()
        token = self._next
        self._comparisons += 1
        most = self._dialect.most_comparisons
        if most is not None and self._comparisons > most:
            raise FilterError(token.column, f"a filter may have {most} comparisons")
        if self._dialect.words and token.keyword in _WORDS:
            return self._by_word(left)
        if token.kind != "sign" or token.text not in SIGNS:
            raise FilterError(token.column, f"expected one of {self._dialect.operators}, found {token.shown}")
        self._take()
        right = self._operand()
        if not isinstance(left, Field) and not isinstance(right, Field):
            said = f"this compares two values; one side must be {self._dialect.name}"
            raise FilterError(left.place, said)
        return Comparison(left, SIGNS[token.text], right, token.column)

    def _by_word(self, left: Operand) -> Comparison:
        token = self._take()
        operator = _WORDS[token.keyword]
        if not isinstance(left, Field):
            raise FilterError(left.place, f"before '{operator}' comes the name of a field")
        right: Operand
        if operator == "starts with" and self._next.keyword != "with":
            raise FilterError(self._next.column, f"expected with after starts, found {self._next.shown}")
        if operator == "starts with":
            self._take()
        if operator == "in":
            right = self._list()
        elif operator == "between":
            low = self._value()
            if self._next.keyword != "and":
                raise FilterError(self._next.column, f"expected and after between, found {self._next.shown}")
            self._take()
            right = Values((low, self._value()), low.place)
        elif operator in ("exists", "missing"):
            right = Values((), token.column)
        else:
            right = self._value()
        return Comparison(left, operator, right, token.column)

    def _list(self) -> Values | Parameter:
        if self._next.kind == "parameter":
            return Parameter(self._next.text[1:], self._take().column)
        if not self._next.is_sign("["):
            raise FilterError(self._next.column, f"expected a list such as [1, 2], found {self._next.shown}")
        opened = self._take()
        found: list[Value | Parameter] = []
        while not self._next.is_sign("]"):
            if found and not self._next.is_sign(","):
                said = f"expected , or the ] of the [ of column {opened.column}, found {self._next.shown}"
                raise FilterError(self._next.column, said)
            if found:
                self._take()
            found.append(self._value())
            if len(found) > self._dialect.most_values:
                raise FilterError(opened.column, f"a list may have {self._dialect.most_values} values")
        self._take()
        return Values(tuple(found), opened.column)

    def _value(self) -> Value | Parameter:
        token = self._next
        operand = self._operand("a value (texts stand in quotes)")
        if isinstance(operand, Value | Parameter):
            return operand
        raise FilterError(token.column, f"expected a value (texts stand in quotes), found {token.shown}")

    def _operand(self, wanted: str | None = None) -> Field | Value | Parameter:
        token = self._next
        if token.kind == "number":
            value = float(token.text)
            if not math.isfinite(value):
                raise FilterError(token.column, f"{token.text} is too large")
            operand: Field | Value | Parameter = Value(value, token.column)
        elif token.kind == "string":
            operand = Value(unquoted(token.text), token.column)
        elif token.kind == "parameter":
            operand = Parameter(token.text[1:], token.column)
        elif token.keyword in ("true", "false"):
            operand = Value(token.keyword == "true", token.column)
        elif token.kind == "quoted":
            operand = Field(unquoted(token.text), token.column)
        elif token.kind == "word" and token.keyword not in RESERVED:
            operand = Field(token.text, token.column)
        else:
            expected = wanted or f"{self._dialect.name.replace(' or ', ', an ')} or a value"
            raise FilterError(token.column, f"expected {expected}, found {token.shown}")
        self._take()
        return operand
