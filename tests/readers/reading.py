"""What the reader tests share: a whole source as two lists, or what comes before it breaks off."""

import re

import pytest

from app.readers.base import Reader, ReaderError, Record, Rejected


def read_all(reader: Reader) -> tuple[list[Record], list[Rejected]]:
    """Records and rejections in their order; checks on the way that the position only grows."""
    records: list[Record] = []
    rejected: list[Rejected] = []
    before = 0
    for chunk in reader.read():
        assert 0 < len(chunk) <= 5_000
        assert before <= reader.position() <= reader.total_bytes
        before = reader.position()
        for row in chunk:
            if isinstance(row, Record):
                records.append(row)
            else:
                rejected.append(row)
    assert reader.position() == reader.total_bytes
    return records, rejected


def count_until_error(reader: Reader, message: str) -> int:
    """How many rows come before the read ends in a ReaderError."""
    sizes: list[int] = []
    with pytest.raises(ReaderError, match=re.escape(message)) as caught:
        sizes.extend(map(len, reader.read()))
    assert "\n" not in str(caught.value)
    return sum(sizes)
