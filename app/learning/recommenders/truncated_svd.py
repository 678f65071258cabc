"""Histories projected on the main directions of taste (PureSVD)."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array, diags_array

from app.learning.dataset import Dataset, Histories
from app.learning.matrices import reweighted
from app.learning.recommenders.base import Arrays, Config, Family, Scores
from app.learning.recommenders.evidence import Evidence, Selective
from app.learning.recommenders.item_vectors import ItemVectors
from app.learning.recommenders.similarity import Moments
from app.learning.recommenders.sparse import aged, shared_histories


class TruncatedSVDConfig(Config):
    factors: int = Field(default=64, ge=1, le=1024)
    """Directions of taste; at most a quarter of the subjects and of the items, see `fit`."""
    normalisation: float = Field(default=0.5, ge=0.0, le=1.0)
    """Exponent of an item's norm that is left: 1 is plain PureSVD, less damps popular items."""
    half_life: float | None = Field(default=None, gt=0.0)
    """Days after which an event counts half in what is learned; None: all count alike."""
    recency: float | None = Field(default=None, gt=0.0)
    """Days after which an item counts half in the history that is scored; None: all count alike."""


@dataclass(frozen=True)
class TruncatedSVD(Selective):
    """Right singular vectors, one for each item, and column scales `(n_items,)`, float32."""

    recency: float | None
    directions: ItemVectors
    scale: NDArray[np.float32]

    def score(self, histories: Histories) -> Scores:
        return self.directions.scores(self.project(aged(histories, self.recency)))

    def evidence(self, histories: Histories) -> Evidence:
        return self.directions.evidence(self.project(aged(histories, self.recency))[0])

    def evidences(self, histories: Histories) -> list[Evidence]:
        return self.directions.evidences(self.project(aged(histories, self.recency)))

    def project(self, known: csr_array) -> NDArray[np.float32]:
        """Preferences `(n_batch, n_items)` on the directions, `(n_batch, factors)`."""
        weights = np.asarray(known.data * self.scale[known.indices], dtype=np.float32)
        if known.shape[0] == 1:
            return (weights @ self.directions.of_items(known.indices))[None, :]
        scaled = self.directions.columns(reweighted(known, weights))
        return np.asarray(scaled @ self.directions.vectors, dtype=np.float32)

    def contributions(self, histories: Histories, items: NDArray[np.int32]) -> Scores:
        known = histories.matrix.indices
        weights = aged(histories, self.recency).data * self.scale[known]
        parts = self.directions.of_items(items) @ self.directions.of_items(known).T * weights
        return np.asarray(parts, dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {**self.directions.arrays(), "scale": self.scale}

    @classmethod
    def from_arrays(cls, config: TruncatedSVDConfig, arrays: Arrays) -> Self:
        return cls(config.recency, ItemVectors.from_arrays(arrays, "directions"), arrays["scale"])


def fit(config: TruncatedSVDConfig, dataset: Dataset, rng: np.random.Generator) -> TruncatedSVD:
    """Find the main directions of the preferences.

    PureSVD (Cremonesi, Koren & Turrin 2010) by randomised SVD (Halko et al. 2011), the columns scaled by
    `norm ** (normalisation - 1)` as in EigenRec (Nikolakopoulos et al. 2019). Histories are scaled alike
    and scores stay in the scaled space. Raises `NotEnoughData` where no subject has two items.
    """
    from sklearn.utils.extmath import randomized_svd

    matrix = shared_histories(dataset, config.half_life).matrix
    matrix = csr_array(matrix[np.flatnonzero(np.diff(matrix.indptr))])
    norms = np.sqrt(Moments.of_columns(matrix).squares)
    scale = np.zeros_like(norms)
    np.power(norms, config.normalisation - 1.0, out=scale, where=norms > 0)
    # With as many factors as items the projection hands each history back, and recommends nothing.
    known = int((norms > 0).sum())
    factors = max(1, min(config.factors, matrix.shape[0] // 4, known // 4))
    _, singular, directions = randomized_svd(
        csr_array(matrix @ diags_array(scale.astype(np.float32))),
        n_components=factors,
        random_state=int(rng.integers(2**31)),
        flip_sign=False,
    )
    directions = directions[singular > 1e-5 * singular[0]]
    largest = np.abs(directions).argmax(axis=1)
    signs = np.sign(directions[np.arange(len(directions)), largest])
    aligned = np.asarray((directions * signs[:, None]).T, dtype=np.float32)
    return TruncatedSVD(config.recency, ItemVectors.of(aligned), scale.astype(np.float32))


SPACE = {
    "factors": (32, 128),
    "normalisation": (0.25, 0.75),
    "half_life": (90.0, 30.0),
    "recency": (90.0, 30.0),
}

FAMILY = Family("truncated_svd", "collaborative", TruncatedSVDConfig, fit, TruncatedSVD, SPACE)
