"""What came of customers after a cut."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.learning.dataset import DAY_MS, Dataset

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """Of every user, `(n_users,)`, in the days from a cut on."""

    active: NDArray[np.bool_]
    """Whether there was any interaction."""
    bought: NDArray[np.bool_]
    days_until: Floats
    """Days from the cut to the first purchase; infinite without one."""
    value: Floats
    """Money spent, less refunds until then of what was bought then; what has no price counts 0."""


def outcomes(dataset: Dataset, cut: int, days: int) -> Outcomes:
    """From `cut` (ms) for so many days; rows of the log before and after are not looked at."""
    n = dataset.n_users
    edges = np.searchsorted(dataset.log.occurred_at, [cut, cut + days * DAY_MS], side="left")
    log = dataset.log.where(slice(int(edges[0]), int(edges[1])))
    log = log.where(log.subject < n)
    names = dataset.event_names
    kinds = [names.index(name) if name in names else -1 for name in ("purchase", "refund")]
    purchase, refund = (log.event == kind for kind in kinds)
    first = np.full(n, np.inf)
    buyers = log.subject[purchase]
    # Backwards, so that the earliest is written last.
    first[buyers[::-1]] = ((log.occurred_at[purchase] - cut) / DAY_MS)[::-1]
    trade = log.where(purchase | refund)
    # By customer and item in order of time: a refund counts where that customer bought that item before.
    order = np.lexsort((trade.item, trade.subject))
    user, item = trade.subject[order].astype(np.int64), trade.item[order]
    back = refund[purchase | refund][order]
    row = np.arange(len(order))
    latest = np.maximum.accumulate(np.where(back, -1, row)) if len(row) else row
    matched = (latest >= 0) & (user[latest] == user) & (item[latest] == item)
    amount = (trade.price.astype(np.float64) * trade.quantity)[order]
    amount = np.where(np.isfinite(amount) & matched, amount, 0.0)
    value = np.bincount(user, np.where(back, -amount, amount), n).astype(np.float64)
    return Outcomes(
        active=np.bincount(log.subject, minlength=n) > 0,
        bought=np.isfinite(first),
        days_until=first,
        value=value,
    )
