"""What each entry of a history adds to the score of an item, for the families that can say it."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import Histories
from app.learning.recommenders.base import Scores

Items = NDArray[np.int32]


def entry_weights(histories: Histories, weighed: csr_array) -> NDArray[np.float32]:
    """Values of `weighed` for the entries of a batch of one, `(n_known,)`; 0 where it left an entry out.

    `weighed` is the history in which entries were weighed or dropped, in the same order.
    """
    kept = np.isin(histories.matrix.indices, weighed.indices)
    weights = np.zeros(len(kept), dtype=np.float32)
    weights[kept] = weighed.data
    return weights


def through_links(known: Items, weights: NDArray[np.float32], links: csr_array, items: Items) -> Scores:
    """Parts of scores that are `weights @ links`, `(n_wanted, n_known)`: exact.

    `links` is `(n_items, n_items)`, from the item that is known to the item scored.
    """
    between = csr_array(csr_array(links[known])[:, items]).toarray()
    return np.asarray((weights[:, None] * between).T, dtype=np.float32)


def through_neighbours(
    known: Items,
    weights: NDArray[np.float32],
    by_item: csr_array,
    nearest: csr_array,
    chosen: csr_array,
    items: Items,
) -> Scores:
    """Parts of scores that are `nearest @ chosen`, `(n_wanted, n_known)`; rows sum to the scores.

    `nearest`, `(1, n_neighbours)`, holds the similarity of the history to each neighbour, from the dot
    product of `weights` with `by_item`, `(n_items, n_neighbours)`. What a neighbour gives to an item is
    parted among the entries as they share in that dot product: exact where the similarity is linear in it.
    """
    neighbours = nearest.indices
    shared = weights[:, None] * csr_array(csr_array(by_item[known])[:, neighbours]).toarray()
    whole = shared.sum(axis=0)
    parts = np.divide(shared * nearest.data, whole, out=np.zeros_like(shared), where=whole > 0)
    given = csr_array(csr_array(chosen[neighbours])[:, items])
    return np.asarray(given.T @ parts.T, dtype=np.float32)
