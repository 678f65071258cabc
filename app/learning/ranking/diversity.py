"""Lists that are not all alike: maximal marginal relevance."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.matrices import places_of_rows, room_of_thread

LOOKED_AT: Final = 200
"""Candidates that are compared with each other, the best ones."""


def diverse_order(
    scores: NDArray[np.float32], similarity: NDArray[np.float32], diversity: float
) -> Iterator[int]:
    """Places of candidates, each time the best that is least like those before it.

    Maximal marginal relevance (Carbonell & Goldstein 1998). `scores` are `(n,)`, positive and descending;
    `similarity` is `(n, n)`, 0 to 1. With `diversity` 0 the order stays, with 1 only unlikeness counts. Of
    equals comes the one that scores higher.
    """
    relevance = (1 - diversity) * scores / max(float(scores.max(initial=0)), 1e-30)
    likest = np.zeros(len(scores), dtype=np.float32)
    value = relevance.copy()
    for _ in range(len(scores)):
        place = int(value.argmax())
        yield place
        relevance[place] = -np.inf
        np.maximum(likest, similarity[place], out=likest)
        np.multiply(likest, -diversity, out=value)
        value += relevance


def likeness(similarities: csr_array, items: NDArray[np.int64]) -> NDArray[np.float32]:
    """How alike some items are, `(n, n)`, from the neighbours of each item, `(n_items, n_items)`.

    0 between items neither of which is a neighbour of the other, and for items beyond the matrix.
    """
    found = np.zeros((len(items), len(items)), dtype=np.float32)
    known = np.flatnonzero(items < similarities.shape[0])
    places, lengths = places_of_rows(similarities, items[known])
    neighbours = similarities.indices[places]
    column = room_of_thread(similarities.shape[0], np.dtype(np.int32))
    column[neighbours] = -1
    column[items[known]] = known
    both = np.flatnonzero(column[neighbours] >= 0)
    found[np.repeat(known, lengths)[both], column[neighbours[both]]] = similarities.data[places[both]]
    return np.clip(np.maximum(found, found.T), 0, 1)
