"""How long a customer's silence means that they have left: the shop's own rhythm."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from app.learning.customers.features.grouping import changes
from app.learning.dataset import DAY_MS, Dataset
from app.learning.recommenders.base import NotEnoughData

_LEAST_DAYS: Final = 7
_MOST_DAYS: Final = 180
_PERCENTILE: Final = 90
_PARTS: Final = 3
"""Horizons that the history must hold: one to look back on, one to learn from, one to judge by."""


@dataclass(frozen=True)
class Horizon:
    """Days without a purchase, or without activity, that count as churn."""

    days: int
    basis: Literal["purchase", "activity"]
    history_days: int
    words: str

    @property
    def definition(self) -> str:
        """What churn means, in a sentence or two."""
        silence = "no purchase" if self.basis == "purchase" else "no activity"
        return f"A customer has churned who makes {silence} for {self.days} days. {self.words}"


def churn_horizon(dataset: Dataset, days: int | None = None) -> Horizon:
    """The given days, or those in which nine of ten returning customers' gaps end.

    Bounded to 7 to 180 days and a third of the history. Raises `NotEnoughData` for a history of fewer than
    21 days.
    """
    history, most = history_days(dataset), longest_horizon(dataset)
    happened = purchases(dataset)
    basis: Literal["purchase", "activity"] = "purchase" if happened.any() else "activity"
    if days is not None:
        kept = min(days, most)
        shortened = "" if kept == days else f", shortened from {days} to a third of the history"
        return Horizon(kept, basis, history, f"The horizon was given{shortened}.")
    of_users = dataset.log.subject < dataset.n_users
    gaps = _gaps(dataset, of_users & happened if basis == "purchase" else of_users)
    what = "days with a purchase" if basis == "purchase" else "active days"
    if not len(gaps):
        kept = min(_MOST_DAYS, most)
        return Horizon(
            kept, basis, history, f"No customer has two {what}, so it is a third of the history, at most 180."
        )
    usual = float(np.percentile(gaps, _PERCENTILE))
    kept = max(_LEAST_DAYS, min(int(np.ceil(usual)), _MOST_DAYS, most))
    return Horizon(
        kept,
        basis,
        history,
        f"{_PERCENTILE} % of the gaps between returning customers' {what} are at most {usual:.0f} days;"
        f" bounded to {_LEAST_DAYS} to {_MOST_DAYS} days and a third of the history of {history} days.",
    )


def history_days(dataset: Dataset) -> int:
    """Days from the first interaction of a customer to the data set's moment, begun ones counted."""
    at = dataset.log.occurred_at[dataset.log.subject < dataset.n_users]
    return 0 if not len(at) else int(np.ceil((dataset.as_of + 1 - at[0]) / DAY_MS))


def longest_horizon(dataset: Dataset) -> int:
    """A third of the history, in days. Raises `NotEnoughData` where that is less than a week."""
    history = history_days(dataset)
    if history < _LEAST_DAYS * _PARTS:
        raise NotEnoughData(
            f"predictions need users with a history of at least {_LEAST_DAYS * _PARTS} days, "
            f"there are {history}"
        )
    return history // _PARTS


def purchases(dataset: Dataset) -> NDArray[np.bool_]:
    """Which rows of the log are customers' purchases, `(n_log,)`."""
    names, log = dataset.event_names, dataset.log
    if "purchase" not in names:
        return np.zeros(len(log), dtype=np.bool_)
    return np.asarray((log.event == names.index("purchase")) & (log.subject < dataset.n_users))


def _gaps(dataset: Dataset, rows: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Days between each customer's days with such a row, of all customers together."""
    user, day = dataset.log.subject[rows], dataset.log.occurred_at[rows] // DAY_MS
    order = np.argsort(user, kind="stable")
    user, day = user[order], day[order]
    new = changes(user, day)
    user, day = user[new], day[new]
    return np.asarray(np.diff(day)[user[1:] == user[:-1]], dtype=np.int64)
