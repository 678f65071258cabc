"""Any CSV or TSV file, by a mapping of the contract's fields to the file's columns."""

import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from app.readers.base import Kind, ReaderError, Record, Rejected, chunks, shown
from app.readers.files import SourceFile, csv_rows
from app.readers.values import ISO, UNIX, UNIX_MS, parse_list, parse_number, parse_time

Plural = Literal["users", "items", "interactions"]

_SINGULAR: Final[dict[Plural, Kind]] = {"users": "user", "items": "item", "interactions": "interaction"}
_OBJECT: Final[dict[Plural, str]] = {"users": "attributes", "items": "attributes", "interactions": "context"}
_FIELDS: Final[dict[Plural, frozenset[str]]] = {
    "users": frozenset({"user_id", "created_at"}),
    "items": frozenset(
        {
            "item_id",
            "title",
            "description",
            "categories",
            "brand",
            "price",
            "cost",
            "currency",
            "tags",
            "image_url",
            "url",
            "availability",
            "available_from",
            "expires_at",
            "group_id",
        }
    ),
    "interactions": frozenset(
        {
            "user_id",
            "session_id",
            "item_id",
            "event",
            "value",
            "quantity",
            "price",
            "currency",
            "order_id",
            "occurred_at",
            "event_id",
            "recommendation_id",
        }
    ),
}
# Each record needs one field of every group, from a column or as a constant.
_NEEDED: Final[dict[Plural, tuple[tuple[str, ...], ...]]] = {
    "users": (("user_id",),),
    "items": (("item_id",),),
    "interactions": (("user_id", "session_id"), ("event",)),
}
_NUMBERS: Final = frozenset({"price", "cost", "value", "quantity"})
_TIMES: Final = frozenset({"occurred_at", "created_at", "available_from", "expires_at"})
_LISTS: Final = frozenset({"categories", "tags"})

_DELIMITERS: Final = (",", ";", "\t", "|")
_SAMPLE: Final = 1 << 16


@dataclass(frozen=True)
class CsvMapping:
    """How columns become fields; `attributes.NAME` (interactions: `context.NAME`) goes into the object.

    A constant stands where the field has no column or the cell is empty. `time_format` is iso, unix, unix_ms
    or a strptime format; a time without a zone is UTC. With `keep_rest`, columns that are not mapped go into
    the object under their own names, as text.
    """

    kind: Plural
    columns: Mapping[str, str]
    constants: Mapping[str, Any] = field(default_factory=dict)
    separator: str = "|"
    time_format: str = ISO
    decimal: str = "."
    keep_rest: bool = False

    def __post_init__(self) -> None:
        """Raises ReaderError for fields the contract lacks, fields it needs, and bad formats."""
        prefix = _OBJECT[self.kind] + "."
        for name in (*self.columns, *self.constants):
            if name not in _FIELDS[self.kind] and not (name.startswith(prefix) and name != prefix):
                known = ", ".join(sorted(_FIELDS[self.kind]))
                raise ReaderError(f"{self.kind} have no field {shown(name)}; there is {known}, {prefix}NAME")
        for group in _NEEDED[self.kind]:
            if not any(name in self.columns or name in self.constants for name in group):
                raise ReaderError(f"{self.kind} need {' or '.join(group)}: map a column or give a constant")
        if not _is_time_format(self.time_format):
            raise ReaderError(
                f"{shown(self.time_format)} is no time format: give iso, unix, unix_ms or like %d/%m/%Y"
            )
        for name, value in self.constants.items():
            try:
                self.parse(name, value)
            except ValueError as error:
                raise ReaderError(f"the constant {name}: {error}") from error

    def parse(self, name: str, value: Any) -> Any:
        """A cell's text as the value its field takes; what is no text stays. ValueError with the reason."""
        if not isinstance(value, str):
            return value
        if name in _NUMBERS:
            return parse_number(value, self.decimal)
        if name in _TIMES:
            return parse_time(value, self.time_format)
        if name in _LISTS:
            return parse_list(value, self.separator)
        return value


