"""Segments of customers by k-means over their features, the number of segments chosen by silhouette.

Silhouette: Rousseeuw (1987). Reported beside it: Calinski and Harabasz (1974), Davies and Bouldin (1979).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

from app.learning.customers.features import FeatureTable
from app.learning.customers.segment_names import Distinction, distinctions, segment_names
from app.learning.recommenders.base import Config, NotEnoughData

Floats = NDArray[np.float64]
Labels = NDArray[np.int32]

_LEAST_USERS = 10
_MINI_BATCH_FROM = 50_000
_SKEWED = 1.0
_ALIKE = 0.999
"""Correlation from which two features are one."""
_ROWS_AT_ONCE = 100_000


class SegmentationConfig(Config):
    """Recipe of the segmentation."""

    min_segments: int = Field(default=2, ge=2, le=50)
    """Fewest segments to try."""
    max_segments: int = Field(default=10, ge=2, le=50)
    """Most segments to try."""
    silhouette_sample: int = Field(default=5000, ge=100, le=50_000)
    """Users on whom the silhouette is measured; its cost grows with the square."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.min_segments > self.max_segments:
            raise ValueError("min_segments must not be above max_segments")
        return self


@dataclass(frozen=True)
class Scaling:
    """From features to the space in which distances are taken."""

    logged: NDArray[np.bool_]
    """Features that are skewed, `(n_features,)`."""
    mean: Floats
    deviation: Floats
    """0 for a feature that counts for nothing: the same for all, or as good as equal to a later one."""

    def apply(self, values: Floats) -> Floats:
        """Standardised features, `(n, n_features)`."""
        divisor = np.where(self.deviation > 0, self.deviation, np.inf)
        return np.asarray((_logged(values, self.logged) - self.mean) / divisor)


