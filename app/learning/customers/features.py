"""What a customer's behaviour looks like in numbers, as of the data set's moment."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.learning.dataset import DAY_MS, Dataset

Floats = NDArray[np.float64]

_RECENT_DAYS = 30


@dataclass(frozen=True)
class Feature:
    """One column of the table."""

    name: str
    unit: str
    meaning: str


FEATURES = (
    Feature("recency_days", "days", "Time since the last interaction"),
    Feature("tenure_days", "days", "Time since the first interaction"),
    Feature("interactions", "events", "Interactions of any kind"),
    Feature("active_days", "days", "Days with an interaction"),
    Feature("median_gap_days", "days", "Usual time between active days; with one such day, the time since"),
    Feature("distinct_items", "items", "Different items interacted with"),
    Feature("frequency", "days", "Days with a purchase"),
    Feature("monetary", "currency", "Money spent, less refunds; purchases without a price count 0"),
    Feature("purchase_value", "currency", "Money spent, less refunds, per day with a purchase"),
    Feature("views_per_purchase", "views", "Items viewed per item line bought; per one if none was"),
    Feature("refund_share", "share", "Refunds per item line bought, at most 1; 0 if none was"),
    Feature("recent_share", "share", "Interactions of the last 30 days among all"),
)
"""All features, in the order of the columns."""


@dataclass(frozen=True)
class FeatureTable:
    """Features of users."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    values: Floats
    """`(n_users, n_features)`, finite; 0 where unknown."""
    known: NDArray[np.bool_]
    """Whether there is any interaction of the user, `(n_users,)`."""


def customer_features(dataset: Dataset) -> FeatureTable:
    """Behaviour of every user from the log; sessions are left out. Days are UTC days."""
    n_users = dataset.n_users
    log = dataset.log.where(dataset.log.subject < n_users)
    user = log.subject.astype(np.int64)
    age = np.maximum((dataset.as_of - log.occurred_at) / DAY_MS, 0.0)
    day = log.occurred_at // DAY_MS

    def happened(*names: str) -> NDArray[np.bool_]:
        return np.isin(log.event, [place for place, name in enumerate(dataset.event_names) if name in names])

    def count(chosen: NDArray[np.bool_]) -> Floats:
        return np.bincount(user[chosen], minlength=n_users).astype(np.float64)

    purchase, refund = happened("purchase"), happened("refund")
    interactions = np.bincount(user, minlength=n_users).astype(np.float64)
    known = interactions > 0
    recency = np.full(n_users, np.inf)
    np.minimum.at(recency, user, age)
    tenure = np.zeros(n_users)
    np.maximum.at(tenure, user, age)
    active_user, active_day = _distinct(user, day)
    active_days = np.bincount(active_user, minlength=n_users).astype(np.float64)
    gap = _median_gap(active_user, active_day, n_users)
    bought = count(purchase)
    frequency = np.bincount(_distinct(user[purchase], day[purchase])[0], minlength=n_users).astype(np.float64)
    amount = np.nan_to_num(log.price.astype(np.float64)) * log.quantity
    signed = np.where(purchase, amount, 0.0) - np.where(refund, amount, 0.0)
    monetary = np.bincount(user, weights=signed, minlength=n_users)
    columns = {
        "recency_days": np.where(known, recency, 0.0),
        "tenure_days": tenure,
        "interactions": interactions,
        "active_days": active_days,
        # A gap that has not ended: at least as long as the time since.
        "median_gap_days": np.where(active_days >= 2, gap, np.where(known, recency, 0.0)),
        "distinct_items": np.bincount(
            _distinct(user, log.item.astype(np.int64))[0], minlength=n_users
        ).astype(np.float64),
        "frequency": frequency,
        "monetary": monetary,
        "purchase_value": monetary / np.maximum(frequency, 1),
        "views_per_purchase": count(happened("view_item", "select_item")) / np.maximum(bought, 1),
        "refund_share": np.where(bought > 0, np.minimum(count(refund) / np.maximum(bought, 1), 1), 0),
        "recent_share": count(age <= _RECENT_DAYS) / np.maximum(interactions, 1),
    }
    return FeatureTable(
        tuple(feature.name for feature in FEATURES),
        tuple(feature.unit for feature in FEATURES),
        np.column_stack([columns[feature.name] for feature in FEATURES]),
        known,
    )


def _distinct(
    left: NDArray[np.int64], right: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct pairs, ordered by left, then right."""
    order = np.lexsort((right, left))
    left, right = left[order], right[order]
    new = np.ones(len(left), dtype=np.bool_)
    new[1:] = (left[1:] != left[:-1]) | (right[1:] != right[:-1])
    return left[new], right[new]


def _median_gap(user: NDArray[np.int64], day: NDArray[np.int64], n_users: int) -> Floats:
    """Median days between a user's active days, `(n_users,)`; 0 where there is one day or none."""
    same = user[1:] == user[:-1]
    owner, gap = user[1:][same], np.diff(day)[same]
    gap = gap[np.lexsort((gap, owner))]
    count = np.bincount(owner, minlength=n_users)
    start = np.cumsum(count) - count
    some = count > 0
    low = start[some] + (count[some] - 1) // 2
    high = start[some] + count[some] // 2
    median = np.zeros(n_users)
    median[some] = (gap[low] + gap[high]) / 2
    return median
