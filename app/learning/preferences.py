"""From events to preference: one definition, used by training and by every request."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from app.learning.dataset import DAY_MS, Dataset, Histories, InteractionLog

DISLIKED = -1.0
"""Strength of the lowest rating, in weights, where liking is asked for."""


@dataclass(frozen=True)
class RatingScale:
    """The range of ratings that the shop uses, read off its data."""

    low: float
    high: float


def rating_scale(log: InteractionLog) -> RatingScale | None:
    """The lowest and highest rating in the log; None without ratings."""
    values = log.value[np.isfinite(log.value)]
    return RatingScale(float(values.min()), float(values.max())) if len(values) else None


def event_strengths(
    event: NDArray[np.int16],
    value: NDArray[np.float32],
    quantity: NDArray[np.float32],
    event_names: tuple[str, ...],
    event_weights: dict[str, float],
    scale: RatingScale | None,
    lowest_rating: float = 0.0,
) -> NDArray[np.float32]:
    """Signed strength of each event, `(n,)` float32.

    The weight of the event's name, damped by quantity as `1 + log(quantity)`. A rating weighs from
    `lowest_rating * weight` (the lowest of the scale) to `weight` (the highest); where the shop only ever
    gives one rating, that rating counts as liking.

    As evidence of taste even a poor rating speaks for the kind of thing: who rated it chose it. Whether it
    was liked is another question: with `DISLIKED` for the lowest rating, the middle of the scale is 0.
    """
    weights = np.array([event_weights.get(name, 0.0) for name in event_names] or [0.0], dtype=np.float32)
    strength = weights[event] * (1.0 + np.log(np.maximum(quantity, 1.0)))
    if scale is not None and "rate" in event_names:
        rated = (event == event_names.index("rate")) & np.isfinite(value)
        if scale.high > scale.low:
            position = (value[rated] - scale.low) / (scale.high - scale.low)
            position = lowest_rating + (1.0 - lowest_rating) * position
        else:
            position = np.ones(int(rated.sum()), dtype=np.float32)
        strength[rated] = weights[event_names.index("rate")] * position
    return np.asarray(strength, dtype=np.float32)


def histories(
    row: NDArray[np.int32],
    item: NDArray[np.int32],
    strength: NDArray[np.float32],
    age_days: NDArray[np.float32],
    shape: tuple[int, int],
    half_life: float | None = None,
) -> Histories:
    """Sum events into preferences: `log(1 + max(0, sum))` for each row and item.

    `half_life` in days lets older events count less. Entries without positive evidence are dropped.
    """
    decayed = strength if half_life is None else strength * np.exp2(-age_days / half_life)
    total = coo_array((decayed, (row, item)), shape=shape, dtype=np.float32).tocsr()
    total.sum_duplicates()
    # The last interaction's age, by the same positions: order so that the smallest age is written last.
    flat = row.astype(np.int64) * shape[1] + item
    order = np.lexsort((-age_days, flat))
    last = np.ones(len(order), dtype=np.bool_)
    last[:-1] = flat[order][1:] != flat[order][:-1]
    ages = age_days[order][last]
    keep = total.data > 0
    data = np.log1p(total.data[keep]).astype(np.float32)
    rows = np.repeat(np.arange(shape[0]), np.diff(total.indptr))[keep]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape[0]))])
    matrix = csr_array((data, total.indices[keep], indptr), shape=shape)
    return Histories(matrix, ages[keep].astype(np.float32), None if keep.all() else csr_array(total))


def dataset_histories(dataset: Dataset, half_life: float | None = None) -> Histories:
    """Preferences of every subject of the data set, `(n_subjects, n_items)`."""
    log = dataset.log
    strength = event_strengths(
        log.event,
        log.value,
        log.quantity,
        dataset.event_names,
        dataset.event_weights,
        rating_scale(log),
    )
    ages = ((dataset.as_of - log.occurred_at) / DAY_MS).astype(np.float32)
    shape = (dataset.n_subjects, dataset.n_items)
    found = histories(log.subject, log.item, strength, ages, shape, half_life)
    return replace(found, ties=dataset.ties)
