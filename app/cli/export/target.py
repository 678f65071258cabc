"""Where an export goes: standard output, or a file that is there whole or not at all."""

import gzip
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Literal
from uuid import uuid4

from app.cli.console import fail

Format = Literal["csv", "ndjson"]
_ENDINGS: dict[str, Format] = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}


@dataclass(frozen=True)
class Target:
    """What `--out`, `--format` and `--force` say, found to be possible."""

    path: Path | None
    """None: standard output."""
    shown: str
    form: Format
    force: bool

    @classmethod
    def of(cls, out: str, form: str | None, force: bool, usual: Format) -> "Target":
        """Without a format the file's ending says it, else it is the usual one of what is exported.

        Ends the command where nothing could be written.
        """
        ending = _ENDINGS.get(Path(out.removesuffix(".gz")).suffix.lower(), usual)
        chosen: Format = ending if form is None else _known(form)
        if out == "-":
            return cls(None, out, chosen, force)
        if not out or "\0" in out:
            fail("--out takes a file, or - for standard output", 2)
        try:
            # A link stays one: what it leads to is replaced.
            path = Path(out).resolve()
            if not path.parent.is_dir():
                fail(f"--out: there is no folder {path.parent}", 2)
            if path.is_dir():
                fail(f"--out: {out} is a folder", 2)
            if path.exists() and not path.is_file():
                fail(f"--out: {out} is not a file", 2)
        except (OSError, RuntimeError) as error:
            fail(f"--out: {_reason(error)}", 2)
        target = cls(path, out, chosen, force)
        target.check_free()
        return target

    def check_free(self) -> None:
        """End the command if a file is in the way."""
        if self.path is not None and not self.force and self.path.exists():
            fail(f"--out: {self.shown} is there already; --force replaces it", 2)

    @contextmanager
    def opened(self) -> Iterator[IO[bytes] | gzip.GzipFile]:
        """A stream whose bytes are at the target when the block has ended well, and nowhere otherwise."""
        if self.path is None:
            with _standard_output() as stream:
                yield stream
            return
        beside = self.path.with_name(f".{self.path.name[:100]}.{uuid4().hex[:12]}.part")
        former = signal.signal(signal.SIGTERM, _end)
        try:
            with beside.open("xb") as file:
                if self.path.suffix == ".gz":
                    # Without a time of its own the same data give the same file.
                    with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
                        yield packed
                else:
                    yield file
                file.flush()
                os.fsync(file.fileno())
            self.check_free()
            beside.replace(self.path)
        except OSError as error:
            fail(f"--out: {_reason(error)}")
        finally:
            beside.unlink(missing_ok=True)
            signal.signal(signal.SIGTERM, former)


@contextmanager
def _standard_output() -> Iterator[IO[bytes]]:
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # What is still in the buffer would fail once more, and noisily, when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        fail(f"--out: standard output: {_reason(error)}")


def _known(form: str) -> Format:
    found = _ENDINGS.get(f".{form}")
    if found is None or found != form:
        fail(f"--format is csv or ndjson, not '{form}'", 2)
    return found


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _end(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(143)
