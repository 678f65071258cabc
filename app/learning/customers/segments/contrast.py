"""Each segment beside the rest, feature by feature."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from app.learning.customers.segments.scaling import logarithm

Floats = NDArray[np.float64]
Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Contrast:
    """What is compared; all but the sizes are `(n_segments, n_features)`, in the features' units."""

    sizes: NDArray[np.int64]
    """Members, `(n_segments,)`."""
    centres: Floats
    """Medians of the members."""
    means: Floats
    others: Floats
    """Means of all known customers outside; of the members where there is nobody else."""
    effects: Floats
    """Mean of the members less that of the others, in standard deviations of all (after the logarithm)."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})


def contrast(
    values: Floats, rows: NDArray[np.int64], labels: Labels, n_segments: int, logged: NDArray[np.bool_]
) -> Contrast:
    """Of the customers in `rows`, whose segments are `labels` (negative: in none), column by column.

    `values` is `(n_users, n_features)`; one column is copied at a time. A segment may be empty: all 0.
    """
    shape = n_segments, values.shape[1]
    centres, means, others, effects = (np.zeros(shape) for _ in range(4))
    place = np.where(labels >= 0, labels, n_segments)
    sizes = np.bincount(place, minlength=n_segments + 1)[:n_segments]
    order = np.argsort(place, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    outside = len(rows) - sizes
    one = np.zeros(1, dtype=np.bool_)
    for number in range(values.shape[1]):
        column = values[rows, number]
        sums = np.bincount(place, weights=column, minlength=n_segments + 1)
        means[:, number] = _mean(sums[:n_segments], sizes)
        rest = _mean(sums.sum() - sums[:n_segments], outside)
        others[:, number] = np.where(outside > 0, rest, means[:, number])
        for segment in np.flatnonzero(sizes).tolist():
            centres[segment, number] = np.median(column[order[bounds[segment] : bounds[segment + 1]]])
        if len(column) and np.ptp(column) > 0:
            scaled = logarithm(column, ~one if logged[number] else one)
            sums = np.bincount(place, weights=scaled, minlength=n_segments + 1)
            apart = _mean(sums[:n_segments], sizes) - _mean(sums.sum() - sums[:n_segments], outside)
            effects[:, number] = np.where((sizes > 0) & (outside > 0), apart / scaled.std(), 0.0)
    return Contrast(sizes.astype(np.int64), centres, means, others, effects)


def _mean(sums: NDArray[Any], counts: NDArray[np.int64]) -> Floats:
    return np.asarray(sums / np.maximum(counts, 1))
