"""What customers like, as a table to be segmented (kind "taste")."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.customers.features import FeatureTable
from app.learning.dataset import Dataset

Floats = NDArray[np.float64]


def taste_table(matrix: Floats, names: Sequence[str], unit: str = "") -> FeatureTable:
    """Vectors of the caller's, `(n_users, n_columns)`: factors of a model, say. Who is all 0 is unknown."""
    values = np.asarray(matrix, dtype=np.float64)
    return FeatureTable(tuple(names), (unit,) * len(names), values, np.asarray(values.any(axis=1)))


def category_shares(
    dataset: Dataset, weights: Floats, most: int = 40, level: int | None = None
) -> FeatureTable:
    """Shares of the largest categories in what each user interacted with; a share of several is split.

    `weights`, `(n_events,)` over `dataset.event_names`: what an event counts; negative ones count 0.
    `level`: depth to which paths ("Shoes > Running") are read; none: all of it.
    """
    labels = [
        sorted({" > ".join(path.split(" > ")[:level]) for path in paths})
        for paths in dataset.items.categories
    ]
    names = sorted({label for each in labels for label in each})
    place = {name: number for number, name in enumerate(names)}
    counts = np.array([len(each) for each in labels], dtype=np.int64)
    columns = np.array([place[label] for each in labels for label in each], dtype=np.int64)
    shares = np.repeat(1 / np.maximum(counts, 1), counts)
    shape = dataset.n_items, len(names)
    categories = csr_array((shares, (np.repeat(np.arange(dataset.n_items), counts), columns)), shape=shape)
    log = dataset.log.where(
        (dataset.log.subject < dataset.n_users) & (np.maximum(weights, 0)[dataset.log.event] > 0)
    )
    strength = csr_array(
        (np.maximum(weights, 0)[log.event], (log.subject, log.item)), shape=(dataset.n_users, dataset.n_items)
    )
    sums = csr_array(strength @ categories)
    largest = np.sort(np.argsort(-np.asarray(sums.sum(axis=0)), kind="stable")[:most])
    values = np.asarray(sums[:, largest].toarray(), dtype=np.float64)
    total = np.asarray(sums.sum(axis=1))[:, None]
    values = values / np.where(total > 0, total, 1.0)
    return taste_table(values, [names[number] for number in largest.tolist()], "share")
