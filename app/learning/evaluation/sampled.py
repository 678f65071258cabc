"""Ranks among sampled items, for comparison with papers that report nothing else."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import Histories
from app.learning.evaluation.harness import batches
from app.learning.evaluation.metrics import Floats
from app.learning.recommenders.base import Scores


def evaluate_sampled(
    score: Callable[[Histories], Scores],
    histories: Histories,
    users: NDArray[np.int64],
    relevant: csr_array,
    n: int,
    negatives: int,
    rng: np.random.Generator,
) -> dict[str, Floats]:
    """Rank each held-out item among `negatives` random others; means by user, `(len(users),)` each.

    `relevant` is `(len(users), n_items)`. The others are drawn with replacement from the items that are
    neither in the history nor relevant (He et al. 2017, "Neural collaborative filtering"); equal scores
    count half. Such figures are far above those over the whole catalogue, and may order models otherwise
    (Krichene and Rendle 2020). NaN for users to whom no other item is left.
    """
    hit_rate = np.full(len(users), np.nan)
    ndcg = np.full(len(users), np.nan)
    for part in batches(len(users), histories.matrix.shape[1], 64):
        known = histories.take(users[part])
        scores = score(known)
        wanted = csr_array(relevant[part])
        free = known.unseen
        free[wanted.nonzero()] = False
        count = free.sum(axis=1)
        items = np.flatnonzero(free) % scores.shape[1]
        user = np.repeat(np.arange(len(count)), np.diff(wanted.indptr))
        asked, user = wanted.indices[count[user] > 0], user[count[user] > 0]
        place = (rng.random((len(user), negatives)) * count[user][:, None]).astype(np.int64)
        drawn = items[(np.cumsum(count) - count)[user][:, None] + place]
        own, others = scores[user, asked][:, None], scores[user[:, None], drawn]
        rank = 1 + (others > own).sum(axis=1) + (others == own).sum(axis=1) / 2
        inside = rank <= n
        number = np.bincount(user, minlength=len(count))
        for values, found in ((hit_rate, inside), (ndcg, inside / np.log2(rank + 1))):
            total = np.bincount(user, weights=found, minlength=len(count))
            values[part] = np.divide(total, number, out=np.full(len(count), np.nan), where=number > 0)
    return {"sampled_hit_rate": hit_rate, "sampled_ndcg": ndcg}
