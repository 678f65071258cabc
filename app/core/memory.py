"""The C library's memory, told what this process does with it."""

import ctypes
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""Of glibc's malloc.h."""
_KEPT: Final = 64 * 2**20
"""Freed bytes at the end of a heap that are not given back."""
_MAPPED_FROM: Final = 32 * 2**20
"""Bytes from which a block is mapped on its own; the most that glibc takes."""


def keep_freed_memory() -> bool:
    """Keep what is freed for the next request; whether the C library can (glibc does, others need not).

    Arrays as long as the catalogue come and go in every list. Given back each time, their pages have to be
    mapped and cleared anew: 450 of them for each list over 100,000 items.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM) and mallopt(_M_TRIM_THRESHOLD, _KEPT))
