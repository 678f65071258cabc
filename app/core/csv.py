"""Tables as CSV (RFC 4180) that spreadsheets can open without running what a cell says."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import Any

_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, header: bool = True) -> str:
    """A line of column names and one for each row; None and missing cells are empty.

    Text that a spreadsheet would take for a formula gets an apostrophe in front; numbers stay as they are.
    """
    file = StringIO()
    writer = csv.writer(file)
    if header:
        writer.writerow([_cell(name) for name in columns])
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return file.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_STARTS_A_FORMULA) else value
