"""Counts of calls within windows of time, in memory that the processes of one machine share."""

import fcntl
import mmap
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from secrets import token_bytes
from typing import BinaryIO

from limits.storage import Storage

from app.core.clock import now_ms

_SLOT = struct.Struct("=QQQ")  # digest of the key, end of its window in ms, count
_SALT_BYTES = 24
SLOTS = 65_536
PLACES = 8
"""Slots in which a key may lie."""
FILE_BYTES = _SALT_BYTES + SLOTS * _SLOT.size


class SharedCounts(Storage):  # type: ignore[misc,unused-ignore]
    """A table of fixed size, so that no number of addresses takes more memory.

    Where all places of a key are taken, the count that would end first is forgotten.
    """

    STORAGE_SCHEME = ["vitrine-shared"]  # noqa: RUF012 (the base class has it as its instances')

    def __init__(self, file: Path | None = None) -> None:
        super().__init__()
        self._file: BinaryIO | None = None
        self._turn = threading.Lock()
        if file is not None:
            self._file = os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        with self._alone():
            if self._file is not None and os.fstat(self._file.fileno()).st_size != FILE_BYTES:
                self._file.truncate(FILE_BYTES)
            self._memory = mmap.mmap(-1 if self._file is None else self._file.fileno(), FILE_BYTES)
            if not any(self._memory[:_SALT_BYTES]):  # the first of the processes
                self._memory[:_SALT_BYTES] = token_bytes(_SALT_BYTES)
        self._salt = self._memory[:_SALT_BYTES]

    @property
    def base_exceptions(self) -> type[Exception]:
        return OSError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count `amount` more within the key's window, of `expiry` seconds from its first count on."""
        digest, now = self._digest(key), now_ms()
        with self._alone():
            place, end, count = self._find(digest, now)
            if not count:
                end = now + expiry * 1000
            _SLOT.pack_into(self._memory, place, digest, end, count + amount)
        return count + amount

    def get(self, key: str) -> int:
        """The count of the window that is open."""
        return self._find(self._digest(key), now_ms())[2]

    def get_expiry(self, key: str) -> float:
        """When the open window ends, in seconds since the epoch; now, if none is open."""
        now = now_ms()
        return max(now, self._find(self._digest(key), now)[1]) / 1000

    def check(self) -> bool:
        return True

    def reset(self) -> int | None:
        """Forget all counts."""
        with self._alone():
            self._memory[_SALT_BYTES:] = bytes(FILE_BYTES - _SALT_BYTES)
        return None

    def clear(self, key: str) -> None:
        """Forget one count."""
        digest = self._digest(key)
        with self._alone():
            place, _, count = self._find(digest, now_ms())
            if count:
                _SLOT.pack_into(self._memory, place, 0, 0, 0)

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
        if self._file is not None:
            self._file.close()

    def _find(self, digest: int, now: int) -> tuple[int, int, int]:
        """Offset, end and count of a key's slot; with count 0, of the one that it is to take."""
        first = _SALT_BYTES + digest % (SLOTS - PLACES) * _SLOT.size
        free, earliest = first, 1 << 64
        for place in range(first, first + PLACES * _SLOT.size, _SLOT.size):
            of, end, count = _SLOT.unpack_from(self._memory, place)
            if of == digest and end > now:
                return place, end, count
            end = end if end > now else 0
            if end < earliest:
                free, earliest = place, end
        return free, 0, 0

    def _digest(self, key: str) -> int:
        # Salted, so that nobody can choose addresses that push others out.
        return int.from_bytes(blake2b(key.encode(), digest_size=8, key=self._salt).digest())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._turn:
            if self._file is None:
                yield
                return
            fcntl.lockf(self._file, fcntl.LOCK_EX)  # let go by the system where a process dies
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)