@dataclass(frozen=True)
class Segmentation:
    """Segments, the largest first."""

    names: tuple[str, ...]
    """Features."""
    units: tuple[str, ...]
    scaling: Scaling
    labels: Labels
    """Segment of each user, `(n_users,)`; -1 where nothing is known."""
    standardised: Floats
    """Centres, `(n_segments, n_features)`; 0 is the mean of all users."""
    centres: Floats
    """Medians of the members, `(n_segments, n_features)`, in the features' units."""
    sizes: NDArray[np.int64]
    quality: Floats
    """For each number of segments tried: it, silhouette, Calinski-Harabasz and Davies-Bouldin, `(n, 4)`."""

    def assign(self, features: FeatureTable) -> Labels:
        """The nearest segment of each user, -1 where unknown. Raises `ValueError` for other features."""
        if features.names != self.names:
            raise ValueError("these are not the features that the segments were made from")
        labels = np.full(len(features.known), -1, dtype=np.int32)
        labels[features.known] = _nearest(
            self.scaling.apply(features.values[features.known]), self.standardised
        )
        return labels

    @property
    def distinguishing(self) -> list[list[Distinction]]:
        """For each segment the three features in which it differs most from all users."""
        return distinctions(self.names, self.units, self.standardised, self.centres)

    @property
    def segment_names(self) -> list[str]:
        """A short name of each segment, all different."""
        return segment_names(self.distinguishing)

    def describe(self) -> dict[str, Any]:
        """All but the labels, as plain values for JSON."""
        total = int(self.sizes.sum())
        segments = [
            {
                "segment": number,
                "name": name,
                "size": int(size),
                "share": int(size) / total,
                "centre": dict(zip(self.names, centre.tolist(), strict=True)),
                "distinguishing": [distinction.describe() for distinction in marks],
            }
            for number, (name, size, centre, marks) in enumerate(
                zip(self.segment_names, self.sizes, self.centres, self.distinguishing, strict=True)
            )
        ]
        quality = [
            {"segments": int(k), "silhouette": s, "calinski_harabasz": ch, "davies_bouldin": db}
            for k, s, ch, db in self.quality.tolist()
        ]
        units = dict(zip(self.names, self.units, strict=True))
        return {"segments": segments, "quality": quality, "units": units, "n_users": total}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "names": np.array(self.names, dtype=np.str_),
            "units": np.array(self.units, dtype=np.str_),
            "logged": self.scaling.logged,
            "mean": self.scaling.mean,
            "deviation": self.scaling.deviation,
            "labels": self.labels,
            "standardised": self.standardised,
            "centres": self.centres,
            "sizes": self.sizes,
            "quality": self.quality,
        }

    @classmethod
    def from_arrays(cls, config: SegmentationConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        rest = ("labels", "standardised", "centres", "sizes", "quality")
        return cls(
            tuple(arrays["names"].tolist()),
            tuple(arrays["units"].tolist()),
            Scaling(arrays["logged"], arrays["mean"], arrays["deviation"]),
            **{name: arrays[name] for name in rest},
        )


def fit_segmentation(
    config: SegmentationConfig, features: FeatureTable, rng: np.random.Generator
) -> Segmentation:
    """Raises `NotEnoughData` below ten known users, or where there are fewer kinds of them than segments."""
    values = features.values[features.known]
    if len(values) < _LEAST_USERS:
        raise NotEnoughData(f"segments need {_LEAST_USERS} users with interactions, there are {len(values)}")
    scaling = _scaling(values)
    points = scaling.apply(values)
    kinds = len(np.unique(points, axis=0))
    most = min(config.max_segments, kinds, len(points) - 1)
    if most < config.min_segments:
        raise NotEnoughData(f"segments need users who differ: {len(points)} users are of {kinds} kinds")
    sample = rng.choice(len(points), min(config.silhouette_sample, len(points)), replace=False)
    quality, best = [], None
    for k in range(config.min_segments, most + 1):
        centres = _cluster(points, k, rng)
        labels = _nearest(points, centres)
        silhouette = _silhouette(points[sample], labels[sample])
        if len(np.unique(labels)) > 1:
            separation = calinski_harabasz_score(points, labels), davies_bouldin_score(points, labels)
            quality.append((k, silhouette, *separation))
        if best is None or silhouette > best[0]:
            best = silhouette, centres
    assert best is not None  # noqa: S101
    return _ordered(features, scaling, values, points, best[1], np.array(quality, dtype=np.float64))


def _ordered(
    features: FeatureTable, scaling: Scaling, values: Floats, points: Floats, centres: Floats, quality: Floats
) -> Segmentation:
    """The model with its segments by size, then by centre, so that their numbers mean something."""
    sizes = np.bincount(_nearest(points, centres), minlength=len(centres))
    order = np.lexsort((*np.round(centres.T[::-1], 9), -sizes))
    centres = centres[order[sizes[order] > 0]]
    labels = _nearest(points, centres)
    medians = np.stack([np.median(values[labels == number], axis=0) for number in range(len(centres))])
    everyone = np.full(len(features.known), -1, dtype=np.int32)
    everyone[features.known] = labels
    counts = np.bincount(labels, minlength=len(centres)).astype(np.int64)
    return Segmentation(features.names, features.units, scaling, everyone, centres, medians, counts, quality)


def _scaling(values: Floats) -> Scaling:
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    divisor = np.where(deviation > 0, deviation, np.inf)
    logged = np.asarray((((values - mean) / divisor) ** 3).mean(axis=0) > _SKEWED)
    scaled = _logged(values, logged)
    scaling = Scaling(
        logged, scaled.mean(axis=0), np.where(np.ptp(values, axis=0) == 0, 0.0, scaled.std(axis=0))
    )
    points = scaling.apply(values)
    # Where a shop records purchases only, interactions are purchases and active days are purchase days: the
    # same fact must not count twice. The later feature is the more specific one.
    alike = np.triu(np.abs(points.T @ points) / len(points) > _ALIKE, k=1).any(axis=1)
    return Scaling(logged, scaling.mean, np.where(alike, 0.0, scaling.deviation))


def _logged(values: Floats, logged: NDArray[np.bool_]) -> Floats:
    """Logarithm of the skewed features, odd, because refunds can make a sum negative."""
    return np.where(logged, np.sign(values) * np.log1p(np.abs(values)), values)


def _cluster(points: Floats, k: int, rng: np.random.Generator) -> Floats:
    """Centres of k-means, `(k, n_features)`."""
    seed = int(rng.integers(2**31))
    if len(points) > _MINI_BATCH_FROM:
        model = MiniBatchKMeans(n_clusters=k, n_init=3, batch_size=4096, random_state=seed)
    else:
        model = KMeans(n_clusters=k, n_init=4, random_state=seed)
    return np.asarray(model.fit(points).cluster_centers_, dtype=np.float64)


def _nearest(points: Floats, centres: Floats) -> Labels:
    """The nearest centre of each point, the first of equally near ones."""
    labels = np.empty(len(points), dtype=np.int32)
    for start in range(0, len(points), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        labels[part] = np.argmin((centres**2).sum(axis=1) - 2 * points[part] @ centres.T, axis=1)
    return labels


def _silhouette(points: Floats, labels: Labels) -> float:
    """-1, the worst, where the sample is all in one segment or each user is a segment."""
    if not 2 <= len(np.unique(labels)) < len(points):
        return -1.0
    return float(silhouette_score(points, labels))
