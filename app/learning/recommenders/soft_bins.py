"""Numbers as shares of the two bins they lie between, so that near numbers are alike and far ones are not."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.recommenders.base import Arrays

BINS = 8


@dataclass(frozen=True)
class SoftBins:
    """For each number the centres of up to eight bins that hold equally many items."""

    centres: NDArray[np.float64]
    """Ascending for each number, `(n_bins,)`: two to eight, or none for a number that is always the same."""
    starts: NDArray[np.int64]
    """Where the centres of each number begin and end, `(n_numbers + 1,)`."""

    def __len__(self) -> int:
        """Columns."""
        return len(self.centres)

    @classmethod
    def learn(cls, values: NDArray[np.float64]) -> Self:
        """From numbers `(n, n_numbers)`, NaN where unknown."""
        found = [_centres(column[np.isfinite(column)]) for column in values.T]
        starts = np.cumsum([0, *(len(centres) for centres in found)])
        return cls(np.concatenate([np.empty(0), *found]), starts.astype(np.int64))

    def of(self, values: NDArray[np.float64]) -> csr_array:
        """Bins of numbers `(n, n_numbers)`, as `(n, n_bins)` float32: for each known number a unit vector."""
        n = len(values)
        rows: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
        columns: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
        shares: list[NDArray[np.float64]] = [np.empty(0)]
        for number, (start, stop) in enumerate(zip(self.starts[:-1], self.starts[1:], strict=True)):
            if start == stop:
                continue
            centres = self.centres[start:stop]
            known = np.flatnonzero(np.isfinite(values[:, number]))
            value = np.clip(values[known, number], centres[0], centres[-1])
            lower = np.clip(np.searchsorted(centres, value, side="right") - 1, 0, len(centres) - 2)
            upper_share = (value - centres[lower]) / (centres[lower + 1] - centres[lower])
            rows += [known, known]
            columns += [start + lower, start + lower + 1]
            shares += [1.0 - upper_share, upper_share]
        # The root, so that the vector has length 1 wherever the number lies between the two.
        data = np.sqrt(np.concatenate(shares)).astype(np.float32)
        place = (np.concatenate(rows), np.concatenate(columns))
        found = csr_array((data, place), shape=(n, len(self)))
        found.eliminate_zeros()
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"bin_centres": self.centres, "bin_starts": self.starts}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        return cls(arrays["bin_centres"], arrays["bin_starts"])


def _centres(values: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(values) or values.min() == values.max():
        return np.empty(0)
    found = np.unique(np.quantile(values, (np.arange(BINS) + 0.5) / BINS))
    # Where nearly all have the same number, what is left is the same and the others.
    return found if len(found) >= 2 else np.array([values.min(), values.max()])
