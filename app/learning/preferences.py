"""From events to preference: one definition, used by training and by every request."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import DAY_MS, Dataset, Histories, InteractionLog, Occasions
from app.learning.matrices import reweighted, unchecked

DISLIKED = -1.0
"""Strength of the lowest rating, in weights, where liking is asked for."""
FAR_ABOVE = 10.0
"""Times the median of all, from which what one subject did is damped."""
USUAL = 0.999
"""Share of subjects that are never damped."""
FEW_ROWS = 20


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
    bought: NDArray[np.bool_] | None = None,
) -> Histories:
    """Sum events into preferences: `log(1 + max(0, sum))` for each row and item.

    `half_life` in days lets older events count less. Entries without positive evidence are dropped.
    `bought` tells which events are purchases: of an item that was bought, only these are its occasions.
    """
    decayed = strength if half_life is None else strength * np.exp2(-age_days / half_life)
    flat = row.astype(np.int64) * shape[1] + item
    # By entry, and within each from the oldest event to the last.
    order = np.lexsort((-age_days, flat))
    flat = flat[order]
    last = np.ones(len(flat), dtype=np.bool_)
    last[:-1] = flat[1:] != flat[:-1]
    ends = np.flatnonzero(last)
    firsts = np.concatenate([[0], ends[:-1] + 1])[: len(ends)]
    total = np.add.reduceat(decayed[order], firsts) if len(ends) else np.empty(0, dtype=np.float32)
    rows, columns = np.divmod(flat[ends], shape[1])
    keep = total > 0
    matrix = _csr(np.log1p(total[keep]), rows[keep], columns[keep], shape)
    ages = age_days[order][ends]
    return Histories(
        matrix,
        ages[keep].astype(np.float32),
        None if keep.all() else _csr(total, rows, columns, shape),
        occasions=_occasions(
            matrix,
            keep,
            np.cumsum(last) - last,
            strength[order] > 0,
            age_days[order],
            None if bought is None else bought[order],
        ),
    )


def _csr(
    data: NDArray[np.floating], rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]
) -> csr_array:
    """A matrix of entries in order of rows and columns."""
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape[0]))])
    return unchecked(data.astype(np.float32, copy=False), columns, indptr, shape)


def _occasions(
    matrix: csr_array,
    keep: NDArray[np.bool_],
    entry: NDArray[np.int64],
    chosen: NDArray[np.bool_],
    age_days: NDArray[np.float32],
    bought: NDArray[np.bool_] | None,
) -> Occasions:
    """Count the days of the entries that are kept, which are those of the matrix.

    `entry` ascending and within it `age_days` descending, `(n_events,)` as `chosen` (a positive event) and
    `bought`. Days are whole days back from the present, so that a request counts as the training does.
    """
    of_bought: NDArray[np.bool_] | None = None
    if bought is not None:
        bought = bought & chosen
        of_bought = np.zeros(len(keep), dtype=np.bool_)
        of_bought[entry[bought]] = True
        chosen = np.where(of_bought[entry], bought, chosen)
        of_bought = of_bought[keep]
    counted = np.flatnonzero(chosen & keep[entry])
    entry, age_days = entry[counted], age_days[counted].astype(np.float32)
    new = np.ones(len(entry), dtype=np.bool_)
    new[1:] = entry[1:] != entry[:-1]
    ends = np.append(new[1:], True) if len(new) else new
    first, last = age_days[new], age_days[ends]
    new[1:] |= np.floor(age_days[1:]) != np.floor(age_days[:-1])
    days = np.bincount(entry[new], minlength=len(keep))[keep].astype(np.float32)
    return Occasions(reweighted(matrix, days), first, last, of_bought)


def dataset_histories(dataset: Dataset, half_life: float | None = None) -> Histories:
    """Preferences of every subject of the data set, `(n_subjects, n_items)`.

    The row of a robot or a wholesaler is scaled down to what others take an interest in (`row_damping`).
    """
    found = _undamped(dataset, half_life)
    damping = row_damping(found.matrix)
    if damping.min(initial=1.0) < 1.0:
        found.matrix.data *= np.repeat(damping, np.diff(found.matrix.indptr))
    return replace(found, ties=dataset.ties)


def row_damping(matrix: csr_array) -> NDArray[np.float32]:
    """By what to multiply each row of preferences, `(n_rows,)` float32: 1 for nearly all.

    So that no single row shapes what is learned for all, its sum is at most `FAR_ABOVE` times the median, or
    the `USUAL` quantile if that is more, of those with two items or more. The quantile leaves out one row at
    least; `FEW_ROWS` or fewer do not tell what is usual.
    """
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    sums = np.bincount(rows, weights=matrix.data, minlength=matrix.shape[0])
    several = sums[np.diff(matrix.indptr) >= 2]
    if len(several) <= FEW_ROWS:
        return np.ones(matrix.shape[0], dtype=np.float32)
    most = max(FAR_ABOVE * np.median(several), np.quantile(several, USUAL, method="lower"))
    return np.asarray(most / np.maximum(sums, most), dtype=np.float32)


def subject_weights(dataset: Dataset) -> NDArray[np.float32]:
    """How much each subject counts where all of what it did is counted, `(n_subjects,)`: 1 for nearly all."""
    return row_damping(_undamped(dataset, None).matrix)


def purchases(dataset: Dataset) -> NDArray[np.bool_]:
    """Which interactions of the log are purchases, `(n,)`."""
    names = dataset.event_names
    if "purchase" not in names:
        return np.zeros(len(dataset.log), dtype=np.bool_)
    return np.asarray(dataset.log.event == names.index("purchase"))


def positive(dataset: Dataset) -> NDArray[np.bool_]:
    """Which interactions of the log have a positive strength, `(n,)`."""
    return np.asarray(_strengths(dataset) > 0)


def _strengths(dataset: Dataset) -> NDArray[np.float32]:
    log = dataset.log
    names, weights = dataset.event_names, dataset.event_weights
    return event_strengths(log.event, log.value, log.quantity, names, weights, rating_scale(log))


def _undamped(dataset: Dataset, half_life: float | None) -> Histories:
    log = dataset.log
    ages = ((dataset.as_of - log.occurred_at) / DAY_MS).astype(np.float32)
    shape = (dataset.n_subjects, dataset.n_items)
    strength, bought = _strengths(dataset), purchases(dataset)
    return histories(log.subject, log.item, strength, ages, shape, half_life, bought)
