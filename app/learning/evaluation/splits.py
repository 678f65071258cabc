"""Ways to hold back part of the interactions, so that a model is asked what it was not told."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from app.learning.dataset import Dataset, InteractionLog
from app.learning.preferences import DISLIKED, RatingScale, event_strengths, rating_scale

Protocol = Literal["time", "leave_last", "random", "strong", "sessions"]

_LEAST_USERS = 50
_LEAST_SHARE = 0.02
_ONE_INSTANT = 0.9
"""Share of a user's interactions at one instant from which times are taken to carry nothing."""
_RUNS = 1.1
"""Uninterrupted runs of one user for each user, up to which a history is taken to be sorted by user."""
_LEAST_SORTED = 20
"""Users with several events without whom an order by user may be chance."""


@dataclass(frozen=True)
class Split:
    """Interactions to learn from and interactions to be asked for; with those that are told they are all."""

    train: Dataset
    held_out: InteractionLog
    protocol: Protocol
    cut: int | None
    """Milliseconds since the Unix epoch: what happened from then on is held out. None if not by time."""
    reason: str = ""
    """Why this protocol."""
    told: Dataset | None = None
    """Where the histories are read, if training knows nothing of those who are asked; holds `train` too."""

    @property
    def histories_from(self) -> Dataset:
        """The data of which a model is told when it is asked."""
        return self.train if self.told is None else self.told


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
    first = _first_positive(dataset, log.subject < dataset.n_users)
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
    return _split(dataset, _random_share(dataset, _of_users(dataset), share, rng), "random")


def k_folds(dataset: Dataset, folds: int, rng: np.random.Generator) -> Iterator[Split]:
    """Deal each user's items to `folds` parts at random, and hold out one part after the other.

    Every interaction of a user is held out exactly once; the parts of a user differ by one item at most.
    Sessions stay in training. Raises `ValueError` for fewer than two folds.
    """
    if folds < 2:
        raise ValueError("there must be at least two folds")
    items = _shuffle(dataset, _of_users(dataset), rng)
    # Each user's first item goes to a random part, so that those with few items are in all parts alike.
    first = rng.integers(folds, size=dataset.n_subjects)
    part = np.full(len(dataset.log), -1, dtype=np.int64)
    part[items.rows] = ((first[items.owner] + items.rank) % folds)[items.which]
    for fold in range(folds):
        yield _split(dataset, part == fold, "random")


