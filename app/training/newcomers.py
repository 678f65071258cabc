"""Newcomers for a trial: users and sessions of whom its models know nothing, told by their first items.

A user whom the models learned from, cut to a few items, is no newcomer: the neighbours who are found by these
are above all the user's own row, and what most people have is no longer wanted, being had.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from app.learning.dataset import Dataset, InteractionLog
from app.learning.evaluation.splits import Split, chose_several
from app.learning.preferences import DISLIKED, dataset_histories, event_strengths, rating_scale
from app.training.judging import Audience

LEFT_OUT = 0.1
"""Share of the users, and of the sessions, that are taken out of the trial to be asked about."""
MOST_USERS = 200
"""Newcomers of each kind, at most."""
MOST_SESSIONS = 400
"""Of which anonymous visitors' blend is learned, at most."""


@dataclass(frozen=True)
class Newcomers:
    """Users, and all that they liked."""

    dataset: Dataset
    """Its log holds what they liked and nothing else, by user and then by time."""
    rank: NDArray[np.int64]
    """How many different items the user had liked by each of these events, this one included, `(n,)`."""

    @classmethod
    def of(cls, dataset: Dataset, log: InteractionLog) -> "Newcomers":
        """Those who are in the log, which holds all that they did, in order of time."""
        log = _liked(dataset, log)
        log = log.where(np.argsort(log.subject, kind="stable").astype(np.int64))
        new = np.zeros(len(log), dtype=np.int64)
        new[np.unique(_pairs(dataset, log), return_index=True)[1]] = 1
        so_far = np.concatenate([[0], np.cumsum(new)])
        first = np.searchsorted(log.subject, log.subject, side="left")
        return cls(dataset.with_log(log, dataset.as_of), so_far[1:] - so_far[first])

    def joined(self, other: "Newcomers") -> "Newcomers":
        """Both; nobody is among both."""
        return Newcomers.of(self.dataset, self.dataset.log.joined(other.dataset.log))

    def knowing(self, items: int) -> Audience:
        """Those who went on after so many items, told by these as if the latest were of this moment.

        What followed is wanted, what came again too.
        """
        return self._told(self.rank <= items)

    def part_way(self, rng: np.random.Generator) -> Audience:
        """All who had two items or more, each told by a random number of the first, less than all."""
        last = np.zeros(self.dataset.n_subjects, dtype=np.int64)
        np.maximum.at(last, self.dataset.log.subject, self.rank)
        told = 1 + np.floor(rng.random(len(last)) * (last - 1)).astype(np.int64)
        return self._told(self.rank <= told[self.dataset.log.subject])

    def _told(self, first: NDArray[np.bool_]) -> Audience:
        dataset, shape = self.dataset, (self.dataset.n_subjects, self.dataset.n_items)
        known, later = dataset.log.where(first), dataset.log.where(~first)
        latest = np.zeros(shape[0], dtype=np.int64)
        np.maximum.at(latest, known.subject, known.occurred_at)
        known = replace(known, occurred_at=known.occurred_at + dataset.as_of - latest[known.subject])
        told = known.where(np.argsort(known.occurred_at, kind="stable").astype(np.int64))
        users = np.unique(later.subject).astype(np.int64)
        wanted = coo_array((np.ones(len(later)), (later.subject, later.item)), shape=shape).tocsr()
        wanted.sum_duplicates()
        wanted.data[:] = 1.0
        histories = dataset_histories(dataset.with_log(told, dataset.as_of)).take(users)
        return Audience(histories, csr_array(wanted[users]))


@dataclass(frozen=True)
class LeftOut:
    """A split without some users and sessions, and those of whom its training knows nothing."""

    split: Split
    users: tuple[Newcomers, Newcomers]
    """Who came after the split, which is one season; and who was left out, which is all of them."""
    sessions: Newcomers
    """Anonymous sessions that came after the split; where they are few, some that were left out besides."""


def leave_out(split: Split, rng: np.random.Generator) -> LeftOut:
    """Take some users and sessions out of a split.

    Where it is by time, nobody is left out who went on after it: how users go on is asked about them. Where
    it is by sessions, these are asked about already.
    """
    train, held = split.train, split.held_out
    before = np.bincount(train.log.subject, minlength=train.n_subjects) > 0
    after = np.bincount(held.subject, minlength=train.n_subjects) > 0
    by_time = split.protocol == "time"
    is_user = np.arange(train.n_subjects) < train.n_users
    may_go = is_user & (before & ~after if by_time else before)
    out = _some(may_go, min(MOST_USERS, _tenth(is_user & before)), rng)
    came = _some(is_user & after & ~before, MOST_USERS, rng)
    everything = train.log.joined(held)
    # Of what is of one moment, as on a receipt, chance says what was first: the order of lines would tell.
    order = np.lexsort((rng.random(len(everything)), everything.occurred_at))
    everything = everything.where(order.astype(np.int64))
    several = chose_several(train.with_log(everything, train.as_of))
    visits = ~is_user & several & ~(before & after)
    if split.protocol == "sessions":
        visits[:] = False
    later = _some(visits & after, MOST_SESSIONS, rng)
    missing = MOST_SESSIONS - int(later.sum())
    earlier = _some(visits & before, min(missing, _tenth(visits & before)), rng)
    chosen = [
        Newcomers.of(train, everything.where(some[everything.subject]))
        for some in (came, out, later | earlier)
    ]
    gone = out | earlier
    left = train.with_log(train.log.where(~gone[train.log.subject]), train.as_of)
    held = held.where(~gone[held.subject])
    return LeftOut(replace(split, train=left, held_out=held), (chosen[0], chosen[1]), chosen[2])


def _tenth(candidates: NDArray[np.bool_]) -> int:
    return round(LEFT_OUT * int(candidates.sum()))


def _some(candidates: NDArray[np.bool_], count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """At most so many of them, at random."""
    chosen = np.zeros(len(candidates), dtype=np.bool_)
    chosen[rng.permutation(np.flatnonzero(candidates))[:count]] = True
    return chosen


def _pairs(dataset: Dataset, log: InteractionLog) -> NDArray[np.int64]:
    """A number for the subject and item of each event."""
    return log.subject.astype(np.int64) * dataset.n_items + log.item


def _liked(dataset: Dataset, log: InteractionLog) -> InteractionLog:
    """The positive events with items that were liked on the whole."""
    scale = rating_scale(dataset.log) or rating_scale(log)
    names, weights = dataset.event_names, dataset.event_weights
    strength = event_strengths(log.event, log.value, log.quantity, names, weights, scale, DISLIKED)
    pair, which = np.unique(_pairs(dataset, log), return_inverse=True)
    total = np.bincount(which, weights=strength, minlength=len(pair))
    return log.where((total[which] > 0) & (strength > 0))
