"""The three published MovieLens formats, and what is wrong with a folder."""

from pathlib import Path

import pytest

from app.readers.base import ReaderError
from app.readers.movielens import MovieLensReader
from tests.readers.reading import read_all


def _ml_100k(folder: Path) -> Path:
    (folder / "u.genre").write_text("unknown|0\nAction|1\nComedy|2\n\n")
    (folder / "u.item").write_bytes(
        "1|Amélie (2001)|4-Feb-1995||http://x|0|1|1\n2|unknown||||1|0|0\n3|Odd (1999)|31-Feb-1999|||0|0|0\n"
        "4|Short|01-Jan-1995\n".encode("latin-1")
    )
    (folder / "u.user").write_text("7|24|M|technician|85711\n8|old|F|other|94043\n")
    (folder / "u.data").write_text("7\t1\t5\t881250949\r\n8\t2\tfive\t881250949\n9\t1\t3\n9\t1\t3\t881250950")
    return folder


def test_ml_100k(tmp_path: Path) -> None:
    reader = MovieLensReader(_ml_100k(tmp_path))
    records, rejected = read_all(reader)
    assert [(record.kind, record.line) for record in records] == [
        ("item", 1),
        ("item", 2),
        ("item", 3),
        ("user", 1),
        ("interaction", 1),
        ("interaction", 4),
    ]
    assert records[0].fields == {
        "item_id": "1",
        "title": "Amélie (2001)",
        "categories": ["Action", "Comedy"],
        "available_from": "1995-02-04T00:00:00Z",
    }
    assert records[1].fields == {"item_id": "2", "title": "unknown", "categories": []}
    assert "available_from" not in records[2].fields
    assert records[3].fields == {
        "user_id": "7",
        "attributes": {"age": 24, "gender": "M", "occupation": "technician", "zip": "85711"},
    }
    assert records[4].fields == {
        "user_id": "7",
        "item_id": "1",
        "event": "rate",
        "value": 5.0,
        "occurred_at": "1997-12-04T15:55:49Z",
        "event_id": "movielens:7:1:881250949",
    }
    assert [(bad.line, bad.code, bad.detail.split(":")[0]) for bad in rejected] == [
        (4, "wrong_columns", "u.item"),
        (2, "bad_value", "u.user"),
        (2, "bad_value", "u.data"),
        (3, "wrong_columns", "u.data"),
    ]
    assert reader.summary() == {"ratings": 2, "users": 2, "items": 3, "rejected": 4}


def test_ml_1m(tmp_path: Path) -> None:
    (tmp_path / "movies.dat").write_bytes("1::Café (1995)::Drama|Children's\n".encode("latin-1"))
    (tmp_path / "users.dat").write_text("1::F::1::10::48067\n2::M::56::21::70072\n3::M::57::2::70072\n")
    (tmp_path / "ratings.dat").write_text("1::1::5::978300760\n")
    reader = MovieLensReader(tmp_path)
    records, rejected = read_all(reader)
    assert records[0].fields == {
        "item_id": "1",
        "title": "Café (1995)",
        "categories": ["Drama", "Children's"],
    }
    assert records[1].fields["attributes"] == {
        "age_group": "under 18",
        "gender": "F",
        "occupation": "K-12 student",
        "zip": "48067",
    }
    assert records[2].fields["occurred_at"] == "2000-12-31T22:12:40Z"
    assert [bad.line for bad in rejected] == [2, 3]
    assert reader.summary() == {"ratings": 1, "users": 1, "items": 1, "rejected": 2}


def test_ml_latest(tmp_path: Path) -> None:
    (tmp_path / "movies.csv").write_text(
        'movieId,title,genres\r\n1,"American President, The (1995)",Comedy|Drama\r\n'
        "2,Ünï,(no genres listed)\r\n",
        encoding="utf-8",
        newline="",
    )
    (tmp_path / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n1,1,3.5,964982703\n1,2,4.0,99999999999999999\n"
    )
    reader = MovieLensReader(tmp_path)
    records, rejected = read_all(reader)
    assert [record.fields["title"] for record in records[:2]] == ["American President, The (1995)", "Ünï"]
    assert [record.fields["categories"] for record in records[:2]] == [["Comedy", "Drama"], []]
    assert records[2].fields["value"] == 3.5
    assert [(bad.line, bad.code) for bad in rejected] == [(3, "bad_value")]
    assert reader.summary() == {"ratings": 1, "users": 1, "items": 2, "rejected": 1}


def test_reading_twice_gives_the_same(tmp_path: Path) -> None:
    reader = MovieLensReader(_ml_100k(tmp_path))
    first = list(reader.read())
    facts = reader.summary()
    assert list(reader.read()) == first
    assert reader.summary() == facts


@pytest.mark.parametrize("name", ["u.data", "u.item", "u.user", "u.genre"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    (_ml_100k(tmp_path) / name).unlink()
    with pytest.raises(ReaderError, match=f"{name} is missing"):
        MovieLensReader(tmp_path)


def test_no_folder_and_no_movielens(tmp_path: Path) -> None:
    with pytest.raises(ReaderError, match=r"none of u\.data, ratings\.dat, ratings\.csv"):
        MovieLensReader(tmp_path)
    with pytest.raises(ReaderError, match="is not a directory"):
        MovieLensReader(tmp_path / "absent")


def test_damaged_genres(tmp_path: Path) -> None:
    (_ml_100k(tmp_path) / "u.genre").write_text("unknown|0\nAction\n")
    with pytest.raises(ReaderError, match="line 2"):
        read_all(MovieLensReader(tmp_path))
