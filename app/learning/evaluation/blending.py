"""Weights of a blend, learned from what users did next.

Apart from `ranking.blend`, which serves with them: learning them takes top-k and metrics alike.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.evaluation.metrics import ranking_metrics
from app.learning.ranking.blend import Blend
from app.learning.ranking.top_k import top_k
from app.learning.recommenders.base import Scores

_STEPS: Final = (0.5, 0.3, 0.2, 0.1, 0.05)
_LEAST_WEIGHT: Final = 0.02
_LEAST_GAIN: Final = 1e-5
"""What a change of weights must gain in mean nDCG; less is a tie, and ties go to fewer families."""
_EVALUATION_BYTES: Final = 64 * 2**20


@dataclass(frozen=True)
class Candidates:
    """The items that any family would put forward, so that weights can be tried without whole catalogues."""

    families: tuple[str, ...]
    items: NDArray[np.int32]
    """`(n_users, n_candidates)`, ascending, padded with -1 at the end."""
    scores: Scores
    """Normalised, `(n_users, n_families, n_candidates)`."""


@dataclass(frozen=True)
class ScoreBatch:
    """Dense scores of some users."""

    scores: Mapping[str, Scores]
    """Normalised scores `(n_batch, n_items)` by family."""
    seen: csr_array | None
    """Items not to recommend, `(n_batch, n_items)`; None where seen items may come again."""


def collect_candidates(batches: Iterable[ScoreBatch], per_family: int = 100) -> Candidates:
    """The union of each family's best items for each user; batches in the order of the users."""
    families: tuple[str, ...] = ()
    items: list[NDArray[np.int32]] = []
    scores: list[Scores] = []
    for batch in batches:
        families = tuple(batch.scores)
        allowed = None
        if batch.seen is not None:
            allowed = np.ones(batch.seen.shape, dtype=np.bool_)
            allowed[batch.seen.nonzero()] = False
        best = np.hstack([top_k(dense, per_family, allowed)[0] for dense in batch.scores.values()])
        union = _distinct(best)
        items.append(union)
        picked = [np.take_along_axis(dense, np.maximum(union, 0), axis=1) for dense in batch.scores.values()]
        scores.append(np.stack(picked, axis=1).astype(np.float32))
    if not items:
        raise ValueError("no users to collect candidates for")
    width = max(part.shape[1] for part in items)
    return Candidates(
        families,
        np.vstack([np.pad(p, ((0, 0), (0, width - p.shape[1])), constant_values=-1) for p in items]),
        np.concatenate([np.pad(p, ((0, 0), (0, 0), (0, width - p.shape[2]))) for p in scores]),
    )


def learn_blend(candidates: Candidates, relevant: csr_array, n: int = 10) -> Blend:
    """Weights that maximise the users' mean nDCG@n: greedy forward, with steps that become finer.

    Starts from the best single family and moves weight towards whichever family gains most (Caruana et al.
    2004, "Ensemble selection from libraries of models"); then drops what is not needed. `relevant` is
    `(n_users, n_items)`. Deterministic; equal values go to fewer families, then to the earlier one.
    """
    count = len(candidates.families)
    weights = np.eye(count)[0]
    value = -1.0
    for single in np.eye(count):
        quality = _quality(candidates, relevant, single, n)
        if quality > value + _LEAST_GAIN:
            weights, value = single, quality
    for step in _STEPS:
        while True:
            moves = [(1 - step) * weights + step * towards for towards in np.eye(count)]
            qualities = [_quality(candidates, relevant, move, n) for move in moves]
            best = int(np.argmax(qualities))
            if qualities[best] <= value + _LEAST_GAIN:
                break
            weights, value = moves[best], qualities[best]
    for family in np.argsort(weights, kind="stable"):
        rest = np.where(np.arange(count) == family, 0.0, weights)
        if not 0 < weights[family] < 1:
            continue
        rest /= rest.sum()
        quality = _quality(candidates, relevant, rest, n)
        if weights[family] < _LEAST_WEIGHT or quality >= value - _LEAST_GAIN:
            weights, value = rest, quality
    chosen = np.flatnonzero(weights > 0)
    return Blend({candidates.families[family]: float(weights[family]) for family in chosen})


def _quality(candidates: Candidates, relevant: csr_array, weights: NDArray[np.float64], n: int) -> float:
    """Mean nDCG@n of the users under the weights."""
    used = np.flatnonzero(weights)
    n_users, width = candidates.items.shape
    step = max(1, _EVALUATION_BYTES // (4 * max(1, width) * len(used)))
    total = 0.0
    for start in range(0, n_users, step):
        part = slice(start, start + step)
        combined = np.einsum("f,ufc->uc", weights[used].astype(np.float32), candidates.scores[part, used])
        items = candidates.items[part]
        # Candidates are in item order, so ties between positions are ties between items.
        places = top_k(combined, n, items >= 0)[0]
        ranked = np.where(places >= 0, np.take_along_axis(items, np.maximum(places, 0), axis=1), -1)
        total += float(ranking_metrics(ranked, csr_array(relevant[part]))["ndcg"].sum())
    return float(total / n_users)


def _distinct(items: NDArray[np.int32]) -> NDArray[np.int32]:
    """Each row's distinct items, ascending, -1 at the end."""
    largest = np.iinfo(np.int32).max
    ordered = np.sort(np.where(items < 0, largest, items), axis=1)
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = largest
    ordered.sort(axis=1)
    width = int((ordered < largest).sum(axis=1).max(initial=0))
    ordered = ordered[:, :width]
    return np.where(ordered == largest, -1, ordered).astype(np.int32)
