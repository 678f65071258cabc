"""What every reader yields and offers: records, rejected rows, and the error that ends a read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

Kind = Literal["user", "item", "interaction"]

CHUNK: Final = 5_000
"""Records in one chunk: large enough for a cheap transaction, small enough to hold in memory."""


class ReaderError(Exception):
    """The source cannot be read, or not further; the message is one clear line for the person importing."""


@dataclass(frozen=True, slots=True)
class Record:
    """One user, item or interaction with the HTTP contract's field names; values are not validated."""

    kind: Kind
    fields: dict[str, Any]
    line: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """One row that gives no record: where it starts in the file, a stable code, and the reason in words."""

    line: int
    code: str
    detail: str


class Reader(Protocol):
    """A source that is read once from start to end, in bounded memory."""

    @property
    def total_bytes(self) -> int:
        """Bytes to consume until the end (a file that is read twice counts twice)."""

    def position(self) -> int:
        """Bytes consumed so far; compressed bytes where the file is compressed."""

    def read(self) -> Iterator[list[Record | Rejected]]:
        """Chunks of at most `CHUNK`; raises ReaderError when the source breaks off."""

    def summary(self) -> dict[str, int | float]:
        """Facts of the source, complete once `read` has ended."""


def chunks(rows: Iterable[Record | Rejected]) -> Iterator[list[Record | Rejected]]:
    """Rows in lists of `CHUNK`; what was read before an error still comes out before it is raised."""
    chunk: list[Record | Rejected] = []
    try:
        for row in rows:
            chunk.append(row)
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
    except ReaderError:
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk


def shown(value: object) -> str:
    """A value as it is quoted in a message: never longer than a line."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
