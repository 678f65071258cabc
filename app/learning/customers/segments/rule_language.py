"""A small language for saved filters: `recency_days < 30 and (monetary > 100 or country = "DE")`.

    filter     = and-part { "or" and-part }
    and-part   = not-part { "and" not-part }
    not-part   = "not" not-part | "(" filter ")" | comparison
    comparison = operand ( "=" | "==" | "!=" | "<" | "<=" | ">" | ">=" ) operand
    operand    = field | number | string | "true" | "false"

Names of fields that are no plain words stand in backticks; strings in single or double quotes, with a
backslash before a quote inside. and, or, not, true and false may be written in capitals.
"""

import math
import re
from dataclasses import dataclass
from typing import Final, Literal

Operator = Literal["=", "!=", "<", "<=", ">", ">="]

_LONGEST: Final = 4000
_DEEPEST: Final = 50
_TOKENS: Final = re.compile(
    r"""(?P<space>\s+)
    | (?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<quoted>`[^`]+`)
    | (?P<word>[^\W\d][\w.]*)
    | (?P<sign>==|!=|<=|>=|[=<>()])""",
    re.VERBOSE | re.DOTALL,
)
_SIGNS: Final[dict[str, Operator]] = {
    "=": "=",
    "==": "=",
    "!=": "!=",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}


class RuleError(ValueError):
    """The filter cannot be understood; `column` says where, counted from 1."""

    def __init__(self, column: int, message: str) -> None:
        super().__init__(f"column {column}: {message}")
        self.column = column


@dataclass(frozen=True)
class Field:
    """A feature or attribute by its name."""

    name: str
    column: int


@dataclass(frozen=True)
class Value:
    """A value as written."""

    value: float | str | bool
    column: int


@dataclass(frozen=True)
class Comparison:
    left: Field | Value
    operator: Operator
    right: Field | Value
    column: int
    """Of the operator."""


@dataclass(frozen=True)
class Not:
    part: "Rule"


@dataclass(frozen=True)
class And:
    parts: tuple["Rule", ...]


@dataclass(frozen=True)
class Or:
    parts: tuple["Rule", ...]


Rule = Comparison | Not | And | Or


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    column: int

    @property
    def keyword(self) -> str:
        """Lower case for a plain word, else nothing."""
        return self.text.lower() if self.kind == "word" else ""


def parse_rule(text: str) -> Rule:
    """The tree of a filter; raises `RuleError` where it cannot be understood."""
    if len(text) > _LONGEST:
        raise RuleError(_LONGEST + 1, f"a filter may have {_LONGEST} characters, this one has {len(text)}")
    parser = _Parser(_tokens(text))
    rule = parser.any_of(0)
    parser.expect_end()
    return rule


def _tokens(text: str) -> list[_Token]:
    found, place = [], 0
    while place < len(text):
        match = _TOKENS.match(text, place)
        if match is None:
            raise RuleError(place + 1, _complaint(text[place:]))
        kind = str(match.lastgroup)
        if kind != "space":
            found.append(_Token(kind, match.group(), place + 1))
        place = match.end()
    return [*found, _Token("end", "", len(text) + 1)]


def _complaint(rest: str) -> str:
    if rest[0] in "\"'`":
        return f"the quote {rest[0]} is not closed" if rest.count(rest[0]) < 2 else "this name is empty"
    if rest[0].isdigit():
        word = re.split(r"[^\w.]", rest)[0]
        return f"'{word}' is neither a number nor a name"
    return f"'{rest[0]}' has no meaning here"


class _Parser:
    """Recursive descent; the depth is bounded, so that no filter can exhaust the stack."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._place = 0

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def _take(self) -> _Token:
        token = self._next
        self._place += 1
        return token

    def expect_end(self) -> None:
        if self._next.kind != "end":
            wanted = "and, or, or the end" if self._next.text != ")" else "no ) without a ( before it"
            raise RuleError(self._next.column, f"expected {wanted}, found '{self._next.text}'")

    def any_of(self, depth: int) -> Rule:
        parts = [self._all_of(depth)]
        while self._next.keyword == "or":
            self._take()
            parts.append(self._all_of(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all_of(self, depth: int) -> Rule:
        parts = [self._one(depth)]
        while self._next.keyword == "and":
            self._take()
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self, depth: int) -> Rule:
        if depth > _DEEPEST:
            raise RuleError(self._next.column, f"this is nested more than {_DEEPEST} deep")
        if self._next.keyword == "not":
            self._take()
            return Not(self._one(depth + 1))
        if self._next.text == "(" and self._next.kind == "sign":
            opened = self._take()
            rule = self.any_of(depth + 1)
            if self._next.text != ")" or self._next.kind != "sign":
                raise RuleError(self._next.column, f"the ( of column {opened.column} is not closed")
            self._take()
            return rule
        return self._comparison()

    def _comparison(self) -> Comparison:
        left = self._operand()
        token = self._next
        if token.kind != "sign" or token.text not in _SIGNS:
            raise RuleError(token.column, f"expected one of {', '.join(_SIGNS)}, found {_shown(token)}")
        self._take()
        right = self._operand()
        if isinstance(left, Value) and isinstance(right, Value):
            raise RuleError(left.column, "this compares two values; one side must be a feature or attribute")
        return Comparison(left, _SIGNS[token.text], right, token.column)

    def _operand(self) -> Field | Value:
        token = self._next
        if token.kind == "number":
            value = float(token.text)
            if not math.isfinite(value):
                raise RuleError(token.column, f"{token.text} is too large")
            operand: Field | Value = Value(value, token.column)
        elif token.kind == "string":
            operand = Value(re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL), token.column)
        elif token.keyword in ("true", "false"):
            operand = Value(token.keyword == "true", token.column)
        elif token.kind == "quoted":
            operand = Field(token.text[1:-1], token.column)
        elif token.kind == "word" and token.keyword not in ("and", "or", "not"):
            operand = Field(token.text, token.column)
        else:
            raise RuleError(
                token.column, f"expected a feature, an attribute or a value, found {_shown(token)}"
            )
        self._take()
        return operand


def _shown(token: _Token) -> str:
    return "the end" if token.kind == "end" else f"'{token.text}'"
