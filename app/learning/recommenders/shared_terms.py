"""Terms that several items have, in a bounded number of columns without collisions: their attributes."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.recommenders.telling import most_telling

MOST_TERMS = 2**14
"""Columns, at most."""


@dataclass(frozen=True)
class Documents:
    """The terms of each document as 64-bit digests, each once."""

    digests: NDArray[np.uint64]
    indptr: NDArray[np.int64]
    """Where each document's digests begin and end, `(n_documents + 1,)`."""

    @classmethod
    def of(cls, documents: Iterable[Iterable[str]]) -> Self:
        digests: list[int] = []
        indptr = [0]
        for terms in documents:
            digests += dict.fromkeys(map(_digest, terms))
            indptr.append(len(digests))
        return cls(np.array(digests, dtype=np.uint64), np.array(indptr, dtype=np.int64))


@dataclass(frozen=True)
class SharedTerms:
    """The terms that at least two documents have."""

    digests: NDArray[np.uint64]
    """Ascending."""

    def __len__(self) -> int:
        return len(self.digests)

    @classmethod
    def learn(cls, documents: Documents) -> Self:
        """The most telling terms of two documents and more."""
        digests, frequency = np.unique(documents.digests, return_counts=True)
        shared = frequency >= 2
        digests, frequency = digests[shared], frequency[shared]
        return cls(digests[most_telling(frequency, len(documents.indptr) - 1, MOST_TERMS)])

    def of(self, documents: Documents) -> csr_array:
        """Ones where a document has a term, `(n_documents, len(self))` float32."""
        place = np.searchsorted(self.digests, documents.digests)
        known = np.zeros(len(place), dtype=np.bool_)
        inside = place < len(self)
        known[inside] = self.digests[place[inside]] == documents.digests[inside]
        indptr = np.concatenate([[0], np.cumsum(known)])[documents.indptr]
        ones = np.ones(int(known.sum()), dtype=np.float32)
        found = csr_array((ones, place[known], indptr), shape=(len(indptr) - 1, len(self)))
        found.sort_indices()
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"attributes": self.digests}


@lru_cache(maxsize=2**16)
def _digest(term: str) -> int:
    return int.from_bytes(blake2b(term.encode(), digest_size=8).digest(), "little")
