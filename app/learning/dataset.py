"""What models learn from: a frozen, compact copy of the shop's data as of one moment.

Inside `learning` everything is an integer index. Subjects are the rows: the users first
(`0 … n_users - 1`), then the anonymous sessions. Items are the columns, in the order of their external
ids, so that breaking ties by index is breaking them by item id.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.matrices import reweighted

DAY_MS = 86_400_000


@dataclass(frozen=True)
class InteractionLog:
    """Interactions in order of time, one array per column, all of length `n`."""

    subject: NDArray[np.int32]
    """Row of the user or anonymous session."""
    item: NDArray[np.int32]
    """Column of the item."""
    event: NDArray[np.int16]
    """Index into `Dataset.event_names`."""
    value: NDArray[np.float32]
    """The rating of a `rate` event; NaN where none was given."""
    quantity: NDArray[np.float32]
    """Units; 1 where none was given."""
    price: NDArray[np.floating[Any]]
    """Price of a unit in the shop's currency; NaN where none was given."""
    occurred_at: NDArray[np.int64]
    """Milliseconds since the Unix epoch, ascending."""
    order: NDArray[np.int32] | None = None
    """Number of the order that an event belongs to, -1 for none; None where no event has one."""
    excluded: NDArray[np.bool_] | None = None
    """Whether an event happened but says nothing of taste, as a gift; None where all do."""

    def __len__(self) -> int:
        return len(self.subject)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Self:
        """The chosen rows, in the same order."""
        return replace(
            self,
            subject=self.subject[chosen],
            item=self.item[chosen],
            event=self.event[chosen],
            value=self.value[chosen],
            quantity=self.quantity[chosen],
            price=self.price[chosen],
            occurred_at=self.occurred_at[chosen],
            order=None if self.order is None else self.order[chosen],
            excluded=None if self.excluded is None else self.excluded[chosen],
        )

    def joined(self, other: Self) -> Self:
        """The rows of both, those of the other after these."""
        orders = [
            np.full(len(log), -1, dtype=np.int32) if log.order is None else log.order for log in (self, other)
        ]
        columns = ("subject", "item", "event", "value", "quantity", "price", "occurred_at")
        both = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in columns}
        none = self.order is None and other.order is None
        excluded = [
            np.zeros(len(log), dtype=np.bool_) if log.excluded is None else log.excluded
            for log in (self, other)
        ]
        all_count = self.excluded is None and other.excluded is None
        return replace(
            self,
            order=None if none else np.concatenate(orders),
            excluded=None if all_count else np.concatenate(excluded),
            **both,
        )


@dataclass(frozen=True)
class ItemTable:
    """What the catalogue says of each item; all sequences have length `n_items`."""

    title: list[str]
    description: list[str]
    categories: list[list[str]]
    """Paths such as "Shoes > Running"."""
    brand: list[str]
    tags: list[list[str]]
    price: NDArray[np.float32]
    """NaN where unknown."""
    attributes: list[dict[str, Any]] = field(default_factory=list)
    """The shop's own; empty where no item has any."""


@dataclass(frozen=True)
class Dataset:
    """A shop's users, items and interactions as of one moment."""

    user_keys: NDArray[np.int64]
    """Database key of each user; `n_users = len(user_keys)`."""
    n_subjects: int
    """Users and anonymous sessions together."""
    item_keys: NDArray[np.int64]
    """Database key of each item; `n_items = len(item_keys)`."""
    items: ItemTable
    event_names: tuple[str, ...]
    log: InteractionLog
    as_of: int
    """Milliseconds since the Unix epoch: the time of the latest interaction, from which ages are taken."""
    event_weights: dict[str, float] = field(default_factory=dict)
    """Implicit weight by event name; a name that is missing weighs 0."""
    ties: csr_array | None = None
    """Weights of social ties, `(n_subjects, n_users)`, either way; None without any."""
    user_attributes: list[dict[str, Any]] = field(default_factory=list)
    """The shop's own, of each user; empty where no user has any."""

    itemless: InteractionLog | None = None
    """What users did beside items (searches, contacts with the service); `item` is -1. None without any."""

    @property
    def n_users(self) -> int:
        return len(self.user_keys)

    @property
    def n_items(self) -> int:
        return len(self.item_keys)

    def with_all_events(self) -> Self:
        """The same shop with events that have no item (-1) in the log: what customers are judged by."""
        if self.itemless is None:
            return self
        log = self.log.joined(self.itemless)
        return replace(self, log=log.where(np.argsort(log.occurred_at, kind="stable")), itemless=None)

    def of_taste(self) -> Self:
        """The same shop without the events that say nothing of taste: what recommenders learn from."""
        log = self.log
        if log.excluded is None:
            return self
        return replace(self, log=replace(log.where(~log.excluded), excluded=None))

    def with_log(self, log: InteractionLog, as_of: int) -> Self:
        """The same shop with other interactions, as of another moment."""
        return replace(self, log=log, as_of=as_of)


@dataclass(frozen=True)
class Occasions:
    """On how many days each chose an item, and when: where it was bought, the days on which it was bought."""

    days: csr_array
    """Number of these days, `(n_batch, n_items)` float32, an entry for each item that was chosen."""
    first: NDArray[np.float32]
    """Days since the first of them, one for each stored entry of `days`."""
    last: NDArray[np.float32]
    """Days since the last of them, likewise."""
    bought: NDArray[np.bool_] | None = None
    """Whether the item was bought, likewise; None where that is not told."""

    def take(self, rows: NDArray[np.int64]) -> "Occasions":
        """The occasions of some rows, in the order given."""
        days = self.days
        places = reweighted(days, np.arange(days.nnz))[rows].data
        bought = None if self.bought is None else self.bought[places]
        return Occasions(csr_array(days[rows]), self.first[places], self.last[places], bought)


@dataclass(frozen=True)
class Histories:
    """The histories of a batch of users or sessions: all that a model is told of them."""

    matrix: csr_array
    """Preference of each for each item, `(n_batch, n_items)` float32, non-negative; no entry: unknown."""
    ages: NDArray[np.float32]
    """Days since the last interaction, one for each stored entry of `matrix`."""
    seen: csr_array | None = None
    """All that each had to do with, `(n_batch, n_items)`, an entry for each item; None: as `matrix`."""
    ties: csr_array | None = None
    """Weights of the ties of each to the users of the training, `(n_batch, n_users)`; None without any."""
    occasions: Occasions | None = None
    """The days behind `matrix`, of as many items or more; None where only preferences are known."""

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    def take(self, rows: NDArray[np.int64]) -> "Histories":
        """The histories of some rows, in the order given."""
        ages = reweighted(self.matrix, self.ages)
        return Histories(
            csr_array(self.matrix[rows]),
            np.asarray(ages[rows].data, dtype=np.float32),
            None if self.seen is None else csr_array(self.seen[rows]),
            None if self.ties is None else csr_array(self.ties[rows]),
            None if self.occasions is None else self.occasions.take(rows),
        )

    @property
    def unseen(self) -> NDArray[np.bool_]:
        """Which items each had nothing to do with, `(n_batch, n_items)`."""
        unseen = np.ones(self.matrix.shape, dtype=np.bool_)
        seen = self.matrix if self.seen is None else self.seen
        unseen[np.repeat(np.arange(len(self)), np.diff(seen.indptr)), seen.indices] = False
        return unseen
