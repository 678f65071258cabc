"""Any CSV by a mapping: delimiters, encodings, cells, and what is wrong with files and mappings."""

import csv
import gzip
import io
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.readers.base import ReaderError
from app.readers.csv_mapping import CsvMapping, CsvReader
from tests.readers.reading import count_until_error, read_all

_EVENTS = CsvMapping(
    "interactions", {"user_id": "who", "item_id": "what", "occurred_at": "when"}, {"event": "purchase"}
)
_ITEMS = CsvMapping("items", {"item_id": "sku", "title": "name", "price": "price", "categories": "cats"})


def _file(folder: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = folder / "shop.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def _fields(reader: CsvReader) -> list[dict[str, Any]]:
    records, rejected = read_all(reader)
    assert rejected == []
    return [record.fields for record in records]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_delimiters_line_ends_and_bom(tmp_path: Path, delimiter: str, end: str, encoding: str) -> None:
    rows = [["who", "what", "when"], ["ü1", "i,1", "2024-05-01T10:00:00+02:00"], ["u2", "i;2", "2024-05-01"]]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows(rows)
    reader = CsvReader(_file(tmp_path, out.getvalue(), encoding), _EVENTS)
    assert _fields(reader) == [
        {"user_id": "ü1", "item_id": "i,1", "occurred_at": "2024-05-01T08:00:00Z", "event": "purchase"},
        {"user_id": "u2", "item_id": "i;2", "occurred_at": "2024-05-01T00:00:00Z", "event": "purchase"},
    ]
    assert reader.summary() == {"rows": 2, "records": 2, "rejected": 0}


def test_the_mapped_columns_decide_the_delimiter(tmp_path: Path) -> None:
    path = _file(tmp_path, "sku;a,b,c,d\nx;1,2,3,4\n")
    assert _fields(CsvReader(path, CsvMapping("items", {"item_id": "sku"}))) == [{"item_id": "x"}]


def test_quotes_with_line_breaks_lists_and_numbers(tmp_path: Path) -> None:
    content = 'sku,name,price,cats\n1,"Two\nlines, ""quoted""",1.5,A > B| C |\n\n2,,7,\n3,x,-,A\n'
    records, rejected = read_all(CsvReader(_file(tmp_path, content), _ITEMS))
    assert [(record.line, record.fields) for record in records] == [
        (
            2,
            {
                "item_id": "1",
                "title": 'Two\nlines, "quoted"',
                "price": 1.5,
                "categories": ["A > B", "C"],
            },
        ),
        (5, {"item_id": "2", "price": 7}),
    ]
    assert [(bad.line, bad.code) for bad in rejected] == [(6, "bad_number")]
    assert "'price'" in rejected[0].detail


@pytest.mark.parametrize("cell", ["nan", "inf", "1e999", "1_000", "1,5", "٣", "0x10", "--1"])
def test_what_is_no_number(tmp_path: Path, cell: str) -> None:
    _, rejected = read_all(CsvReader(_file(tmp_path, f'sku;name;price;cats\n1;x;"{cell}";A\n'), _ITEMS))
    assert [bad.code for bad in rejected] == ["bad_number"]


def test_decimal_comma(tmp_path: Path) -> None:
    mapping = CsvMapping("items", {"item_id": "sku", "price": "preis"}, decimal=",")
    path = _file(tmp_path, "sku;preis\n1;12,50\n")
    assert _fields(CsvReader(path, mapping)) == [{"item_id": "1", "price": 12.5}]


@pytest.mark.parametrize(
    ("time_format", "cell", "expected"),
    [
        ("iso", "2024-05-01T10:00:00.250Z", "2024-05-01T10:00:00.250000Z"),
        ("unix", "1714557600", "2024-05-01T10:00:00Z"),
        ("unix_ms", "1714557600500", "2024-05-01T10:00:00.500000Z"),
        ("%d.%m.%Y %H:%M", "01.05.2024 10:00", "2024-05-01T10:00:00Z"),
        ("iso", "May 1st", None),
        ("iso", "0001-01-01T00:00:00+10:00", None),
        ("unix", "1e300", None),
        ("unix_ms", "soon", None),
        ("%d.%m.%Y", "31.02.2024", None),
    ],
)
def test_times(tmp_path: Path, time_format: str, cell: str, expected: str | None) -> None:
    mapping = CsvMapping("users", {"user_id": "id", "created_at": "since"}, time_format=time_format)
    records, rejected = read_all(CsvReader(_file(tmp_path, f"id,since\nu,{cell}\n"), mapping))
    assert [record.fields["created_at"] for record in records] == ([expected] if expected else [])
    assert [bad.code for bad in rejected] == ([] if expected else ["bad_time"])


def test_constants_stand_for_empty_cells_and_the_rest_is_kept(tmp_path: Path) -> None:
    mapping = CsvMapping(
        "users",
        {"user_id": "id", "attributes.town": "city"},
        {"attributes.town": "Bonn", "attributes.vip": True},
        keep_rest=True,
    )
    path = _file(tmp_path, "id,city,age,\nu1,Rome,30,x\nu2, ,,\n")
    assert _fields(CsvReader(path, mapping)) == [
        {"user_id": "u1", "attributes": {"town": "Rome", "age": "30", "vip": True}},
        {"user_id": "u2", "attributes": {"town": "Bonn", "vip": True}},
    ]


def test_rows_that_do_not_fit(tmp_path: Path) -> None:
    content = b"who,what,when\nu1,i1\nu\xff,i1,2024-05-01\nu3,i3,2024-05-01,x\nu4,i4,2024-05-01"
    records, rejected = read_all(CsvReader(_file(tmp_path, content), _EVENTS))
    assert [(bad.line, bad.code) for bad in rejected] == [
        (2, "wrong_columns"),
        (3, "bad_encoding"),
        (4, "wrong_columns"),
    ]
    assert [record.line for record in records] == [5]


def test_a_field_too_long_for_csv_is_rejected(tmp_path: Path) -> None:
    content = f"who,what,when\nu1,{'x' * 200_000},2024-05-01\nu2,i,2024-05-01\n"
    records, rejected = read_all(CsvReader(_file(tmp_path, content), _EVENTS))
    assert [(bad.line, bad.code) for bad in rejected] == [(2, "unreadable_row")]
    assert [record.fields["user_id"] for record in records] == ["u2"]


def test_a_line_without_end_is_an_error_after_the_good_rows(tmp_path: Path) -> None:
    content = "who,what,when\nu1,i,2024-05-01\n" + "x" * (2 << 20)
    chunks = CsvReader(_file(tmp_path, content), _EVENTS).read()
    assert len(next(chunks)) == 1
    with pytest.raises(ReaderError, match="line 3 is longer"):
        next(chunks)


def test_encodings(tmp_path: Path) -> None:
    mapping = CsvMapping("items", {"item_id": "sku", "title": "name"})
    path = _file(tmp_path, "sku,name\n1,Café\n", "cp1252")
    assert _fields(CsvReader(path, mapping, encoding="cp1252"))[0]["title"] == "Café"
    assert [bad.code for bad in read_all(CsvReader(path, mapping))[1]] == ["bad_encoding"]
    # Python reads names of encodings generously; a message shows what was given as it is.
    (bad,) = read_all(CsvReader(path, mapping, encoding="utf\x1f-8"))[1]
    assert bad.detail == r"the row is not 'utf\x1f-8'; another encoding can be given"
    with pytest.raises(ReaderError, match="no encoding 'klingon'"):
        CsvReader(path, mapping, encoding="klingon")
    with pytest.raises(ReaderError, match="cannot be decoded"):
        CsvReader(path, mapping, encoding="utf-16")


def test_gzip_whatever_the_name_and_truncated(tmp_path: Path) -> None:
    rows = "".join(f"user {number},item {number * 7919 % 1009},2024-05-01\n" for number in range(20_000))
    packed = gzip.compress(("who,what,when\n" + rows).encode())
    assert len(_fields(CsvReader(_file(tmp_path, packed), _EVENTS))) == 20_000
    reader = CsvReader(_file(tmp_path, packed[:-2000]), _EVENTS)
    assert 10_000 < count_until_error(reader, "is truncated") < 20_000
    # Damage inside the data, not at its end.
    _file(tmp_path, packed[:10] + b"\xff" * 40 + packed[50:])
    with pytest.raises(ReaderError, match="is damaged"):
        CsvReader(tmp_path / "shop.csv", _EVENTS)


def test_columns_that_are_not_there_or_twice(tmp_path: Path) -> None:
    with pytest.raises(ReaderError, match=r"no column 'when' \(for occurred_at\); there is 'who', 'what'$"):
        CsvReader(_file(tmp_path, "who,what\n"), _EVENTS)
    with pytest.raises(ReaderError, match="2 columns named 'who'"):
        CsvReader(_file(tmp_path, "who,what,when,who\n"), _EVENTS)
    with pytest.raises(ReaderError, match="the file is empty"):
        CsvReader(_file(tmp_path, ""), _EVENTS)
    assert _fields(CsvReader(_file(tmp_path, "who,what,when"), _EVENTS)) == []
    with pytest.raises(ReaderError, match="is a directory"):
        CsvReader(tmp_path, _EVENTS)
    with pytest.raises(ReaderError, match="one character"):
        CsvReader(_file(tmp_path, "who,what,when"), _EVENTS, delimiter="::")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "users", "columns": {"name": "n", "user_id": "u"}}, "no field 'name'"),
        ({"kind": "users", "columns": {}}, "users need user_id"),
        ({"kind": "interactions", "columns": {"user_id": "u"}}, "need event"),
        ({"kind": "interactions", "columns": {"item_id": "i", "event": "e"}}, "need user_id or session_id"),
        ({"kind": "items", "columns": {"item_id": "i"}, "constants": {"price": "x"}}, "the constant price"),
        ({"kind": "items", "columns": {"item_id": "i"}, "time_format": "rfc"}, "no time format"),
        ({"kind": "items", "columns": {"item_id": "i"}, "time_format": "%Q"}, "no time format"),
    ],
)
def test_mappings_that_cannot_work(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ReaderError, match=message):
        CsvMapping(**arguments)


# What csv itself cannot carry: NUL, and lone surrogates that no encoding has. Blank cells are left out.
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30).filter(
    str.strip
)


@given(
    rows=st.lists(st.tuples(_TEXT, _TEXT, st.floats(allow_nan=False, allow_infinity=False)), max_size=20),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    end=st.sampled_from(["\n", "\r\n"]),
    packed=st.booleans(),
)
def test_round_trip(rows: list[tuple[str, str, float]], delimiter: str, end: str, packed: bool) -> None:
    out = io.StringIO(newline="")
    # Unless told to quote all, the writer leaves a lone "\r" bare, which readers take for a line end.
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([("sku", "name", "price"), *rows])
    content = out.getvalue().encode()
    mapping = CsvMapping("items", {"item_id": "sku", "title": "name", "price": "price"})
    with tempfile.TemporaryDirectory() as folder:
        path = _file(Path(folder), gzip.compress(content) if packed else content)
        fields = _fields(CsvReader(path, mapping))
    assert [(one["item_id"], one["title"], one["price"]) for one in fields] == rows
