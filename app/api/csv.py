"""Answers as CSV."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi import Response

from app.core.csv import csv_text

CSV_CONTENT: dict[str, Any] = {"text/csv": {"schema": {"type": "string"}}}
"""OpenAPI of the answer, beside its JSON."""


def csv_answer(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], filename: str) -> Response:
    """A file with a line of column names and one for each row, harmless in a spreadsheet."""
    return Response(
        csv_text(rows, columns).encode(),
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
        media_type="text/csv; charset=utf-8",
    )
