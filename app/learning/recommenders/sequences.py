"""Who chose what after what, and the latest items of a history."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import Dataset, Histories
from app.learning.matrices import unchecked
from app.learning.preferences import positive, subject_weights
from app.learning.recommenders.sparse import entry_rows


@dataclass(frozen=True)
class Choices:
    """Events with a positive strength, by subject and within each in order of time; `(n,)` each."""

    subject: NDArray[np.int32]
    item: NDArray[np.int32]
    occurred_at: NDArray[np.int64]
    weight: NDArray[np.float32]
    """Of the subject: little for robots."""


def choices(dataset: Dataset) -> Choices:
    """What each subject of the data set chose, in its order."""
    log = dataset.log
    liked = np.flatnonzero(positive(dataset))
    # The log is in order of time, so a stable sort keeps each subject's order.
    order = liked[np.argsort(log.subject[liked], kind="stable")]
    subject = log.subject[order]
    return Choices(subject, log.item[order], log.occurred_at[order], subject_weights(dataset)[subject])


def latest(
    histories: Histories, last: int, weigh: Callable[[NDArray[np.int64]], NDArray[np.floating]]
) -> csr_array:
    """The `last` latest items of each history, `(n_batch, n_items)` float32.

    `weigh` takes the place of an item, 0 for the latest, to its weight; at equal ages the lower index is
    the later one.
    """
    matrix = histories.matrix
    rows = entry_rows(matrix)
    order = np.lexsort((matrix.indices, histories.ages, rows))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - matrix.indptr[rows[order]]
    keep = rank < last
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows[keep], minlength=matrix.shape[0]))])
    data = np.asarray(weigh(rank[keep]), dtype=np.float32)
    return unchecked(data, matrix.indices[keep], indptr, matrix.shape)
