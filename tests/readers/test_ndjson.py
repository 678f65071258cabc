"""NDJSON: kinds, bad lines with their numbers, and a round trip."""

import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.readers.base import ReaderError, Record
from app.readers.ndjson import NdjsonReader
from tests.readers.reading import count_until_error, read_all


def _file(folder: Path, content: bytes) -> Path:
    path = folder / "shop.ndjson"
    path.write_bytes(content)
    return path


def test_one_kind(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf{"user_id": "u1", "type": "x"}\r\n\n  \n{"user_id": "u2"}'
    reader = NdjsonReader(_file(tmp_path, content), "users")
    records, rejected = read_all(reader)
    assert records == [
        Record("user", {"user_id": "u1", "type": "x"}, 1),
        Record("user", {"user_id": "u2"}, 4),
    ]
    assert rejected == []
    assert reader.summary() == {"lines": 2, "users": 2, "items": 0, "interactions": 0, "rejected": 0}


def test_records_that_name_their_kind(tmp_path: Path) -> None:
    lines = [
        b'{"kind": "item", "item_id": "i"}',
        b'{"type": "users", "user_id": "u"}',
        b'{"kind": "interaction", "event": "view", "type": "kept"}',
        b'{"kind": "order"}',
        b'{"item_id": "i"}',
        b'{"kind": ["item"]}',
    ]
    reader = NdjsonReader(_file(tmp_path, b"\n".join(lines)))
    records, rejected = read_all(reader)
    assert [(record.kind, record.fields) for record in records] == [
        ("item", {"item_id": "i"}),
        ("user", {"user_id": "u"}),
        ("interaction", {"event": "view", "type": "kept"}),
    ]
    assert [(bad.line, bad.code) for bad in rejected] == [(line, "unknown_kind") for line in (4, 5, 6)]
    assert reader.summary() == {"lines": 6, "users": 1, "items": 1, "interactions": 1, "rejected": 3}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"user_id": ', "bad_json"),
        (b'{"user_id": NaN}', "bad_json"),
        (b'{"user_id": "\\ud800"}', "bad_json"),
        (b"[" * 100_000, "bad_json"),
        (b'{"user_id": "\xff"}', "bad_encoding"),
        (b'["u1"]', "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"user_id": "' + b"x" * (1 << 20) + b'"}', "too_long"),
        (b"x" * (3 << 20), "too_long"),
    ],
)
def test_a_bad_line_is_rejected_with_its_number(tmp_path: Path, line: bytes, code: str) -> None:
    content = b'{"user_id": "u1"}\n' + line + b'\n{"user_id": "u3"}\n'
    records, rejected = read_all(NdjsonReader(_file(tmp_path, content), "users"))
    assert [(bad.line, bad.code) for bad in rejected] == [(2, code)]
    assert len(rejected[0].detail) < 200
    assert [record.line for record in records] == [1, 3]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_longest_line_is_taken(tmp_path: Path, end: bytes) -> None:
    line = b'{"user_id": "' + b"x" * ((1 << 20) - 15) + b'"}'
    assert len(line) == 1 << 20
    records, rejected = read_all(NdjsonReader(_file(tmp_path, line + end), "users"))
    assert (len(records), rejected) == (1, [])


@pytest.mark.parametrize("content", [b"", b"\n\n", gzip.compress(b"", mtime=0)])
def test_nothing_in_it(tmp_path: Path, content: bytes) -> None:
    path = _file(tmp_path, content)
    reader = NdjsonReader(path, "items")
    assert list(reader.read()) == []
    assert reader.summary()["lines"] == 0


def test_truncated_gzip_after_the_good_lines(tmp_path: Path) -> None:
    lines = "".join(f'{{"user_id": "u{number * 7919 % 10007}"}}\n' for number in range(20_000))
    path = _file(tmp_path, gzip.compress(lines.encode())[:-2000])
    reader = NdjsonReader(path, "users")
    assert 10_000 < count_until_error(reader, "shop.ndjson is truncated") < 20_000


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ReaderError, match="No such file"):
        NdjsonReader(tmp_path / "absent", "users")


_NAMES = st.text(st.characters(codec="utf-8"))
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(
    records=st.lists(st.dictionaries(_NAMES, _JSON, max_size=5), max_size=10),
    end=st.sampled_from(["\n", "\r\n", "\n\n"]),
    ascii_only=st.booleans(),
    packed=st.booleans(),
)
def test_round_trip(records: list[dict[str, Any]], end: str, ascii_only: bool, packed: bool) -> None:
    content = end.join(json.dumps(record, ensure_ascii=ascii_only) for record in records).encode()
    with tempfile.TemporaryDirectory() as folder:
        path = _file(Path(folder), gzip.compress(content) if packed else content)
        found, rejected = read_all(NdjsonReader(path, "interactions"))
    assert rejected == []
    assert [record.fields for record in found] == records
