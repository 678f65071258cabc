"""The protocol of a rating model, and the ratings that it is told of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from app.learning.dataset import Dataset, InteractionLog


@dataclass(frozen=True)
class Ratings:
    """Known ratings, at most one for each row and item.

    Three columns rather than a sparse matrix: in CSR a rating of 0 is too easily taken for no rating.
    """

    row: NDArray[np.int32]
    """Row of the user or session, `(n,)`."""
    item: NDArray[np.int32]
    """Column of the item, `(n,)`."""
    value: NDArray[np.float32]
    """The rating, `(n,)`, finite."""
    shape: tuple[int, int]
    """Rows and items."""

    def __len__(self) -> int:
        return len(self.row)

    def of_rows(self, rows: NDArray[np.int64]) -> Self:
        """The ratings of some distinct rows, numbered anew in the order given; `(len(rows), n_items)`."""
        place = np.full(self.shape[0], -1, dtype=np.int32)
        place[rows] = np.arange(len(rows), dtype=np.int32)
        chosen = place[self.row] >= 0
        return type(self)(
            place[self.row[chosen]], self.item[chosen], self.value[chosen], (len(rows), self.shape[1])
        )


class RatingModel(Protocol):
    """A trained rating model. It scores histories: whose ratings they are is nothing to it."""

    def predict(
        self, known: Ratings, rows: NDArray[np.int64], items: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Expected rating and its standard deviation for each pair of a row of `known` and an item.

        Both `(len(rows),)` float32, finite; the rating is within the shop's scale. A row without ratings
        gets the mean of all ratings plus the item's bias.
        """
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that the model is, as plain arrays."""
        ...

    @classmethod
    def from_arrays(cls, config: Any, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The same model from its arrays (which may be read-only maps of files)."""
        ...


def log_ratings(log: InteractionLog, event_names: tuple[str, ...], shape: tuple[int, int]) -> Ratings:
    """The latest rating of each subject for each item, ordered by subject and item."""
    if "rate" not in event_names:
        rated = np.zeros(len(log), dtype=np.bool_)
    else:
        rated = (log.event == event_names.index("rate")) & np.isfinite(log.value)
    subject, item, value = log.subject[rated], log.item[rated], log.value[rated]
    pair = subject.astype(np.int64) * shape[1] + item
    # A stable sort keeps the order of time within a pair, so the last of each run is the latest.
    order = np.argsort(pair, kind="stable")
    last = np.ones(len(order), dtype=np.bool_)
    last[:-1] = pair[order][1:] != pair[order][:-1]
    kept = order[last]
    return Ratings(subject[kept], item[kept], value[kept], shape)


def dataset_ratings(dataset: Dataset) -> Ratings:
    """The latest rating of each subject for each item, `(n_subjects, n_items)`."""
    return log_ratings(dataset.log, dataset.event_names, (dataset.n_subjects, dataset.n_items))
