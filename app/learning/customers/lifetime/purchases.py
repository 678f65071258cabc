"""Customers' purchases in the few numbers that lifetime models take."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.learning.dataset import DAY_MS, Dataset, InteractionLog

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class PurchaseHistories:
    """Purchase days of the customers who had bought by the cut, one entry each, `(n,)`, in order of `user`.

    Purchases of one UTC day are one. Days are whole: all of the cut's day counts.
    """

    user: NDArray[np.int32]
    """Row of the data set."""
    frequency: Floats
    """Days with a purchase after the first of them."""
    recency: Floats
    """Days from the first purchase to the last."""
    age: Floats
    """Days from the first purchase to the cut."""
    valued: Floats
    """Days among `frequency` of which a price is known."""
    value: Floats
    """Mean value of those days, less refunds; 0 where there is none, and it may be negative."""
    later_frequency: Floats
    """Days with a purchase after the cut."""
    later_value: Floats
    """Money spent after the cut, less refunds of what was bought then."""
    later_days: int
    """Days after the cut; 0 if nothing was held back."""
    unmatched_refunds: int
    """Refunds without an earlier purchase of the item by the customer: nothing is subtracted for them."""

    def __len__(self) -> int:
        return len(self.user)

    @property
    def without_value(self) -> int:
        """Customers who came back, but whose repeat purchases have no known positive value."""
        return int(np.count_nonzero((self.frequency > 0) & ~((self.valued > 0) & (self.value > 0))))


def purchase_histories(
    dataset: Dataset, as_of: int | None = None, cut: int | None = None
) -> PurchaseHistories:
    """Histories as of a moment (ms; by default the data set's), those after `cut` (ms) held back.

    A refund is subtracted from the customer's latest purchase of that item until then, on the day of that
    purchase, and only if the refund itself had happened by the end of the history. A day that was refunded in
    full stays a purchase day. Raises `ValueError` for a cut after the moment.
    """
    end_day = (dataset.as_of if as_of is None else as_of) // DAY_MS
    cut_day = end_day if cut is None else cut // DAY_MS
    if cut_day > end_day:
        raise ValueError("the cut must not be after the moment as of which histories are taken")
    log = dataset.log.where(dataset.log.subject < dataset.n_users)
    log = log.where(log.occurred_at // DAY_MS <= end_day)
    purchase, refund = _happened(dataset, log, "purchase"), _happened(dataset, log, "refund")
    log = log.where(purchase | refund)
    refund = refund[purchase | refund]
    until = log.occurred_at // DAY_MS <= cut_day
    user, day, value, priced, unmatched = _days(log.where(until), refund[until])
    everyone, start = np.unique(user, return_index=True)
    place = np.searchsorted(everyone, user)
    n = len(everyone)
    repeat = np.ones(len(user), dtype=np.bool_)
    repeat[start] = False
    first, last = day[start], day[np.append(start[1:], len(day)) - 1] if n else day
    valued = np.bincount(place[repeat & priced], minlength=n).astype(np.float64)
    spent = np.bincount(place[repeat & priced], weights=value[repeat & priced], minlength=n)
    later_user, later_day, later_value, _, _ = _days(log, refund)
    after = later_day > cut_day
    known = after & np.isin(later_user, everyone)
    later = np.searchsorted(everyone, later_user[known])
    return PurchaseHistories(
        user=everyone.astype(np.int32),
        frequency=np.bincount(place, minlength=n).astype(np.float64) - (n > 0),
        recency=(last - first).astype(np.float64),
        age=(cut_day - first).astype(np.float64),
        valued=valued,
        value=spent / np.maximum(valued, 1),
        later_frequency=np.bincount(later, minlength=n).astype(np.float64),
        later_value=np.bincount(later, weights=later_value[known], minlength=n).astype(np.float64),
        later_days=int(end_day - cut_day),
        unmatched_refunds=unmatched,
    )


def _happened(dataset: Dataset, log: InteractionLog, name: str) -> NDArray[np.bool_]:
    names = dataset.event_names
    return log.event == names.index(name) if name in names else np.zeros(len(log), dtype=np.bool_)


def _days(
    log: InteractionLog, refund: NDArray[np.bool_]
) -> tuple[Ints, Ints, Floats, NDArray[np.bool_], int]:
    """User, day, net value and whether a price is known of each purchase day, by user and day; and refunds
    that belong to no purchase."""
    # The log is in order of time, so a stable sort by item and user leaves each pair's events in that order.
    order = np.lexsort((log.item, log.subject))
    user, item, refund = log.subject[order].astype(np.int64), log.item[order], refund[order]
    amount = (log.price.astype(np.float64) * log.quantity)[order]
    row = np.arange(len(order))
    latest = np.maximum.accumulate(np.where(refund, -1, row)) if len(row) else row
    matched = (latest >= 0) & (user[latest] == user) & (item[latest] == item)
    day = (log.occurred_at // DAY_MS)[order][latest]
    kept = matched  # a purchase is its own match
    user, day, amount, refund = user[kept], day[kept], amount[kept], refund[kept]
    order = np.lexsort((day, user))
    user, day, amount, refund = user[order], day[order], amount[order], refund[order]
    new = np.ones(len(user), dtype=np.bool_)
    new[1:] = (np.diff(user) != 0) | (np.diff(day) != 0)
    which = np.cumsum(new) - 1
    count = int(new.sum())
    known = np.isfinite(amount)
    signed = np.where(known, np.where(refund, -amount, amount), 0.0)
    value = np.bincount(which, weights=signed, minlength=count).astype(np.float64)
    priced = np.bincount(which[known & ~refund], minlength=count) > 0
    return user[new], day[new], value, np.asarray(priced), int(np.count_nonzero(~matched))
