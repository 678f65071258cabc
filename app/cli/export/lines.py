"""Tables as the bytes of a file, some rows at a time."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson

from app.cli.export.target import Format
from app.core.csv import csv_text
from app.services.exports.table import Table

_AT_ONCE = 1_000
_SEPARATOR = "|"
"""Between the values of a list in one cell; the one that `vitrine import csv` expects."""


def lines_of(table: Table, form: Format, kind: str | None) -> Iterator[tuple[int, bytes]]:
    """Rows so far, and the bytes of the latest ones; `kind` is what each line of NDJSON says that it is."""
    rows = iter(table.rows)
    written = 0
    columns = [*table.fields]
    for spread in table.objects.values():
        columns += [f"{spread.prefix}.{name}" for name in spread.names]
    while (some := list(islice(rows, _AT_ONCE))) or written == 0:
        if form == "csv":
            header = written == 0
            content = csv_text((_flat(row, table) for row in some), columns, header=header).encode()
        else:
            content = b"".join(_line(row, table, kind) for row in some)
        yield len(some), content
        written += len(some)
        if not some:
            return


def _line(row: dict[str, Any], table: Table, kind: str | None) -> bytes:
    named: dict[str, Any] = {} if kind is None else {"kind": kind}
    for name in (*table.fields, *table.objects):
        if name in row:
            named[name] = row[name]
    return orjson.dumps(named, option=orjson.OPT_APPEND_NEWLINE)


def _flat(row: dict[str, Any], table: Table) -> dict[str, Any]:
    cells = {name: _cell(row.get(name)) for name in table.fields}
    for field, spread in table.objects.items():
        given = row.get(field) or {}
        cells |= {f"{spread.prefix}.{name}": _cell(given.get(name)) for name in spread.names}
    return cells


def _cell(value: Any) -> Any:
    """What has no form of its own in a spreadsheet: truth as in JSON, texts in a row, objects as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return _SEPARATOR.join(value)
    return orjson.dumps(value).decode() if isinstance(value, list | dict) else value
