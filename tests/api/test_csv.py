"""CSV answers: read back as they were written, and harmless in a spreadsheet."""

import csv
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.csv import csv_answer


def read(rows: list[dict[str, Any]], *columns: str) -> list[list[str]]:
    text = bytes(csv_answer(rows, columns, "file.csv").body).decode()
    return list(csv.reader(StringIO(text, newline="")))


def test_a_table() -> None:
    rows = [{"name": 'a "b", c\nd', "number": -1.5, "more": None}, {"name": "é", "unasked": 1}]
    response = csv_answer(rows, ("name", "number", "more"), "file.csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="file.csv"'
    assert bytes(response.body).decode() == 'name,number,more\r\n"a ""b"", c\nd",-1.5,\r\né,,\r\n'
    assert read([], "name") == [["name"]]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_is_never_a_formula(start: str) -> None:
    assert read([{"text": f"{start}1"}], "text") == [["text"], [f"'{start}1"]]
    assert read([{"text": start}], "text") == [["text"], [f"'{start}"]]
    assert read([{"text": f"a{start}1"}], "text") == [["text"], [f"a{start}1"]]


@pytest.mark.parametrize(("number", "text"), [(-5, "-5"), (-0.25, "-0.25"), (1e21, "1e+21"), (0, "0")])
def test_numbers_are_not_touched(number: float, text: str) -> None:
    assert read([{"number": number}], "number") == [["number"], [text]]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=2))
def test_every_text_comes_back(texts: list[str]) -> None:
    columns = [f"c{place}" for place in range(len(texts))]
    _, found = read([dict(zip(columns, texts, strict=True))], *columns)
    for text, cell in zip(texts, found, strict=True):
        assert cell == (f"'{text}" if text[:1] in tuple("=+-@\t\r") else text)
