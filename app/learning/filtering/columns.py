"""Items' fields as arrays, by position; they grow at their end, and each position can be written anew."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.learning.filtering.dictionary import Dictionary, Table

Mask = NDArray[np.bool_]
Numbers = NDArray[np.float64]
Places = NDArray[np.int64]


class NumberColumn:
    """Numbers, or dates in milliseconds: NaN where they are unknown."""

    def __init__(self) -> None:
        self.n = 0
        self._values = np.empty(0)

    def grow(self, n: int) -> None:
        self._values = grown(self._values, n, np.nan)
        self.n = max(self.n, n)

    def write(self, places: Places, values: Sequence[Any]) -> None:
        self._values[places] = np.array(values, dtype=np.float64)

    def known(self) -> Mask:
        return ~np.isnan(self.numbers())

    def numbers(self) -> Numbers:
        return self._values[: self.n]


class TextColumn:
    """One text for each item."""

    def __init__(self) -> None:
        self.n = 0
        self.dictionary = Dictionary()
        self._codes = np.empty(0, dtype=np.int32)

    def grow(self, n: int) -> None:
        self._codes = grown(self._codes, n, -1)
        self.n = max(self.n, n)

    def write(self, places: Places, values: Sequence[Any]) -> None:
        encode = self.dictionary.encode
        codes = [encode(value) if value else -1 for value in values]
        self._codes[places] = np.array(codes, dtype=np.int32)

    def known(self) -> Mask:
        return self._codes[: self.n] >= 0

    def having(self, table: Table) -> Mask:
        """Items whose text is one of these, `(n,)`."""
        chosen = np.flatnonzero(table)
        codes = self._codes[: self.n]
        if len(chosen) == 1:
            return np.asarray(codes == chosen[0])
        # The code of the unknown, -1, reads the last entry.
        return np.asarray(np.append(table, False)[codes])

    def commonest(self, among: Mask) -> Mask:
        """Items with the text that most `among` have, of equals the first by name, or with none, `(n,)`."""
        codes = self._codes[: self.n]
        counts = np.bincount(codes[among & (codes >= 0)], minlength=len(self.dictionary))
        most = np.flatnonzero(counts == counts.max(initial=1)).tolist()
        if not most:
            return np.ones(self.n, dtype=np.bool_)
        return np.asarray((codes < 0) | (codes == min(most, key=lambda code: str(self.dictionary[code]))))

    @property
    def entries(self) -> int:
        """How many values there are, over all items."""
        return self.n

    def groups_of(self, place: int) -> list[int]:
        """Codes of the values of one item."""
        code = int(self._codes[place])
        return [code] if code >= 0 else []


class ListColumn:
    """Any number of values for each item, or a single one of any kind.

    Entries of all items lie one after the other; those of an item that is written anew go to the end, and
    the old ones, owned by nobody, are swept away when they are more than the others.
    """

    def __init__(self) -> None:
        self.n = 0
        self.dictionary = Dictionary()
        self._first = np.empty(0, dtype=np.int64)
        self._count = np.empty(0, dtype=np.int32)
        self._single = np.empty(0, dtype=np.bool_)
        self._known = np.empty(0, dtype=np.bool_)
        self._owner = np.empty(0, dtype=np.int32)
        self._codes = np.empty(0, dtype=np.int32)
        self._used = 0
        self._unowned = 0

    def grow(self, n: int) -> None:
        self._first = grown(self._first, n, 0)
        self._count = grown(self._count, n, 0)
        self._single = grown(self._single, n, False)
        self._known = grown(self._known, n, False)
        self.n = max(self.n, n)

    def write(self, places: Places, values: Sequence[Any]) -> None:
        for place in places[self._count[places] > 0].tolist():
            first, count = self._first[place], self._count[place]
            self._owner[first : first + count] = -1
            self._unowned += int(count)
        encode = self.dictionary.encode
        codes = [[encode(one) for one in elements_of(value)] for value in values]
        counts = np.array([len(of_one) for of_one in codes], dtype=np.int32)
        total, start = int(counts.sum()), self._used
        self._owner = grown(self._owner, start + total, -1)
        self._codes = grown(self._codes, start + total, 0)
        self._owner[start : start + total] = np.repeat(places, counts)
        self._codes[start : start + total] = [code for of_one in codes for code in of_one]
        self._used = start + total
        self._first[places] = start + np.cumsum(counts) - counts
        self._count[places] = counts
        self._single[places] = [not isinstance(value, list | dict) for value in values]
        self._known[places] = [value is not None and value not in ("", [], {}) for value in values]
        if self._unowned > 1024 and self._unowned > self._used // 2:
            self._sweep()

    def known(self) -> Mask:
        """Of which items anything is known, also what cannot be compared, `(n,)`."""
        return self._known[: self.n].copy()

    def singles(self) -> Mask:
        """Items that have a single value and no list, `(n,)`."""
        return self._single[: self.n]

    def numbers(self) -> Numbers:
        return self._of_singles(self.dictionary.numbers)

    def dates(self) -> Numbers:
        """As dates in milliseconds, NaN for what is none, `(n,)`."""
        return self._of_singles(self.dictionary.dates)

    def having(self, table: Table) -> Mask:
        """Items one of whose values is one of these, `(n,)`."""
        chosen = np.flatnonzero(table)
        codes = self._codes[: self._used]
        hits = codes == chosen[0] if len(chosen) == 1 else table[codes]
        # What nobody owns, -1, marks the entry after the last item.
        found = np.zeros(self.n + 1, dtype=np.bool_)
        found[self._owner[: self._used][hits]] = True
        return found[:-1]

    @property
    def entries(self) -> int:
        """How many values there are, over all items."""
        return self._used - self._unowned

    def groups_of(self, place: int) -> list[int]:
        """Codes of the values of one item."""
        first, count = int(self._first[place]), int(self._count[place])
        return [int(code) for code in self._codes[first : first + count]]

    def _of_singles(self, values: Numbers) -> Numbers:
        found = np.full(self.n, np.nan)
        single = np.flatnonzero(self._single[: self.n] & (self._count[: self.n] == 1))
        found[single] = values[self._codes[self._first[single]]]
        return found

    def _sweep(self) -> None:
        kept = np.flatnonzero(self._owner[: self._used] >= 0)
        self._owner, self._codes = self._owner[kept], self._codes[kept]
        self._used, self._unowned = len(kept), 0
        # An item's entries still lie together, in their order.
        starts = np.flatnonzero(np.diff(self._owner, prepend=-1))
        self._first[self._owner[starts]] = starts


Column = NumberColumn | TextColumn | ListColumn
"""One field of all items: of `n` positions, of which nothing is known until they are written.

`grow` makes room for positions; `write` replaces what is known of some, each named once, where None and what
is empty are unknown.
"""


def elements_of(value: Any) -> list[str | float | bool]:
    """What a value of JSON holds that can be compared: itself, or the single values in a list, each once."""
    found = [_scalar(one) for one in (value if isinstance(value, list) else [value])]
    return list({(type(one), one): one for one in found if one is not None}.values())


def grown(array: NDArray[Any], n: int, fill: Any) -> NDArray[Any]:
    """The array, or a longer one that begins with it, of at least `n` entries."""
    if n <= len(array):
        return array
    longer = np.full(max(n, len(array) + len(array) // 2, 1024), fill, dtype=array.dtype)
    longer[: len(array)] = array
    return longer


def _scalar(value: Any) -> str | float | bool | None:
    if isinstance(value, bool | str):
        return value if value != "" else None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return None
    return None
