"""Measure a model on held-out data, in batches of bounded memory."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import Histories
from app.learning.evaluation.metrics import coverage, mae, ranking_metrics, rmse
from app.learning.ranking.top_k import top_k
from app.learning.ratings.base import RatingModel, Ratings
from app.learning.recommenders.base import Scores

_SCORE_BYTES = 128 * 2**20
"""Bound on one batch's dense scores."""
_RATERS = 4096
"""Users whose ratings are predicted at once."""


@dataclass(frozen=True)
class TopNEvaluation:
    """How good a model's lists are."""

    per_user: dict[str, NDArray[np.float64]]
    """`(n_users,)` by measure, in the order of the users."""
    means: dict[str, float]
    coverage: float
    """Share of the catalogue in at least one list."""
    ranked: NDArray[np.int32]
    """The lists, `(n_users, n)`, padded with -1."""


@dataclass(frozen=True)
class RatingEvaluation:
    """How good predicted ratings are."""

    rmse: float
    mae: float
    within_std: float
    """Share of errors within one predicted standard deviation; .68 if they are normal and it is right."""
    n_ratings: int


def batches(n_rows: int, n_items: int, batch: int) -> list[slice]:
    """Slices of at most `batch` rows, fewer where their dense scores would pass 128 MB."""
    step = max(1, min(batch, _SCORE_BYTES // (4 * max(1, n_items))))
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def evaluate_top_n(
    score: Callable[[Histories], Scores],
    histories: Histories,
    users: NDArray[np.int64],
    relevant: csr_array,
    n: int,
    exclude_seen: bool,
    batch: int = 256,
) -> TopNEvaluation:
    """Rank all items for each of `users`, rows of `histories`; `relevant` is `(len(users), n_items)`.

    `exclude_seen` leaves out the items that the user had to do with. Raises `ValueError` without users.
    """
    if not len(users):
        raise ValueError("there is no user to evaluate")
    n_items = histories.matrix.shape[1]
    ranked = np.empty((len(users), n), dtype=np.int32)
    for part in batches(len(users), n_items, batch):
        known = histories.take(users[part])
        ranked[part] = top_k(score(known), n, known.unseen if exclude_seen else None)[0]
    per_user = ranking_metrics(ranked, relevant)
    means = {name: float(values.mean()) for name, values in per_user.items()}
    return TopNEvaluation(per_user, means, coverage(ranked, n_items), ranked)


def evaluate_ratings(model: RatingModel, known: Ratings, held_out: Ratings) -> RatingEvaluation:
    """Predict the held-out ratings from the known ones of the same rows.

    Raises `ValueError` without held-out ratings.
    """
    if not len(held_out):
        raise ValueError("there is no rating to predict")
    mean = np.empty(len(held_out), dtype=np.float32)
    std = np.empty(len(held_out), dtype=np.float32)
    rows = np.unique(held_out.row).astype(np.int64)
    place = np.searchsorted(rows, held_out.row)
    for start in range(0, len(rows), _RATERS):
        chosen = (place >= start) & (place < start + _RATERS)
        history = known.of_rows(rows[start : start + _RATERS])
        mean[chosen], std[chosen] = model.predict(
            history, place[chosen] - start, held_out.item[chosen].astype(np.int64)
        )
    within = float(np.mean(np.abs(mean - held_out.value) <= std))
    return RatingEvaluation(rmse(mean, held_out.value), mae(mean, held_out.value), within, len(held_out))