class CsvReader:
    """Reads one CSV file (plain or gzip) by a mapping; a row that does not fit is rejected with its line."""

    def __init__(
        self, path: Path, mapping: CsvMapping, *, delimiter: str | None = None, encoding: str = "utf-8-sig"
    ) -> None:
        """Reads the header. Raises ReaderError if it lacks a mapped column, or nothing can be read."""
        try:
            "".encode(encoding)
        except (LookupError, ValueError) as error:  # not of texts, or no name at all
            raise ReaderError(f"there is no encoding {shown(encoding)}") from error
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"'):
            raise ReaderError(f"a delimiter is one character, not {shown(delimiter)}")
        self._file = SourceFile(path)
        self._encoding = encoding
        self._mapping = mapping
        self._delimiter, self._header = self._sniff(delimiter)
        self._columns = self._places()
        self._counts: Counter[str] = Counter()

    @property
    def total_bytes(self) -> int:
        """Bytes of the file."""
        return self._file.size

    def position(self) -> int:
        """Bytes consumed."""
        return self._file.position()

    def read(self) -> Iterator[list[Record | Rejected]]:
        """Records in the order of the file."""
        return chunks(self._records())

    def summary(self) -> dict[str, int | float]:
        """Rows below the header, records made of them, and rejected rows."""
        return {name: self._counts[name] for name in ("rows", "records", "rejected")}

    def _sniff(self, delimiter: str | None) -> tuple[str, list[str]]:
        """The delimiter that finds most mapped columns in the header, then most columns; and the header."""
        # A file of its own, because this look must not count as progress.
        with SourceFile(self._file.path).text(self._encoding, "surrogateescape") as text:
            sample = text.read(_SAMPLE)
        headers: list[tuple[str, list[str]]] = []
        for candidate in _DELIMITERS if delimiter is None else (delimiter,):
            row = next(csv_rows(io.StringIO(sample, newline=""), candidate), (1, "the file is empty"))[1]
            if isinstance(row, str):
                raise ReaderError(f"{self._file.path} has no header: {row}")
            headers.append((candidate, [name.strip().removeprefix("\ufeff") for name in row]))
        wanted = set(self._mapping.columns.values())
        return max(headers, key=lambda found: (len(wanted & set(found[1])), len(found[1])))

    def _places(self) -> list[tuple[int, str, str | None]]:
        """For each column read: its place, its field, and its name inside where the field is an object."""
        box = _OBJECT[self._mapping.kind]
        places: list[tuple[int, str, str | None]] = []
        for name, column in self._mapping.columns.items():
            if (times := self._header.count(column)) != 1:
                problem = "no column" if times == 0 else f"{times} columns named"
                there = ", ".join(map(shown, self._header[:100]))
                raise ReaderError(
                    f"{self._file.path} has {problem} {shown(column)} (for {name}); there is {there}"
                )
            inner = name.removeprefix(box + ".")
            places.append((self._header.index(column), *((box, inner) if inner != name else (name, None))))
        if self._mapping.keep_rest:
            mapped = set(self._mapping.columns.values())
            rest = [(place, name) for place, name in enumerate(self._header) if name and name not in mapped]
            places += [(place, box, name) for place, name in rest]
        return places

    def _records(self) -> Iterator[Record | Rejected]:
        self._counts.clear()
        counts = self._counts
        with self._file.text(self._encoding, "surrogateescape") as text:
            rows = csv_rows(text, self._delimiter)
            next(rows, None)
            for line, row in rows:
                counts["rows"] += 1
                record = self._record(line, row)
                counts["records" if isinstance(record, Record) else "rejected"] += 1
                yield record

    def _record(self, line: int, row: list[str] | str) -> Record | Rejected:
        if isinstance(row, str):
            return Rejected(line, "unreadable_row", row)
        if len(row) != len(self._header):
            return Rejected(line, "wrong_columns", f"{len(row)} columns instead of {len(self._header)}")
        if not _is_decoded(row):
            return Rejected(
                line, "bad_encoding", f"the row is not {shown(self._encoding)}; another encoding can be given"
            )
        fields: dict[str, Any] = {}
        inside: dict[str, Any] = {}
        for place, name, inner in self._columns:
            cell = row[place]
            if not cell.strip():
                continue
            if inner is not None:
                inside[inner] = cell
                continue
            try:
                fields[name] = self._mapping.parse(name, cell)
            except ValueError as error:
                code = "bad_number" if name in _NUMBERS else "bad_time"
                return Rejected(line, code, f"{name} (column {shown(self._header[place])}): {error}")
        self._add_constants(fields, inside)
        return Record(_SINGULAR[self._mapping.kind], fields, line)

    def _add_constants(self, fields: dict[str, Any], inside: dict[str, Any]) -> None:
        box = _OBJECT[self._mapping.kind]
        for name, value in self._mapping.constants.items():
            if name.startswith(box + "."):
                inside.setdefault(name.removeprefix(box + "."), value)
            elif name not in fields:
                fields[name] = self._mapping.parse(name, value)
        if inside:
            fields[box] = inside


def _is_decoded(row: list[str]) -> bool:
    """Whether no byte had to be smuggled through as a lone surrogate."""
    text = "".join(row)
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_time_format(time_format: str) -> bool:
    if time_format in (ISO, UNIX, UNIX_MS):
        return True
    try:
        datetime.strptime(datetime(2001, 2, 3, tzinfo=UTC).strftime(time_format), time_format)
    except (ValueError, re.error):  # the second where a part is named twice
        return False
    return "%" in time_format
