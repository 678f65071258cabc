"""A filter's text cut into words, signs, numbers and quoted texts."""

import re
from dataclasses import dataclass
from typing import Final

from app.learning.filtering.tree import FilterError

_TOKENS: Final = re.compile(
    r"""(?P<space>\s+)
    | (?P<number>-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<quoted>`(?:[^`]|``)+`)
    | (?P<word>[^\W\d][\w.]*)
    | (?P<parameter>\$[^\W\d]\w*)
    | (?P<sign>==|!=|<=|>=|[=<>()])
    | (?P<list>[\[\],])""",
    re.VERBOSE | re.DOTALL,
)
_PLAIN: Final = re.compile(r"[^\W\d][\w.]*")


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    column: int

    @property
    def keyword(self) -> str:
        """Lower case for a plain word, else nothing."""
        return self.text.lower() if self.kind == "word" else ""

    @property
    def shown(self) -> str:
        """As an error names it."""
        return "the end" if self.kind == "end" else f"'{self.text}'"

    def is_sign(self, text: str) -> bool:
        return self.kind in ("sign", "list") and self.text == text


def cut(text: str, kinds: frozenset[str]) -> list[Token]:
    """The tokens of a text, with one for its end; raises `FilterError` for what is none of these kinds."""
    found, place = [], 0
    while place < len(text):
        match = _TOKENS.match(text, place)
        kind = "" if match is None else str(match.lastgroup)
        if match is None or kind not in kinds:
            raise FilterError(place + 1, _complaint(text[place:]))
        if kind != "space":
            found.append(Token(kind, match.group(), place + 1))
        place = match.end()
    return [*found, Token("end", "", len(text) + 1)]


def unquoted(text: str) -> str:
    """What stands in quotes or backticks."""
    if text[0] == "`":
        return text[1:-1].replace("``", "`")
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def quoted(text: str) -> str:
    """A text in quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def named(name: str, reserved: frozenset[str]) -> str:
    """A field's name, in backticks unless it is a plain word that means nothing else."""
    if _PLAIN.fullmatch(name) and name.lower() not in reserved:
        return name
    return "`" + name.replace("`", "``") + "`"


def _complaint(rest: str) -> str:
    if rest[0] in "\"'`":
        return f"the quote {rest[0]} is not closed" if rest.count(rest[0]) < 2 else "this name is empty"
    if rest[0].isdigit():
        word = re.split(r"[^\w.]", rest)[0]
        return f"'{word}' is neither a number nor a name"
    return f"'{rest[0]}' has no meaning here"
