"""Newcomers for a trial: users of whom its models know nothing, told by their first items.

A user whom the models learned from, cut to a few items, is no newcomer: the neighbours who are found by these
are above all the user's own row, and what most people have is no longer wanted, being had.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from app.learning.dataset import Dataset, InteractionLog
from app.learning.evaluation.splits import Split
from app.learning.preferences import DISLIKED, dataset_histories, event_strengths, rating_scale
from app.training.judging import Audience

LEFT_OUT = 0.1
"""Share of the users who are taken out of the trial, to be asked about as newcomers."""
MOST_USERS = 200
"""Newcomers of each kind, at most."""


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
        dataset, shape = self.dataset, (self.dataset.n_subjects, self.dataset.n_items)
        known, later = dataset.log.where(self.rank <= items), dataset.log.where(self.rank > items)
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


def leave_out(split: Split, rng: np.random.Generator) -> tuple[Split, tuple[Newcomers, Newcomers]]:
    """The split without some users, and the newcomers of both kinds: who came after it, and these.

    Those who came are of one season; those who are left out, of all. Where the split is by time, nobody is
    left out who went on after it: how users go on is asked about them.
    """
    train, held = split.train, split.held_out
    before = np.bincount(train.log.subject, minlength=train.n_subjects)[: train.n_users] > 0
    after = np.bincount(held.subject, minlength=train.n_subjects)[: train.n_users] > 0
    count = min(MOST_USERS, round(LEFT_OUT * np.count_nonzero(before)))
    may_go = before & ~after if split.protocol == "time" else before
    out = np.zeros(train.n_subjects, dtype=np.bool_)
    out[rng.permutation(np.flatnonzero(may_go))[:count]] = True
    came = np.zeros(train.n_subjects, dtype=np.bool_)
    came[rng.permutation(np.flatnonzero(after & ~before))[:MOST_USERS]] = True
    everything = train.log.joined(held)
    everything = everything.where(np.argsort(everything.occurred_at, kind="stable").astype(np.int64))
    kinds = (
        Newcomers.of(train, everything.where(came[everything.subject])),
        Newcomers.of(train, everything.where(out[everything.subject])),
    )
    left = train.with_log(train.log.where(~out[train.log.subject]), train.as_of)
    return replace(split, train=left, held_out=held.where(~out[held.subject])), kinds


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
