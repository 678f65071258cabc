"""Ways to hold back part of the interactions, so that a model is asked what it was not told."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from app.learning.dataset import Dataset, InteractionLog
from app.learning.preferences import RatingScale, event_strengths, rating_scale

Protocol = Literal["time", "leave_last", "random"]

_LEAST_USERS = 50
_LEAST_SHARE = 0.02
_ONE_INSTANT = 0.9
"""Share of a user's interactions at one instant from which times are taken to carry nothing."""


@dataclass(frozen=True)
class Split:
    """Interactions to learn from and interactions to be asked for; together they are all."""

    train: Dataset
    held_out: InteractionLog
    protocol: Protocol
    cut: int | None
    """Milliseconds since the Unix epoch: what happened from then on is held out. None if not by time."""
    reason: str = ""
    """Why this protocol."""


def time_split(dataset: Dataset, share: float = 0.2) -> Split:
    """Hold out the last `share` of the interactions of all, as a model in use would face them.

    All of one moment are on one side, so with many equal times more than `share` may be held out.
    """
    times = dataset.log.occurred_at
    if not len(times):
        return Split(dataset, dataset.log, "time", dataset.as_of)
    cut = int(times[min(len(times) - 1, int(len(times) * (1 - share)))])
    first = int(np.searchsorted(times, cut, side="left"))
    train = dataset.with_log(dataset.log.where(slice(0, first)), cut)
    return Split(train, dataset.log.where(slice(first, None)), "time", cut)


def leave_last(dataset: Dataset) -> Split:
    """Hold out, of each user, the newest item and all that the user did from then on.

    The newest item is the one whose first positive interaction is the latest, so that it is not among what
    the user has seen. Users with fewer than two such items, and sessions, stay in training whole.
    """
    log = dataset.log
    rows = np.flatnonzero((log.subject < dataset.n_users) & (_strengths(dataset, log, rating_scale(log)) > 0))
    pair = log.subject[rows].astype(np.int64) * dataset.n_items + log.item[rows]
    # `unique` gives the first occurrence, and the log is in order of time.
    first = rows[np.unique(pair, return_index=True)[1]]
    newest = np.full(dataset.n_subjects, len(log), dtype=np.int64)
    owner = log.subject[first]
    latest = np.zeros(dataset.n_subjects, dtype=np.int64)
    np.maximum.at(latest, owner, first)
    several = np.bincount(owner, minlength=dataset.n_subjects) >= 2
    newest[several] = latest[several]
    return _split(dataset, np.arange(len(log)) >= newest[log.subject], "leave_last")


def random_split(dataset: Dataset, share: float, rng: np.random.Generator) -> Split:
    """Hold out a random `share` of each user's items, with all interactions between the two.

    At least one of a user with two items or more, never all of them. Sessions stay in training.
    """
    log = dataset.log
    rows = np.flatnonzero(log.subject < dataset.n_users)
    pair, which = np.unique(
        log.subject[rows].astype(np.int64) * dataset.n_items + log.item[rows], return_inverse=True
    )
    owner = pair // max(1, dataset.n_items)
    order = np.lexsort((rng.random(len(pair)), owner))
    count = np.bincount(owner, minlength=dataset.n_users)
    start = np.cumsum(count) - count
    rank = np.empty(len(pair), dtype=np.int64)
    rank[order] = np.arange(len(pair)) - start[owner[order]]
    wanted = np.where(count >= 2, np.clip(np.rint(share * count), 1, np.maximum(count - 1, 1)), 0)
    held = np.zeros(len(log), dtype=np.bool_)
    held[rows] = (rank < wanted[owner])[which]
    return _split(dataset, held, "random")


def choose_split(dataset: Dataset, rng: np.random.Generator, share: float = 0.2) -> Split:
    """By time where enough users are on both sides of the cut, else each user's newest item, else random."""
    active = len(np.unique(dataset.log.subject[dataset.log.subject < dataset.n_users]))
    needed = max(_LEAST_USERS, int(np.ceil(_LEAST_SHARE * active)))
    split = time_split(dataset, share)
    both = len(relevant(split, exclude_seen=False)[0])
    if both >= needed:
        return replace(split, reason=f"{both} users have a history before the cut and chose items after it")
    few = (
        f"only {both} users have a history before the cut in time and chose items after it ({needed} needed)"
    )
    at_once = _share_at_one_instant(dataset)
    if at_once >= _ONE_INSTANT:
        return replace(
            random_split(dataset, share, rng),
            reason=f"{few}, and {at_once:.0%} of a user's interactions are at one instant",
        )
    return replace(leave_last(dataset), reason=few)


def relevant(split: Split, exclude_seen: bool) -> tuple[NDArray[np.int64], csr_array]:
    """Users to evaluate, ascending, and their held-out items `(len(users), n_items)`.

    Relevant is what has a positive summed strength in the held-out part; `exclude_seen` leaves out what had
    one in training. Users are those with relevant items and a history to recommend from.
    """
    train = split.train
    scale = rating_scale(train.log) or rating_scale(split.held_out)
    history = _positive(train, train.log, scale)
    wanted = _positive(train, split.held_out, scale)
    if exclude_seen:
        wanted = csr_array(wanted - wanted.multiply(history))
        wanted.eliminate_zeros()
    wanted.sort_indices()
    users = np.flatnonzero((np.diff(history.indptr) > 0) & (np.diff(wanted.indptr) > 0)).astype(np.int64)
    return users, csr_array(wanted[users])


def _split(dataset: Dataset, held: NDArray[np.bool_], protocol: Protocol) -> Split:
    train = dataset.with_log(dataset.log.where(~held), dataset.as_of)
    return Split(train, dataset.log.where(held), protocol, None)


def _strengths(dataset: Dataset, log: InteractionLog, scale: RatingScale | None) -> NDArray[np.float32]:
    return event_strengths(
        log.event, log.value, log.quantity, dataset.event_names, dataset.event_weights, scale
    )


def _positive(dataset: Dataset, log: InteractionLog, scale: RatingScale | None) -> csr_array:
    """Ones where a user's summed strength for an item is positive, `(n_users, n_items)` float32."""
    users = log.subject < dataset.n_users
    strength = _strengths(dataset, log, scale)[users]
    total = coo_array(
        (strength, (log.subject[users], log.item[users])), shape=(dataset.n_users, dataset.n_items)
    ).tocsr()
    total.sum_duplicates()
    total.data = (total.data > 0).astype(np.float32)
    total.eliminate_zeros()
    return csr_array(total)


def _share_at_one_instant(dataset: Dataset) -> float:
    """Of the interactions of users with several: the share at the user's commonest instant."""
    log = dataset.log
    users = log.subject < dataset.n_users
    subject, moment = log.subject[users], log.occurred_at[users]
    order = np.argsort(subject, kind="stable")
    subject, moment = subject[order], moment[order]
    starts = np.ones(len(subject), dtype=np.bool_)
    starts[1:] = (subject[1:] != subject[:-1]) | (moment[1:] != moment[:-1])
    run = np.flatnonzero(starts)
    length = np.diff(np.append(run, len(subject)))
    commonest = np.zeros(dataset.n_users, dtype=np.int64)
    np.maximum.at(commonest, subject[run], length)
    count = np.bincount(subject, minlength=dataset.n_users)
    several = count >= 2
    return float(commonest[several].sum() / count[several].sum()) if several.any() else 1.0
