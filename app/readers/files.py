"""Files as readers need them: plain or gzip, with the position in the file and errors in one line."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO, cast

from app.readers.base import ReaderError

MAX_LINE: Final = 1 << 20
"""Characters (bytes, where bytes are read) that one line may have."""
MAX_ROW: Final = 2 * MAX_LINE
"""Characters of a row of CSV, which goes on over as many lines as its quotes do."""

_GZIP_MAGIC = b"\x1f\x8b"


class SourceFile:
    """One file on disk; compression is recognised by its first bytes, whatever the name says."""

    def __init__(self, path: Path) -> None:
        """Raises ReaderError if there is no such file."""
        if path.is_dir():
            raise ReaderError(f"{path} is a directory, not a file")
        try:
            self.size = path.stat().st_size
        except OSError as error:
            raise ReaderError(f"{path}: {error.strerror or error}") from error
        self.path = path
        self._passes = 0
        self._raw: io.FileIO | None = None

    def position(self) -> int:
        """Bytes consumed, over all passes."""
        return self._passes * self.size + (self._raw.tell() if self._raw is not None else 0)

    @contextmanager
    def binary(self) -> Iterator[io.BufferedReader]:
        """The decompressed bytes; what goes wrong while they are read becomes a ReaderError."""
        try:
            with io.FileIO(self.path) as raw:
                packed = raw.read(2) == _GZIP_MAGIC
                raw.seek(0)
                self._raw = raw
                if packed:
                    # GzipFile is no RawIOBase to the type checker, but BufferedReader takes it as one.
                    with gzip.GzipFile(fileobj=raw) as unpacked:
                        yield io.BufferedReader(cast(io.RawIOBase, unpacked), 1 << 16)
                else:
                    yield io.BufferedReader(raw, 1 << 16)
        except EOFError as error:
            raise ReaderError(f"{self.path} is truncated: the compressed data breaks off") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise ReaderError(f"{self.path} is damaged: {error}") from error
        except UnicodeError as error:
            raise ReaderError(f"{self.path} cannot be decoded: {error}") from error
        except OSError as error:
            raise ReaderError(f"{self.path}: {error.strerror or error}") from error
        finally:
            self._raw = None
        self._passes += 1

    @contextmanager
    def text(self, encoding: str, errors: str = "strict") -> Iterator[TextIO]:
        """The text with its line ends as they are in the file."""
        with self.binary() as stream, io.TextIOWrapper(stream, encoding, errors, newline="") as text:
            yield text


def bounded_lines(text: TextIO) -> Iterator[str]:
    """Lines with their line ends; one over `MAX_LINE` is an error, so that memory stays bounded."""
    number = 0
    while line := text.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE and line[-1] not in "\r\n":
            raise ReaderError(
                f"line {number} is longer than {MAX_LINE:,} characters: is this the right format?"
            )
        yield line


def csv_rows(text: TextIO, delimiter: str = ",") -> Iterator[tuple[int, list[str] | str]]:
    """Rows with the line they start on; a row that cannot be parsed comes as the reason. No blank rows."""
    held = 0

    def lines() -> Iterator[str]:
        nonlocal held
        for line in bounded_lines(text):
            held += len(line)
            if held > MAX_ROW:
                raise ReaderError(
                    f"the row of line {start} is longer than {MAX_ROW:,} characters: is a quote not closed?"
                )
            yield line

    rows = csv.reader(lines(), delimiter=delimiter)
    while True:
        held, start = 0, rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield start, str(error)
            continue
        if row:
            yield start, row
