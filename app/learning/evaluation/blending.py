"""Weights of a blend, learned from what users did next.

Apart from `ranking.blend`, which serves with them: learning them takes top-k and metrics alike.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.ranking.blend import Blend
from app.learning.ranking.top_k import top_k
from app.learning.recommenders.base import Scores

_STEPS: Final = (0.5, 0.3, 0.2, 0.1, 0.05)
_LEAST_WEIGHT: Final = 0.02
_LEAST_GAIN: Final = 1e-5
"""What a change of weights must gain in mean nDCG; less is a tie, and ties go to fewer families."""

_SPARED: Final = 0.003
"""Share of the quality that may be given up so that fewer families are asked."""


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
    allowed: NDArray[np.bool_] | None
    """Items that may be recommended, `(n_batch, n_items)`; None: all."""


def collect_candidates(batches: Iterable[ScoreBatch], per_family: int = 100) -> Candidates:
    """The union of each family's best items for each user; batches in the order of the users."""
    families: tuple[str, ...] = ()
    items: list[NDArray[np.int32]] = []
    scores: list[Scores] = []
    for batch in batches:
        families = tuple(batch.scores)
        best = np.hstack([top_k(dense, per_family, batch.allowed)[0] for dense in batch.scores.values()])
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


def learn_blend(
    candidates: Candidates, relevant: csr_array, rng: np.random.Generator, n: int = 10, bags: int = 8
) -> Blend:
    """Weights that maximise the users' mean nDCG@n: the mean of what is best for `bags` halves of them.

    For each half, greedy forward from the best single family with steps that become finer (Caruana et al.
    2004, "Ensemble selection from libraries of models"). One search over few users takes chance for quality
    where many families are alike; the mean of several does not (bagging, ibid.). `relevant` is
    `(n_users, n_items)`; `bags` 1: one search over all users. Equal values go to fewer families, then to the
    earlier one.
    """
    if bags == 1:
        return _named(candidates.families, _greedy(_Quality(candidates, relevant, n)))
    count = len(candidates.items)
    total = np.zeros(len(candidates.families))
    for _ in range(bags):
        rows = np.sort(rng.permutation(count)[: max(1, count // 2)])
        part = Candidates(candidates.families, candidates.items[rows], candidates.scores[rows])
        total += _greedy(_Quality(part, csr_array(relevant[rows]), n))
    return _named(candidates.families, _sparing(_Quality(candidates, relevant, n), total / bags))


def _named(families: tuple[str, ...], weights: NDArray[np.float64]) -> Blend:
    """The blend of the weights that are not too small."""
    kept = np.where(weights >= _LEAST_WEIGHT, weights, 0.0)
    kept /= kept.sum()
    return Blend({families[family]: float(kept[family]) for family in np.flatnonzero(kept)})


def _sparing(quality: "_Quality", weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights without families that hardly matter: each costs time at every request."""
    least = (1 - _SPARED) * quality.of(quality.together(weights))
    while np.count_nonzero(weights) > 1:
        fewer = []
        for family in np.flatnonzero(weights):
            rest = np.where(np.arange(len(weights)) == family, 0.0, weights)
            fewer.append(rest / rest.sum())
        values = [quality.of(quality.together(rest)) for rest in fewer]
        best = int(np.argmax(values))
        if values[best] < least:
            break
        weights = fewer[best]
    return weights


def _greedy(quality: "_Quality") -> NDArray[np.float64]:
    """Weights of the families, `(n_families,)`, summing to 1."""
    count = quality.n_families
    weights, total, value = np.eye(count)[0], quality.alone(0), -1.0
    for family in range(count):
        single = quality.of(quality.alone(family))
        if single > value + _LEAST_GAIN:
            weights, total, value = np.eye(count)[family], quality.alone(family), single
    for step in _STEPS:
        while True:
            moves = [quality.of((1 - step) * total + step * quality.alone(f)) for f in range(count)]
            best = int(np.argmax(moves))
            if moves[best] <= value + _LEAST_GAIN:
                break
            weights = (1 - step) * weights + step * np.eye(count)[best]
            total, value = (1 - step) * total + step * quality.alone(best), moves[best]
    for family in np.argsort(weights, kind="stable"):
        rest = np.where(np.arange(count) == family, 0.0, weights)
        if not 0 < weights[family] < 1:
            continue
        rest /= rest.sum()
        without = quality.of(quality.together(rest))
        if weights[family] < _LEAST_WEIGHT or without >= value - _LEAST_GAIN:
            weights, value = rest, without
    return np.asarray(weights, dtype=np.float64)


class _Quality:
    """Mean nDCG@n of the users' candidates under any scores of them."""

    def __init__(self, candidates: Candidates, relevant: csr_array, n: int) -> None:
        # Family by family, each in one piece: `alone` is asked for thousands of times.
        self._scores = np.ascontiguousarray(candidates.scores.transpose(1, 0, 2), dtype=np.float64)
        self.n_families = len(candidates.families)
        self._n = min(n, candidates.items.shape[1])
        # Candidates are in item order: ties between them go to the earlier one, as ties between items do.
        order = np.arange(candidates.items.shape[1]) * 1e-12
        self._least = np.where(candidates.items < 0, np.inf, order)
        users = np.repeat(np.arange(len(candidates.items)), np.diff(relevant.indptr))
        wanted = np.sort(users * np.int64(relevant.shape[1]) + relevant.indices)
        keys = np.arange(len(candidates.items))[:, None] * np.int64(relevant.shape[1]) + candidates.items
        places = np.minimum(np.searchsorted(wanted, keys), max(0, len(wanted) - 1))
        found = wanted[places] == keys if len(wanted) else np.zeros(keys.shape, dtype=np.bool_)
        self._hits = np.nonzero(found & (candidates.items >= 0))
        self._gains = 1 / np.log2(np.arange(2, n + 2))
        ideal = np.concatenate([[1.0], np.cumsum(self._gains)])
        self._ideal = ideal[np.minimum(np.diff(relevant.indptr), n)]

    def alone(self, family: int) -> NDArray[np.float64]:
        """Scores of one family, `(n_users, n_candidates)`."""
        return np.asarray(self._scores[family])

    def together(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores under weights of the families, `(n_users, n_candidates)`."""
        return np.asarray(np.einsum("f,fuc->uc", weights, self._scores))

    def of(self, scores: NDArray[np.float64]) -> float:
        """Mean nDCG@n of the lists by these scores."""
        losses = self._least - scores
        best = np.partition(losses, self._n - 1, axis=1)[:, : self._n]
        users, places = self._hits
        reached = losses[users, places]
        listed = reached <= best.max(axis=1)[users]
        users, reached = users[listed], reached[listed]
        ranks = np.count_nonzero(best[users] < reached[:, None], axis=1)
        return float((self._gains[ranks] / self._ideal[users]).sum() / len(losses))


def _distinct(items: NDArray[np.int32]) -> NDArray[np.int32]:
    """Each row's distinct items, ascending, -1 at the end."""
    largest = np.iinfo(np.int32).max
    ordered = np.sort(np.where(items < 0, largest, items), axis=1)
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = largest
    ordered.sort(axis=1)
    width = int((ordered < largest).sum(axis=1).max(initial=0))
    ordered = ordered[:, :width]
    return np.where(ordered == largest, -1, ordered).astype(np.int32)
