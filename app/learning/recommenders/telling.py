"""Which terms tell most of a catalogue, where not all can be kept or compared."""

import numpy as np
from numpy.typing import NDArray

Frequencies = NDArray[np.int64]


def inverse_frequency(frequency: Frequencies, n_items: int) -> NDArray[np.float32]:
    """Weight of each term by the number of items that have it (IDF), at least 1; shape as given."""
    return np.asarray(np.log((1.0 + n_items) / (1.0 + frequency)) + 1.0, dtype=np.float32)


def most_telling(frequency: Frequencies, n_items: int, most: int) -> NDArray[np.int64]:
    """Places of the `most` terms with the largest squared weight over all items, ascending.

    A term of one item relates nothing and one of every item tells nothing: both come last.
    """
    weight = np.log((1.0 + n_items) / (1.0 + np.minimum(frequency, n_items)))
    order = np.argsort(-(frequency * weight**2) * (frequency > 1), kind="stable")
    return np.sort(order[:most])


def affordable(frequency: Frequencies, max_products: float) -> NDArray[np.bool_]:
    """Which terms can be compared, the rarest first: a term of f items costs f² multiplications."""
    order = np.argsort(frequency, kind="stable")
    cost = np.cumsum(frequency[order].astype(np.float64) ** 2)
    found = np.zeros(len(frequency), dtype=np.bool_)
    found[order] = cost <= max_products
    return found
