"""Runs of characters within words, by which inflections, compounds and misspellings meet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from app.learning.recommenders.base import Arrays
from app.learning.recommenders.sparse import empty
from app.learning.recommenders.telling import most_telling

LENGTHS = (3, 4, 5)
LONGEST_WORD = 30
"""Characters of a word that are looked at."""
MOST_GRAMS = 2**15
"""Columns, at most."""
_BITS = 12
_MOST_LETTERS = 2**_BITS - 1
_WORDS_AT_ONCE = 50_000
_MOST_COUNTED = 2_000_000
"""Grams that are counted at a time while the vocabulary is chosen; the rarest give way."""

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class CharacterGrams:
    """A vocabulary of runs of three to five characters; the space before and after a word is one of them."""

    letters: NDArray[np.uint32]
    """Code points that grams are made of, ascending, at most 4095."""
    grams: Indices
    """The vocabulary, ascending: the place of each letter plus one in 12 bits, the last letter lowest."""

    def __len__(self) -> int:
        return len(self.grams)

    @classmethod
    def none(cls) -> Self:
        return cls(np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.int64))

    @classmethod
    def learn(cls, words: Sequence[str], items_with: Indices, n_items: int) -> Self:
        """The most telling grams of distinct words, each held by `items_with` items, `(n_words,)`."""
        found = cls(_letters(words), np.empty(0, dtype=np.int64))
        frequency = np.empty(0, dtype=np.int64)
        for part in _parts(len(words)):
            row, gram, _ = found._windows(words[part])
            # A run that a word holds twice is one.
            order = np.lexsort((gram, row))
            row, gram = row[order], gram[order]
            first = np.ones(len(row), dtype=np.bool_)
            first[1:] = (np.diff(row) != 0) | (np.diff(gram) != 0)
            row, gram = row[first], gram[first]
            grams, place = np.unique(np.concatenate([found.grams, gram]), return_inverse=True)
            weights = np.concatenate([frequency, items_with[part][row]])
            frequency = np.bincount(place, weights=weights, minlength=len(grams)).astype(np.int64)
            if len(grams) > _MOST_COUNTED:
                kept = np.sort(np.argsort(-frequency, kind="stable")[:_MOST_COUNTED])
                grams, frequency = grams[kept], frequency[kept]
            found = cls(found.letters, grams)
        return cls(found.letters, found.grams[most_telling(frequency, n_items, MOST_GRAMS)])

    def of_words(self, words: Sequence[str]) -> csr_array:
        """Grams of words, `(n_words, len(self))` float32; a row whose grams are all known has length 1."""
        parts = [empty(0, len(self))]
        for part in _parts(len(words) if len(self) else 0):
            row, gram, number = self._windows(words[part])
            place = np.minimum(np.searchsorted(self.grams, gram), len(self) - 1)
            known = self.grams[place] == gram
            row, place = row[known], place[known]
            data = (1.0 / np.sqrt(number[row])).astype(np.float32)
            shape = (part.stop - part.start, len(self))
            parts.append(csr_array((data, (row, place)), shape=shape))
        if len(parts) == 1:
            return empty(len(words), len(self))
        return csr_array(vstack(parts, format="csr"))

    def _windows(self, words: Sequence[str]) -> tuple[Indices, Indices, Indices]:
        """Word and gram of each run of known letters, and the number of runs of each word `(n_words,)`."""
        points = _code_points(words)
        word = np.repeat(np.arange(len(words)), [min(len(word), LONGEST_WORD) + 2 for word in words])
        place = np.minimum(np.searchsorted(self.letters, points), len(self.letters) - 1)
        letter = np.where(self.letters[place] == points, place + 1, 0).astype(np.int64)
        number = np.zeros(len(words), dtype=np.int64)
        rows: list[Indices] = []
        grams: list[Indices] = []
        for length in LENGTHS:
            n = max(0, len(letter) - length + 1)
            within = word[:n] == word[length - 1 : length - 1 + n]
            number += np.bincount(word[:n][within], minlength=len(words))
            gram = np.zeros(n, dtype=np.int64)
            for step in range(length):
                symbol = letter[step : step + n]
                gram = (gram << _BITS) | symbol
                within &= symbol > 0
            rows.append(word[:n][within])
            grams.append(gram[within])
        return np.concatenate(rows), np.concatenate(grams), number

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"letters": self.letters, "grams": self.grams}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        return cls(arrays["letters"], arrays["grams"])


def _parts(n: int) -> Iterator[slice]:
    for start in range(0, n, _WORDS_AT_ONCE):
        yield slice(start, min(n, start + _WORDS_AT_ONCE))


def _code_points(words: Sequence[str]) -> NDArray[np.uint32]:
    text = "".join(f" {word[:LONGEST_WORD]} " for word in words)
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


def _letters(words: Sequence[str]) -> NDArray[np.uint32]:
    """The most frequent code points of the words and the space, ascending."""
    number = np.zeros(0x110000, dtype=np.int64)
    for part in _parts(len(words)):
        points, found = np.unique(_code_points(words[part]), return_counts=True)
        number[points] += found
    used = np.flatnonzero(number)
    kept = used[np.argsort(-number[used], kind="stable")[:_MOST_LETTERS]]
    return np.sort(kept).astype(np.uint32)
