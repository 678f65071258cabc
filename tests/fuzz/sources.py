"""What holds for any file that is given to a reader: rows become records or are refused, one by one."""

import csv
import io
import json
from pathlib import Path
from typing import Final

from app.readers.base import Reader, ReaderError, Record, Rejected
from app.readers.csv_mapping import CsvMapping, CsvReader
from app.readers.movielens import MovieLensReader
from app.readers.ndjson import NdjsonReader
from app.readers.online_retail import OnlineRetailReader

LONGEST_DETAIL: Final = 400
MAPPINGS: Final = (
    CsvMapping("users", {"user_id": "id", "created_at": "at"}, keep_rest=True),
    CsvMapping(
        "items",
        {"item_id": "id", "price": "price", "categories": "tags"},
        {"currency": "EUR"},
        separator=">",
        decimal=",",
    ),
    CsvMapping(
        "interactions",
        {"user_id": "id", "value": "price", "occurred_at": "at", "context.x": "tags"},
        {"event": "view"},
        time_format="unix_ms",
    ),
    CsvMapping(
        "interactions", {"session_id": "id", "occurred_at": "at"}, {"event": "x"}, time_format="%d/%m/%Y %z"
    ),
)
FILM_FOLDERS: Final = (
    ("u.data", "u.item", "u.user", "u.genre"),
    ("ratings.dat", "movies.dat", "users.dat"),
    ("ratings.csv", "movies.csv"),
)


def check_ndjson(folder: Path, content: bytes) -> None:
    """Lines that are not blank are as many as records and rejections; a record is what JSON says it is."""
    path = folder / "any.ndjson"
    path.write_bytes(content)
    for kind in ("users", None):
        reader = NdjsonReader(path, "users" if kind else None)
        rows, ended = rows_of(reader)
        summary = reader.summary()
        assert summary["lines"] == len(rows)
        if ended and not content.startswith(b"\x1f\x8b"):
            plain = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
            assert len(rows) == sum(1 for line in plain if line.removesuffix(b"\r").strip())
            for row in rows:
                if isinstance(row, Record) and kind:
                    assert row.fields == json.loads(plain[row.line - 1].strip(), parse_int=_as_read)
        assert summary["rejected"] == sum(isinstance(row, Rejected) for row in rows)


def check_csv(folder: Path, content: bytes, which: int) -> None:
    """Rows that are not blank are as many as records and rejections."""
    path = folder / "any.csv"
    path.write_bytes(content)
    try:
        reader = CsvReader(
            path, MAPPINGS[which % len(MAPPINGS)], encoding=("utf-8-sig", "utf-16")[which & 4 > 0]
        )
    except ReaderError as error:
        _is_one_line(str(error))
        return
    rows, ended = rows_of(reader)
    summary = reader.summary()
    assert summary["rows"] == summary["records"] + summary["rejected"] == len(rows)
    assert summary["rejected"] == sum(isinstance(row, Rejected) for row in rows)
    if ended and b'"' not in content and not content.startswith(b"\x1f\x8b") and not which & 4:
        text = content.decode("utf-8-sig", "surrogateescape")
        lines = [line for line in io.StringIO(text, newline="") if line.rstrip("\r\n")]
        assert len(rows) == max(0, len(lines) - 1)


def check_films(folder: Path, contents: list[bytes], which: int) -> None:
    """A folder of MovieLens; of each file every line that is not empty is a record or a rejection."""
    names = FILM_FOLDERS[which % len(FILM_FOLDERS)]
    for old in folder.iterdir():
        old.unlink()
    for name, content in zip(names, [*contents, b"", b"", b"", b""], strict=False):
        (folder / name).write_bytes(content)
    reader = MovieLensReader(folder)
    rows, ended = rows_of(reader)
    assert reader.summary()["rejected"] == sum(isinstance(row, Rejected) for row in rows)
    assert reader.summary()["ratings"] == sum(
        isinstance(row, Record) and row.kind == "interaction" for row in rows
    )
    if ended and which % 3 == 1 and not any(content.startswith(b"\x1f\x8b") for content in contents):
        lines = [
            line
            for content in contents[: len(names)]
            for line in io.StringIO(content.decode("latin-1"), newline="")
            if line.rstrip("\r\n")
        ]
        assert len(rows) == len(lines)


def check_invoices(folder: Path, content: bytes) -> None:
    """Of Online Retail, every row is an interaction, skipped for a reason that is counted, or rejected."""
    path = folder / "OnlineRetail.csv"
    path.write_bytes(content)
    reader = OnlineRetailReader(path)
    rows, ended = rows_of(reader)
    if not ended:
        return
    told = reader.summary()
    kinds = [row.kind for row in rows if isinstance(row, Record)]
    refused = [row for row in rows if isinstance(row, Rejected)]
    unparsed = sum(row.code != "bad_value" for row in refused)
    assert told["rejected"] == len(refused)
    assert told["purchases"] + told["refunds"] == kinds.count("interaction")
    assert told["items"] == kinds.count("item")
    assert told["customers"] == kinds.count("user")
    skipped = sum(count for name, count in told.items() if name.startswith("skipped_"))
    assert told["rows"] + unparsed == kinds.count("interaction") + skipped + len(refused)


def check_mapping(words: list[str], content: bytes, folder: Path) -> None:
    """Any mapping, encoding, delimiter and format of times is taken, or refused in one line."""
    column, separator, time_format, decimal, encoding, delimiter = (*words, "", "", "", "", "", "")[:6]
    path = folder / "mapped.csv"
    path.write_bytes(content)
    try:
        mapping = CsvMapping(
            "items",
            {"item_id": column or "id", "expires_at": "at", "price": "price"},
            separator=separator,
            time_format=time_format or "iso",
            decimal=decimal,
        )
        reader = CsvReader(path, mapping, delimiter=delimiter or None, encoding=encoding or "utf-8-sig")
    except ReaderError as error:
        _is_one_line(str(error))
        return
    rows_of(reader)


def rows_of(reader: Reader) -> tuple[list[Record | Rejected], bool]:
    """All rows, and whether the source came to its end: the one error there may be is a `ReaderError`."""
    rows: list[Record | Rejected] = []
    before = 0
    ended = True
    try:
        for chunk in reader.read():
            assert 0 < len(chunk) <= 5_000
            assert before <= reader.position() <= reader.total_bytes
            before = reader.position()
            rows += chunk
    except ReaderError as error:
        _is_one_line(str(error))
        ended = False
    for row in rows:
        assert row.line >= 1
        if isinstance(row, Rejected):
            assert row.code.isidentifier()
            _is_one_line(row.detail)
            assert len(row.detail) <= LONGEST_DETAIL
    return rows, ended


def _is_one_line(said: str) -> None:
    """What is shown to a person ends no line, steers no terminal, and can be written to any file."""
    assert said
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in said), ascii(said)
    said.encode()


def _as_read(digits: str) -> int | float:
    """Numbers beyond 64 bits are floats to the reader."""
    number = int(digits) if len(digits) < 30 else float(digits)
    return number if -(2**63) <= number < 2**64 else float(number)


def csv_line(cells: list[str]) -> bytes:
    """A row as a file has it."""
    file = io.StringIO()
    csv.writer(file).writerow(cells)
    return file.getvalue().encode("utf-8", "surrogateescape")
