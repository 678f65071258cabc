"""NDJSON: one JSON object a line, of one kind, or each naming its kind."""

from collections import Counter
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from app.readers.base import Kind, Record, Rejected, chunks, shown
from app.readers.files import MAX_LINE, SourceFile

_KINDS: Final[dict[Any, Kind]] = {
    "user": "user",
    "users": "user",
    "item": "item",
    "items": "item",
    "interaction": "interaction",
    "interactions": "interaction",
}


class NdjsonReader:
    """Reads an NDJSON file (plain or gzip) of one kind; without a kind, each record has "kind" or "type"."""

    def __init__(self, path: Path, kind: Literal["users", "items", "interactions"] | None = None) -> None:
        """Raises ReaderError if there is no such file."""
        self._file = SourceFile(path)
        self._kind: Kind | None = None if kind is None else _KINDS[kind]
        self._counts: Counter[str] = Counter()

    @property
    def total_bytes(self) -> int:
        """Bytes of the file."""
        return self._file.size

    def position(self) -> int:
        """Bytes consumed."""
        return self._file.position()

    def read(self) -> Iterator[list[Record | Rejected]]:
        """Records in the order of the file; a bad line is rejected with its number."""
        return chunks(self._records())

    def summary(self) -> dict[str, int | float]:
        """Lines that were not blank, records by kind, and rejected lines."""
        return {name: self._counts[name] for name in ("lines", "users", "items", "interactions", "rejected")}

    def _records(self) -> Iterator[Record | Rejected]:
        self._counts.clear()
        counts = self._counts
        with self._file.binary() as stream:
            for number, line in _numbered(stream):
                if line is not None and not line.strip():
                    continue
                counts["lines"] += 1
                record = self._record(number, line)
                counts["rejected" if isinstance(record, Rejected) else record.kind + "s"] += 1
                yield record

    def _record(self, number: int, line: bytes | None) -> Record | Rejected:
        if line is None:
            return Rejected(number, "too_long", f"the line is longer than {MAX_LINE:,} bytes")
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            return _why(number, line, error)
        if not isinstance(value, dict):
            return Rejected(number, "not_an_object", f"the line is {shown(value)}, not a JSON object")
        if self._kind is not None:
            return Record(self._kind, value, number)
        key = "kind" if "kind" in value else "type"
        named = value.pop(key, None)
        kind = _KINDS.get(named) if isinstance(named, str) else None
        if kind is None:
            told = "names no kind" if named is None else f"has the {key} {shown(named)}"
            return Rejected(number, "unknown_kind", f"the record {told}: give user, item or interaction")
        return Record(kind, value, number)


def _why(number: int, line: bytes, error: ValueError) -> Rejected:
    try:
        line.decode()
    except UnicodeDecodeError as broken:
        return Rejected(number, "bad_encoding", f"the line is not UTF-8 at byte {broken.start + 1}")
    return Rejected(number, "bad_json", str(error))


def _numbered(stream: BufferedReader) -> Iterator[tuple[int, bytes | None]]:
    """Lines with their numbers; None for an over-long one, which is passed over in bounded pieces."""
    number = 0
    while line := stream.readline(MAX_LINE + 2):
        number += 1
        content = line.removesuffix(b"\n").removesuffix(b"\r")
        if number == 1:
            content = content.removeprefix(b"\xef\xbb\xbf")
        if len(content) <= MAX_LINE:
            yield number, content
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE)
        yield number, None
