"""Files of any bytes; the same properties as `python -m tests.fuzz ndjson csv movielens online-retail`."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.readers.base import ReaderError
from app.readers.csv_mapping import CsvMapping, CsvReader
from app.readers.movielens import MovieLensReader
from tests.fuzz import sources
from tests.fuzz.guided import SEEDS
from tests.readers.reading import count_until_error

CELLS = st.sampled_from(
    ["id", "at", "price", "tags", "1", "1,5", "2026-01-01", "x|y", '"', "", "\x00", "é", "\r"]
)
ROWS = st.lists(st.lists(CELLS, max_size=4).map(sources.csv_line), max_size=4).map(b"".join)
ANY = st.binary(max_size=60) | ROWS
MAPPED = {"item_id": "id"}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        yield Path(place)


@settings(max_examples=60)
@given(
    content=ANY
    | st.lists(st.sampled_from([b"{}", b'{"kind":"item"}', b"\r", b"\n", b"[", b"9" * 40])).map(b"".join)
)
def test_lines(folder: Path, content: bytes) -> None:
    sources.check_ndjson(folder, content)


@settings(max_examples=100)
@given(
    content=ANY,
    header=st.sampled_from([b"", b"id,at,price,tags\n", b"id;price;tags;at\r"]),
    which=st.integers(0, 7),
)
def test_tables(folder: Path, content: bytes, header: bytes, which: int) -> None:
    sources.check_csv(folder, header + content, which)


@settings(max_examples=40)
@given(contents=st.lists(ANY, max_size=4), which=st.integers(0, 2))
@example(contents=[b"", b"", b"", b"x|" + b"1" * 5_000], which=0)
def test_films(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes], which: int) -> None:
    sources.check_films(tmp_path_factory.mktemp("films"), contents, which)


@settings(max_examples=60)
@given(content=ANY)
def test_invoices(folder: Path, content: bytes) -> None:
    sources.check_invoices(folder, SEEDS["online-retail"][0].partition(b"\n")[0] + b"\n" + content)


@settings(max_examples=60)
@given(words=st.lists(st.text(max_size=8), max_size=6))
@example(words=["id", "", "%Y%Y"])
@example(words=["id", "", "%d\x1b%m"])
@example(words=["id", "", "", "", "hex"])
@example(words=["id", "", "", "", "a\x00b"])
@example(words=["id", "", "", "", "idna"])
def test_mappings(folder: Path, words: list[str]) -> None:
    sources.check_mapping(words, b"id;at;price\na;02/01/2026;1,5\n", folder)


def test_times_with_their_offset(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("id,from\ni,02/01/2026 00:30 +0100\n")
    mapping = CsvMapping("items", {**MAPPED, "available_from": "from"}, time_format="%d/%m/%Y %H:%M %z")
    rows, _ = sources.rows_of(CsvReader(path, mapping))
    assert [row.fields["available_from"] for row in rows if hasattr(row, "fields")] == [
        "2026-01-01T23:30:00Z"
    ]


@pytest.mark.parametrize("encoding", ["hex", "rot13", "a\x00b", "undefined", "nonsense"])
def test_what_is_no_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "items.csv"
    path.write_text("id\ni\n")
    with pytest.raises(ReaderError, match="there is no encoding"):
        CsvReader(path, CsvMapping("items", MAPPED), encoding=encoding)


def test_a_row_that_does_not_end(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(b'id,x\ni,1\nj,"\n' + b'a","b\n' * 500_000)
    reader = CsvReader(path, CsvMapping("items", MAPPED))
    assert count_until_error(reader, "the row of line 3 is longer than 2,097,152 characters") == 1


def test_numbers_of_genres_beyond_counting(tmp_path: Path) -> None:
    for name in ("u.data", "u.item", "u.user"):
        (tmp_path / name).touch()
    (tmp_path / "u.genre").write_text("x|" + "1" * 5_000)
    count_until_error(MovieLensReader(tmp_path), "u.genre, line 1: expected name|number")