def strong_split(dataset: Dataset, users: float, share: float, rng: np.random.Generator) -> Split:
    """Take a share of the users out of training, tell most of their items and ask for the rest.

    Strong generalisation (Liang et al. 2018, "Variational autoencoders for collaborative filtering"): of
    `users` of those with two items or more, the random `share` of the items is held out as by
    `random_split`, and the others are told when the model is asked. Sessions stay in training.
    """
    log = dataset.log
    rows = _of_users(dataset)
    pair = np.unique(log.subject[rows].astype(np.int64) * dataset.n_items + log.item[rows])
    several = np.flatnonzero(np.bincount(pair // max(1, dataset.n_items), minlength=dataset.n_subjects) >= 2)
    chosen = np.zeros(dataset.n_subjects, dtype=np.bool_)
    if len(several):
        chosen[rng.permutation(several)[: max(1, round(users * len(several)))]] = True
    apart = chosen[log.subject]
    held = _random_share(dataset, np.flatnonzero(apart), share, rng)
    train = dataset.with_log(log.where(~apart), dataset.as_of)
    told = dataset.with_log(log.where(~held), dataset.as_of)
    return Split(train, log.where(held), "strong", None, told=told)


def session_split(dataset: Dataset, rng: np.random.Generator, share: float = 0.2) -> Split:
    """Take the latest anonymous sessions out of training, tell how they began and ask for what came next.

    Of the sessions with positive events on two items or more, the `share` that ended last; held out is the
    newest item, whatever was done with it, and all that came later. Of items of one moment, as on a
    receipt, chance says which is the newest. What is told is told as if the latest of it were of the
    present. Users stay in training.
    """
    log = dataset.log
    first = _first_positive(dataset, log.subject >= dataset.n_users)
    order = first[np.lexsort((rng.random(len(first)), log.occurred_at[first], log.subject[first]))]
    ends = np.append(np.diff(log.subject[order]) > 0, True)[: len(order)]
    newest = np.full(dataset.n_subjects, -1, dtype=np.int64)
    newest[log.subject[order[ends]]] = order[ends]
    several = np.flatnonzero(np.bincount(log.subject[first], minlength=dataset.n_subjects) >= 2)
    ended = np.full(dataset.n_subjects, -1, dtype=np.int64)
    ended[log.subject] = np.arange(len(log))
    chosen = np.zeros(dataset.n_subjects, dtype=np.bool_)
    if len(several):
        chosen[several[np.argsort(-ended[several])[: max(1, round(share * len(several)))]]] = True
    apart = chosen[log.subject]
    begins = newest[log.subject]
    held = apart & ((log.item == log.item[begins]) | (log.occurred_at > log.occurred_at[begins]))
    rest = log.where(~apart)
    as_of = int(rest.occurred_at[-1]) if len(rest) else dataset.as_of
    told = dataset.with_log(_of_the_present(log.where(~held), chosen, dataset.as_of), dataset.as_of)
    return Split(dataset.with_log(rest, as_of), log.where(held), "sessions", None, told=told)


def choose_split(dataset: Dataset, rng: np.random.Generator, share: float = 0.2) -> Split:
    """By time where enough users are on both sides of the cut, else each user's newest item.

    Random where times say nothing of what a user did first: all at one instant, or sorted by user. By
    sessions where it is these that chose several items, and hardly any users.
    """
    active = len(np.unique(dataset.log.subject[dataset.log.subject < dataset.n_users]))
    needed = max(_LEAST_USERS, int(np.ceil(_LEAST_SHARE * active)))
    split = time_split(dataset, share)
    both = len(relevant(split, exclude_seen=False)[0])
    if both >= needed:
        return replace(split, reason=f"{both} users have a history before the cut and chose items after it")
    few = (
        f"only {both} users have a history before the cut in time and chose items after it ({needed} needed)"
    )
    several = chose_several(dataset)
    users, sessions = int(several[: dataset.n_users].sum()), int(several[dataset.n_users :].sum())
    if users < _LEAST_USERS <= share * sessions:
        return replace(
            session_split(dataset, rng, share),
            reason=f"{users} users and {sessions} anonymous sessions chose several items",
        )
    at_once = _share_at_one_instant(dataset)
    if at_once >= _ONE_INSTANT:
        return replace(
            random_split(dataset, share, rng),
            reason=f"{few}, and {at_once:.0%} of a user's interactions are at one instant",
        )
    if _sorted_by_user(dataset):
        return replace(
            random_split(dataset, share, rng),
            reason=f"{few}, and one user comes after the other, as in an export that is sorted by user",
        )
    last = leave_last(dataset)
    if not len(last.held_out):
        few = "no user has positive events on two items, so nothing can be held out"
    return replace(last, reason=few)


def relevant(split: Split, exclude_seen: bool) -> tuple[NDArray[np.int64], csr_array]:
    """Users to evaluate (sessions by the protocol of that name), ascending, and their held-out items.

    The items are `(len(users), n_items)`. Relevant is what has a positive summed strength in the held-out
    part; `exclude_seen` leaves out what the user had to do with in training. Users are those with relevant
    items and a history to recommend from.
    """
    told = split.histories_from
    scale = rating_scale(told.log) or rating_scale(split.held_out)
    history = _positive(told, told.log, scale)
    wanted = _positive(told, split.held_out, scale)
    if exclude_seen:
        wanted = csr_array(wanted - wanted.multiply(_touched(told)))
        wanted.eliminate_zeros()
    wanted.sort_indices()
    asked = (np.diff(history.indptr) > 0) & (np.diff(wanted.indptr) > 0)
    if split.protocol != "sessions":
        asked[told.n_users :] = False
    users = np.flatnonzero(asked).astype(np.int64)
    return users, csr_array(wanted[users])


def _split(dataset: Dataset, held: NDArray[np.bool_], protocol: Protocol) -> Split:
    train = dataset.with_log(dataset.log.where(~held), dataset.as_of)
    return Split(train, dataset.log.where(held), protocol, None)


def _of_users(dataset: Dataset) -> NDArray[np.int64]:
    return np.flatnonzero(dataset.log.subject < dataset.n_users)


@dataclass(frozen=True)
class _Shuffled:
    """The pairs of a subject and an item among some interactions, each subject's in random order."""

    rows: NDArray[np.int64]
    """The interactions."""
    which: NDArray[np.int64]
    """The pair of each interaction."""
    owner: NDArray[np.int64]
    """The subject of each pair."""
    rank: NDArray[np.int64]
    """The place of each pair in its subject's order, from 0."""
    count: NDArray[np.int64]
    """Number of pairs of each subject, `(n_subjects,)`."""


def _shuffle(dataset: Dataset, rows: NDArray[np.int64], rng: np.random.Generator) -> _Shuffled:
    log = dataset.log
    pair, which = np.unique(
        log.subject[rows].astype(np.int64) * dataset.n_items + log.item[rows], return_inverse=True
    )
    owner = pair // max(1, dataset.n_items)
    order = np.lexsort((rng.random(len(pair)), owner))
    count = np.bincount(owner, minlength=dataset.n_subjects)
    start = np.cumsum(count) - count
    rank = np.empty(len(pair), dtype=np.int64)
    rank[order] = np.arange(len(pair)) - start[owner[order]]
    return _Shuffled(rows, which, owner, rank, count)


def _random_share(
    dataset: Dataset, rows: NDArray[np.int64], share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Which interactions are with a random share of the items that their subject has in `rows`, `(n,)`."""
    items = _shuffle(dataset, rows, rng)
    wanted = np.clip(np.rint(share * items.count), 1, np.maximum(items.count - 1, 1))
    wanted[items.count < 2] = 0
    held = np.zeros(len(dataset.log), dtype=np.bool_)
    held[rows] = (items.rank < wanted[items.owner])[items.which]
    return held


def chose_several(dataset: Dataset) -> NDArray[np.bool_]:
    """Who has positive events on two items or more, `(n_subjects,)`."""
    first = _first_positive(dataset, np.ones(len(dataset.log), dtype=np.bool_))
    return np.bincount(dataset.log.subject[first], minlength=dataset.n_subjects) >= 2


def _first_positive(dataset: Dataset, among: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The place of the first positive event of each subject with each item, by subject and item."""
    log = dataset.log
    rows = np.flatnonzero(among & (_strengths(dataset, log, rating_scale(log)) > 0))
    pair = log.subject[rows].astype(np.int64) * dataset.n_items + log.item[rows]
    # `unique` gives the first occurrence, and the log is in order of time.
    return np.asarray(rows[np.unique(pair, return_index=True)[1]], dtype=np.int64)


def _of_the_present(log: InteractionLog, whose: NDArray[np.bool_], now: int) -> InteractionLog:
    """The log in which the latest event of some subjects is of this moment, and the others as long before."""
    latest = np.zeros(len(whose), dtype=np.int64)
    np.maximum.at(latest, log.subject, log.occurred_at)
    later = np.where(whose, now - latest, 0)[log.subject]
    log = replace(log, occurred_at=log.occurred_at + later)
    return log.where(np.argsort(log.occurred_at, kind="stable").astype(np.int64))


def _strengths(dataset: Dataset, log: InteractionLog, scale: RatingScale | None) -> NDArray[np.float32]:
    return event_strengths(
        log.event, log.value, log.quantity, dataset.event_names, dataset.event_weights, scale, DISLIKED
    )


def _positive(dataset: Dataset, log: InteractionLog, scale: RatingScale | None) -> csr_array:
    """Ones where a subject's summed strength for an item is positive, `(n_subjects, n_items)` float32."""
    strength = _strengths(dataset, log, scale)
    shape = (dataset.n_subjects, dataset.n_items)
    total = coo_array((strength, (log.subject, log.item)), shape=shape).tocsr()
    total.sum_duplicates()
    total.data = (total.data > 0).astype(np.float32)
    total.eliminate_zeros()
    return csr_array(total)


def _touched(dataset: Dataset) -> csr_array:
    """Ones for the items that a subject had to do with, `(n_subjects, n_items)` float32."""
    log = dataset.log
    shape = (dataset.n_subjects, dataset.n_items)
    total = coo_array((np.ones(len(log), dtype=np.float32), (log.subject, log.item)), shape=shape).tocsr()
    total.sum_duplicates()
    total.data[:] = 1.0
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


def _sorted_by_user(dataset: Dataset) -> bool:
    """Whether, in order of time, hardly any user is interrupted by another one."""
    subject = dataset.log.subject[dataset.log.subject < dataset.n_users]
    several = np.bincount(subject, minlength=dataset.n_users) >= 2
    subject = subject[several[subject]]
    users = int(several.sum())
    runs = int(np.count_nonzero(np.diff(subject))) + 1
    return users >= _LEAST_SORTED and runs <= _RUNS * users
