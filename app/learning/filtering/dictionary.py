"""The different values of a column, each once: comparisons look at these, never at each item."""

from typing import Any, Final

import numpy as np
from numpy.dtypes import StringDType
from numpy.typing import NDArray

from app.learning.filtering.dates import milliseconds

Table = NDArray[np.bool_]
"""Which of the values, `(n_values,)`."""
_TEXT: Final = StringDType()


class Dictionary:
    """Texts, numbers and truth values by their codes 0, 1, …; a number is none of the truth values."""

    def __init__(self) -> None:
        self._codes: dict[Any, int] = {}
        self._values: list[str | float | bool] = []
        self._folded: NDArray[Any] = np.empty(0, dtype=_TEXT)
        self._whole: NDArray[Any] = np.empty(0, dtype=_TEXT)
        self._numbers = np.empty(0)
        self._dates = np.empty(0)
        self._kinds = np.empty(0, dtype=np.uint8)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, code: int) -> str | float | bool:
        return self._values[code]

    def encode(self, value: str | float | bool) -> int:
        """The value's code, a new one if need be."""
        key = _key(value)
        code = self._codes.get(key)
        if code is None:
            code = self._codes[key] = len(self._values)
            self._values.append(value)
        return code

    def equal(self, values: list[str | float | bool]) -> Table:
        found = np.zeros(len(self), dtype=np.bool_)
        codes = [self._codes.get(_key(value), -1) for value in values]
        found[[code for code in codes if code >= 0]] = True
        return found

    def of_kind(self, value: str | float | bool) -> Table:
        """The values of the same kind as one."""
        self._kinds = self._extended(self._kinds, _kind)
        return np.asarray(self._kinds == _kind(value))

    def starting_with(self, text: str) -> Table:
        """Texts that begin so, in upper or lower case."""
        return self._searched(np.strings.startswith, text)

    def containing(self, text: str) -> Table:
        """Texts that hold this one, in upper or lower case."""
        return self._searched(lambda known, sought: np.strings.find(known, sought) >= 0, text)

    def under(self, path: str) -> Table:
        """This path and those below it, as `path_of` writes them."""
        below = _encodable(path + " > ")
        if below is None:
            return np.zeros(len(self), dtype=np.bool_)
        self._whole = self._extended(self._whole, lambda value: value if isinstance(value, str) else "")
        return np.asarray(np.strings.startswith(self._whole, below)) | self.equal([path])

    @property
    def numbers(self) -> NDArray[np.float64]:
        """Each value as a number, NaN for another kind, `(n_values,)`."""
        self._numbers = self._extended(self._numbers, lambda value: value if type(value) is float else np.nan)
        return self._numbers

    @property
    def dates(self) -> NDArray[np.float64]:
        """Each text as milliseconds since the Unix epoch, NaN for what is no date, `(n_values,)`."""
        self._dates = self._extended(self._dates, _date)
        return self._dates

    def _searched(self, search: Any, text: str) -> Table:
        sought = _encodable(text.casefold())
        if sought is None:
            return np.zeros(len(self), dtype=np.bool_)
        self._folded = self._extended(
            self._folded, lambda value: value.casefold() if isinstance(value, str) else ""
        )
        found = np.asarray(search(self._folded, sought))
        return found if sought else found & self.of_kind("")

    def _extended(self, done: NDArray[Any], read: Any) -> NDArray[Any]:
        """An array of what is read from each value, of which the first were read before."""
        if len(done) == len(self):
            return done
        fresh = np.array([read(value) for value in self._values[len(done) :]], dtype=done.dtype)
        return np.concatenate([done, fresh])


def path_of(text: str) -> str:
    """A category path without needless spaces: "A>B" is "A > B"."""
    return " > ".join(part.strip() for part in text.split(">"))


def _key(value: str | float | bool) -> Any:
    return (value,) if isinstance(value, bool) else value  # True is 1.0 to a dict


def _kind(value: str | float | bool) -> int:
    return 0 if isinstance(value, str) else 1 + isinstance(value, bool)


def _date(value: str | float | bool) -> float:
    found = milliseconds(value) if isinstance(value, str) else None
    return np.nan if found is None else found


def _encodable(text: str) -> str | None:
    """The text, or None where it holds half of a character: no stored text does."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return text
