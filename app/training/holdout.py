"""What is held out of a trial: the future of those who came back, and the last items of some who did not.

A split by time alone asks about users who were here shortly before the cut and came back after it. Where
they are few, most of those whom the shop will ask about have been away for longer; nothing after the cut
tells what they like, so the last items of their histories are held out instead.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from app.learning.dataset import Dataset
from app.learning.evaluation.splits import Split, relevant
from app.learning.preferences import dataset_histories
from app.learning.ranking.blend import known_and_idle

MOST_COME_BACK = 0.2
"""Share of users with a history who come back after the cut, from which they stand for all."""
IDLE_SHARE = 0.2
"""Of an idle user's items, held out."""
LEAST_ITEMS = 5
"""Items of an idle user who is asked about."""


@dataclass(frozen=True)
class Asked:
    """Users who are asked about, and what they are known to have wanted."""

    users: NDArray[np.int64]
    wanted: csr_array
    """`(len(users), n_items)`, an entry for each item."""

    def take(self, rows: NDArray[np.int64]) -> "Asked":
        return Asked(self.users[rows], csr_array(self.wanted[rows]))

    def with_others(self, others: "Asked | None", equally: bool = False) -> "Asked":
        """Both; `equally`: these so often that they weigh about as much as the others."""
        if others is None:
            return self
        times = max(1, len(others.users) // max(1, len(self.users))) if equally else 1
        wanted = csr_array(vstack([*[self.wanted] * times, others.wanted], format="csr"))
        return Asked(np.concatenate([*[self.users] * times, others.users]), wanted)


@dataclass(frozen=True)
class HoldOut:
    """A split, and the users of both kinds."""

    split: Split
    back: Asked
    """Those who went on after the split."""
    idle: Asked | None
    """Some of those who did not; None where the others stand for all."""
    idle_after: float
    """Days after which a user is idle; infinite without such."""


def hold_out(split: Split, exclude_seen: bool, most_idle: int, rng: np.random.Generator) -> HoldOut:
    """Decide whom to ask, at most `most_idle` idle users; takes what they are asked about out of training."""
    back = Asked(*relevant(split, exclude_seen))
    plain = HoldOut(split, back, None, float("inf"))
    if split.protocol != "time":
        return plain
    known, idle_days = known_and_idle(dataset_histories(split.train))
    active = np.flatnonzero(known[: split.train.n_users])
    if not len(back.users) or len(back.users) >= MOST_COME_BACK * len(active):
        return plain
    idle_after = _idle_after(idle_days[active], np.isin(active, back.users))
    returned = np.zeros(split.train.n_subjects, dtype=np.bool_)
    returned[split.held_out.subject] = True
    away = (known[active] >= LEAST_ITEMS) & (idle_days[active] > idle_after)
    candidates = active[away & ~returned[active]]
    chosen = np.sort(rng.permutation(candidates)[:most_idle])
    if not len(chosen):
        return plain
    held = _some_items(split.train, chosen, rng)
    log = split.train.log
    train = split.train.with_log(log.where(~held), split.train.as_of)
    shortened = Split(train, log.where(held), "leave_last", None)
    return HoldOut(
        replace(split, train=train),
        back,
        Asked(*relevant(shortened, exclude_seen)),
        idle_after,
    )


def _idle_after(idle_days: NDArray[np.float32], came_back: NDArray[np.bool_]) -> float:
    """Days away from which fewer than `MOST_COME_BACK` of the users come back.

    Where the sum of (came back - the share) over all users who were away for less is the largest.
    """
    order = np.argsort(idle_days, kind="stable")
    gain = np.cumsum(came_back[order] - MOST_COME_BACK)
    best = int(np.argmax(gain))
    return float(idle_days[order][best]) if gain[best] > 0 else 0.0


def _some_items(dataset: Dataset, users: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which interactions are with the items that are asked for, `(n,)`: random ones of each user's."""
    log = dataset.log
    asked = np.zeros(dataset.n_subjects, dtype=np.bool_)
    asked[users] = True
    rows = np.flatnonzero(asked[log.subject])
    pair, which = np.unique(
        log.subject[rows].astype(np.int64) * dataset.n_items + log.item[rows], return_inverse=True
    )
    owner = pair // dataset.n_items
    order = np.lexsort((rng.permutation(len(pair)), owner))
    count = np.bincount(owner, minlength=dataset.n_subjects)
    start = np.cumsum(count) - count
    rank = np.empty(len(pair), dtype=np.int64)
    rank[order] = np.arange(len(pair)) - start[owner[order]]
    kept = count - np.maximum(1, np.rint(IDLE_SHARE * count).astype(np.int64))
    held = np.zeros(len(log), dtype=np.bool_)
    held[rows] = (rank >= kept[owner])[which]
    return held
