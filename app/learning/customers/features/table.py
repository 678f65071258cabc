"""The form in which features are handed on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Feature:
    """One column of the table."""

    name: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class FeatureTable:
    """Features of users."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    values: Floats
    """`(n_users, n_features)`, finite; 0 where unknown."""
    known: NDArray[np.bool_]
    """Whether there is any interaction of the user, `(n_users,)`."""
    meanings: tuple[str, ...] = ()
    """What the columns mean, for people; empty: the names have to do."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def labels(self) -> tuple[str, ...]:
        """What people read: the meanings, or the names in words."""
        return self.meanings or tuple(name.replace("_", " ") for name in self.names)

    def column(self, name: str) -> Floats:
        """One column, `(n_users,)`. Raises `ValueError` for a name that is not there."""
        return np.asarray(self.values[:, self.names.index(name)])

    def columns(self, names: Sequence[str]) -> Self:
        """The table with these columns only. Raises `ValueError` for a name that is not there."""
        places = [self.names.index(name) for name in names]
        return replace(
            self,
            names=tuple(names),
            units=tuple(self.units[place] for place in places),
            values=self.values[:, places],
            meanings=tuple(self.meanings[place] for place in places) if self.meanings else (),
        )

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Self:
        """The chosen users, in the order given."""
        return replace(self, values=self.values[chosen], known=self.known[chosen])
