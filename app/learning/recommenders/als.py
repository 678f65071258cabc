"""Factors of users and items fitted in turn to what was and was not chosen (implicit ALS)."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array

from app.learning.dataset import Dataset, Histories
from app.learning.recommenders.base import Arrays, Config, Family, Scores
from app.learning.recommenders.evidence import Evidence, Selective
from app.learning.recommenders.item_vectors import ItemVectors
from app.learning.recommenders.sparse import aged, most_recent, narrow, shared_histories

Floats = NDArray[np.floating[Any]]
_GATHERED = 262_144
"""Factor values that are gathered at once: they stay in the cache of a core over all steps."""
_LONGEST = 4_000_000
"""Factor values of a row that are gathered once; of a longer one, part by part for each step."""
_SHORTEST = 0.7
"""Length of the shortest row that is padded to the length of another."""
_STEPS = 3
"""Conjugate-gradient steps of an update; it starts from the factors of the round before."""
_FOLD_IN_STEPS = 8
"""In double precision: rounded to single, they carry errors on to the fourth digit of a score."""


class ALSConfig(Config):
    factors: int = Field(default=64, ge=1, le=1024)
    """Length of the factors."""
    epochs: int = Field(default=12, ge=1, le=200)
    """Rounds; in each, users and items are fitted once."""
    regularization: float = Field(default=0.01, gt=0.0)
    """Ridge, scaled by how often a user or item occurs."""
    unobserved_weight: float = Field(default=0.1, gt=0.0, le=1.0)
    """Weight of an item that was not chosen, beside 1 of one that was."""
    half_life: float | None = Field(default=None, gt=0.0)
    """Days after which an event counts half in what is learned; None: all count alike."""
    recency: float | None = Field(default=None, gt=0.0)
    """Days after which an item counts half in the history that is scored; None: all count alike."""
    max_history: int = Field(default=500, ge=2)
    """Most recent items of a subject that are learned from."""


@dataclass(frozen=True)
class ALS(Selective):
    """Item factors, and what folding a history in takes."""

    config: ALSConfig
    factors: ItemVectors
    """`(n_items, factors)`."""

    @cached_property
    def _unobserved(self) -> Floats:
        """What all items add to the system of a fold-in, `(factors, factors)`: read once, not by request."""
        vectors = self.factors.vectors
        return np.asarray(self.config.unobserved_weight * (vectors.T @ vectors), dtype=np.float64)

    def score(self, histories: Histories) -> Scores:
        return self.factors.scores(self._folded_in(histories))

    def evidence(self, histories: Histories) -> Evidence:
        return self.factors.evidence(self._folded_in(histories)[0])

    def evidences(self, histories: Histories) -> list[Evidence]:
        return self.factors.evidences(self._folded_in(histories))

    def _folded_in(self, histories: Histories) -> Floats:
        """Factors of the histories, `(n_batch, factors)`."""
        known = self.factors.columns(narrow(aged(histories, self.config.recency)))
        vectors = np.asarray(self.factors.vectors)
        ridge = _ridge(self.config, np.diff(known.indptr), len(vectors))
        if len(histories) == 1:
            mine = vectors[known.indices].astype(np.float64)
            solved = _folded_in_alone(mine, known.data, self._unobserved, ridge[0])[None, :]
        else:
            start = np.zeros((len(histories), vectors.shape[1]))
            bundles = _bundles(known, vectors.shape[1])
            solved = _solve(bundles, vectors, self._unobserved, ridge, start, _FOLD_IN_STEPS)
        return solved.astype(np.float32)

    def contributions(self, histories: Histories, items: NDArray[np.int32]) -> Scores:
        """`y_i' W y_j r_j` for item i and entry j, with `W` the inverse of what the fold-in solves.

        Hu, Koren & Volinsky (2008), section 5. The rows sum to the score of an exact fold-in, to which that
        of `score` comes near in few steps.
        """
        known = histories.matrix.indices
        weights = aged(histories, self.config.recency).data
        mine = np.asarray(self.factors.of_items(known), dtype=np.float64)
        system = self._unobserved + mine.T @ mine
        system[np.diag_indices_from(system)] += _ridge(
            self.config, np.array([len(known)]), len(self.factors.items)
        )
        solved = np.linalg.solve(system, (mine * weights[:, None]).T)
        return np.asarray(self.factors.of_items(items) @ solved, dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return self.factors.arrays()

    @classmethod
    def from_arrays(cls, config: ALSConfig, arrays: Arrays) -> Self:
        return cls(config, ItemVectors.from_arrays(arrays, "factors"))


def fit(config: ALSConfig, dataset: Dataset, rng: np.random.Generator) -> ALS:
    """Alternate least squares over all pairs, the unobserved ones through one Gram matrix.

    Hu, Koren & Volinsky (2008), with the regularisation scaled by frequency of Rendle et al. (2022) and
    conjugate gradients of Takács, Pilászy & Tikk (2011). Raises `NotEnoughData` where no subject has two
    items.
    """
    matrix = most_recent(shared_histories(dataset, config.half_life), config.max_history)
    matrix = narrow(csr_array(matrix[np.flatnonzero(np.diff(matrix.indptr))]))
    transposed = narrow(csr_array(matrix.T))
    scale = 0.1 / np.sqrt(config.factors)
    users = rng.normal(0.0, scale, (matrix.shape[0], config.factors)).astype(np.float32)
    items = rng.normal(0.0, scale, (matrix.shape[1], config.factors)).astype(np.float32)
    user_ridge = _ridge(config, np.diff(matrix.indptr), matrix.shape[1])
    item_ridge = _ridge(config, np.diff(transposed.indptr), matrix.shape[0])
    by_user, by_item = _bundles(matrix, config.factors), _bundles(transposed, config.factors)
    for _ in range(config.epochs):
        gram = config.unobserved_weight * (items.T @ items)
        users = _solve(by_user, items, gram, user_ridge, users, _STEPS)
        gram = config.unobserved_weight * (users.T @ users)
        items = _solve(by_item, users, gram, item_ridge, items, _STEPS)
    return ALS(config, ItemVectors.of(items))


def _ridge(config: ALSConfig, observed: NDArray[np.integer], others: int) -> Floats:
    """Ridge of each row, `(n,)`."""
    return np.asarray(
        config.regularization * (observed + config.unobserved_weight * others), dtype=np.float32
    )


@dataclass(frozen=True)
class _Bundle:
    """Rows of about the same length, padded to the longest."""

    rows: NDArray[np.int64]
    indices: NDArray[np.int32]
    """`(n_rows, length)`; column 0 where a row has ended."""
    values: Floats
    """`(n_rows, length)`."""
    stored: Floats
    """`(n_rows, length)`: 1 for an entry, 0 where the row has ended."""


def _bundles(matrix: csr_array, factors: int) -> list[_Bundle]:
    """The rows that have entries, longest first, in bundles of about `_GATHERED` factor values."""
    lengths = np.diff(matrix.indptr)
    order = np.argsort(-lengths, kind="stable")
    ascending = -lengths[order]
    # A row that has ended reads any entry; it is not counted.
    last = max(0, matrix.nnz - 1)
    bundles: list[_Bundle] = []
    first, end = 0, int(np.searchsorted(ascending, 0))
    while first < end:
        length = -int(ascending[first])
        shortest = np.searchsorted(ascending, -max(1, int(_SHORTEST * length)), side="right")
        stop = min(first + max(1, _GATHERED // (length * factors)), int(shortest))
        rows = order[first:stop]
        place = np.arange(length)
        entry = np.minimum(matrix.indptr[rows][:, None] + place, last)
        stored = (place < lengths[rows][:, None]).astype(np.float32)
        bundles.append(_Bundle(rows, matrix.indices[entry], matrix.data[entry] * stored, stored))
        first = stop
    return bundles


def _solve(
    bundles: list[_Bundle], fixed: Floats, gram: Floats, ridge: Floats, start: Floats, steps: int
) -> Floats:
    """Factors of the rows, given those of the columns, by conjugate gradients; zero without entries.

    In the precision of `start`.
    """
    solution = np.zeros_like(start)
    for bundle in bundles:
        solution[bundle.rows] = _descend(
            bundle, fixed, gram, ridge[bundle.rows, None], start[bundle.rows], steps
        )
    return solution


def _descend(
    bundle: _Bundle, fixed: Floats, gram: Floats, ridge: Floats, solution: Floats, steps: int
) -> Floats:
    """Steps from `solution` `(n_rows, factors)`, over all rows of a bundle at once."""
    length, factors = bundle.indices.shape[1], fixed.shape[1]
    width = max(1, _LONGEST // factors)
    parts = [slice(first, first + width) for first in range(0, length, width)]
    precision = solution.dtype
    held = fixed[bundle.indices].astype(precision, copy=False) if len(parts) == 1 else None

    def observed(direction: Floats, less: Floats | None = None) -> Floats:
        """For each row the sum over its entries of `(less - fixed_i · direction) fixed_i`."""
        total = np.zeros_like(direction)
        for part in parts:
            theirs = fixed[bundle.indices[:, part]].astype(precision, copy=False) if held is None else held
            dots = np.matmul(theirs, direction[:, :, None])[:, :, 0]
            weights = dots if less is None else less[:, part] - dots
            total += np.matmul((weights * bundle.stored[:, part])[:, None, :], theirs)[:, 0, :]
        return total

    residual = observed(solution, bundle.values)
    residual -= solution @ gram + ridge * solution
    direction = residual.copy()
    power = np.vecdot(residual, residual)
    for step in range(steps):
        image = observed(direction)
        image += direction @ gram
        image += ridge * direction
        length_of_step = (power / np.maximum(np.vecdot(direction, image), 1e-20))[:, None]
        solution += length_of_step * direction
        if step == steps - 1:
            break
        residual -= length_of_step * image
        before, power = power, np.vecdot(residual, residual)
        direction *= (power / np.maximum(before, 1e-20))[:, None]
        direction += residual
    return solution


def _folded_in_alone(mine: Floats, values: Floats, gram: Floats, ridge: np.floating[Any]) -> Floats:
    """Factors `(factors,)` of one history, whose items have the factors `mine` `(n_known, factors)`.

    The steps of `_descend` from nothing, without the room that many rows need.
    """
    solution = np.zeros(mine.shape[1])
    residual = values @ mine
    direction, power = residual.copy(), float(residual @ residual)
    for _ in range(_FOLD_IN_STEPS):
        image = (mine @ direction) @ mine + gram @ direction + ridge * direction
        length_of_step = power / max(float(direction @ image), 1e-20)
        solution += length_of_step * direction
        residual -= length_of_step * image
        before, power = power, float(residual @ residual)
        direction = residual + power / max(before, 1e-20) * direction
    return solution


SPACE = {
    "regularization": (0.03, 0.003),
    "factors": (128,),
    "unobserved_weight": (0.3, 1.0, 0.03),
    "half_life": (30.0, 90.0, 10.0),
    "recency": (90.0, 30.0, 10.0),
}

FAMILY = Family("als", "collaborative", ALSConfig, fit, ALS, SPACE)
