"""Sales and demand as evenly spaced series from the log; periods without a sale are zeros."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.learning.dataset import DAY_MS, Dataset, InteractionLog
from app.learning.recommenders.base import NotEnoughData

Floats = NDArray[np.float64]
Step = Literal["day", "week"]
Measure = Literal["revenue", "orders", "units"]

STEP_DAYS: dict[Step, int] = {"day": 1, "week": 7}
MOST_PERIODS: dict[Step, int] = {"day": 1_100, "week": 530}
"""Latest periods that count: older ones tell nothing, and one wrong date would make years of zeros."""


@dataclass(frozen=True)
class SeriesTable:
    """Series over the same periods, the oldest first."""

    keys: NDArray[np.int64]
    """What each is of: the column of an item, or -1 for the whole shop, `(n_series,)`."""
    values: Floats
    """`(n_series, n_periods)`, finite."""
    start: int
    """Milliseconds since the Unix epoch at which the first period starts."""
    step: Step
    counts: bool
    """Whether the values are counts, which cannot fall below 0."""

    def __len__(self) -> int:
        return len(self.keys)


def sales_series(dataset: Dataset, measure: Measure, step: Step) -> SeriesTable:
    """The whole shop's sales, one series, from the first purchase (of the latest `MOST_PERIODS`) to the last
    complete period.

    `revenue` is money less refunds, each on its own day (it can be negative), lines without a price count 0;
    `orders` are counted at their first line; `units` are those sold. Days are UTC days. The day of
    `dataset.as_of` may not be over, so it is left out; weeks are seven days back from there. Raises
    `NotEnoughData` without one complete period.
    """
    log = _of_kind(dataset, "purchase")
    if measure == "revenue":
        refunds = _of_kind(dataset, "refund")
        n_periods, start = _periods(dataset, log, step)
        moments = np.concatenate([log.occurred_at, refunds.occurred_at])
        amount = np.concatenate([_money(log), -_money(refunds)])
    else:
        n_periods, start = _periods(dataset, log, step)
        if measure == "orders":
            log = log.where(_first_of_order(log))
        moments = log.occurred_at
        amount = log.quantity.astype(np.float64) if measure == "units" else np.ones(len(log))
    place = _place(moments, start, step)
    kept = (place >= 0) & (place < n_periods)
    values = np.bincount(place[kept], weights=amount[kept], minlength=n_periods)
    # Without refunds revenue cannot fall below 0 either.
    counts = measure != "revenue" or bool((values >= 0).all())
    return SeriesTable(np.array([-1]), values[None].astype(np.float64), start, step, counts)


def demand_series(dataset: Dataset, step: Step, most: int = 1000) -> SeriesTable:
    """Units sold of each of the `most` items that sold most units, those first.

    Periods and errors as in `sales_series`.
    """
    log = _of_kind(dataset, "purchase")
    n_periods, start = _periods(dataset, log, step)
    place = _place(log.occurred_at, start, step)
    kept = (place >= 0) & (place < n_periods)
    log, place = log.where(kept), place[kept]
    sold = np.bincount(log.item, weights=log.quantity, minlength=dataset.n_items)
    items = np.argsort(-sold, kind="stable")[:most]
    items = items[sold[items] > 0]
    row = np.full(dataset.n_items, -1, dtype=np.int64)
    row[items] = np.arange(len(items))
    chosen = row[log.item] >= 0
    flat = row[log.item[chosen]] * n_periods + place[chosen]
    values = np.bincount(flat, weights=log.quantity[chosen], minlength=len(items) * n_periods)
    return SeriesTable(
        items.astype(np.int64), values.reshape(len(items), n_periods).astype(np.float64), start, step, True
    )


def _of_kind(dataset: Dataset, name: str) -> InteractionLog:
    names = dataset.event_names
    code = names.index(name) if name in names else -1
    return dataset.log.where(dataset.log.event == code)


def _place(moments: NDArray[np.int64], start: int, step: Step) -> NDArray[np.int64]:
    """Period of each moment, counted from `start`; negative before it."""
    return np.asarray((moments - start) // (STEP_DAYS[step] * DAY_MS))


def _periods(dataset: Dataset, log: InteractionLog, step: Step) -> tuple[int, int]:
    """Number of complete periods, and the start (ms) of the first of them."""
    days = STEP_DAYS[step]
    end = dataset.as_of // DAY_MS
    n_periods = (end - int(log.occurred_at.min()) // DAY_MS) // days if len(log) else 0
    n_periods = min(n_periods, MOST_PERIODS[step])
    if n_periods < 1:
        raise NotEnoughData(f"a forecast needs sales over complete {step}s, there are none")
    return n_periods, (end - n_periods * days) * DAY_MS


def _money(log: InteractionLog) -> Floats:
    return np.nan_to_num(log.price.astype(np.float64)) * log.quantity


def _first_of_order(log: InteractionLog) -> NDArray[np.int64]:
    """One line of each order; without an order's number, lines of one subject at one moment are one."""
    number = np.full(len(log), -1, dtype=np.int32) if log.order is None else log.order
    order = np.lexsort((log.occurred_at, log.subject, number))
    number, subject, moment = number[order], log.subject[order], log.occurred_at[order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (number[1:] != number[:-1]) | (
        (number[1:] < 0) & ((subject[1:] != subject[:-1]) | (moment[1:] != moment[:-1]))
    )
    return np.sort(order[new]).astype(np.int64)
