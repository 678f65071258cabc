"""The recipe and the model of segments by clustering."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.spatial import KDTree

from app.learning.customers.features import FeatureTable
from app.learning.customers.segments.clusters import Linkage, nearest
from app.learning.customers.segments.contrast import Contrast
from app.learning.customers.segments.names import Distinction, distinctions
from app.learning.customers.segments.quality import VOTE, described
from app.learning.customers.segments.scaling import Scaling
from app.learning.customers.segments.search import Clusters
from app.learning.recommenders.base import Config

Floats = NDArray[np.float64]
Labels = NDArray[np.int32]

UNKNOWN, OUTLIER = -1, -2
"""Labels of customers in no segment: nothing is known of them; nobody is like them (DBSCAN)."""
_CHUNK = 50_000


class SegmentationConfig(Config):
    """Recipe of the segmentation."""

    kind: Literal["kmeans", "agglomerative", "dbscan", "taste"] = "kmeans"
    """Algorithm; `taste` is k-means by direction, for tables of what customers like."""
    features: tuple[str, ...] = ()
    """Features to compare customers by; none: the usual ones that there are, of tastes all."""
    min_segments: int = Field(default=2, ge=2, le=50)
    """Fewest segments to try."""
    max_segments: int = Field(default=12, ge=2, le=50)
    """Most segments to try."""
    min_share: float = Field(default=0.01, ge=0, le=0.2)
    """Least share of customers in a segment; a number of segments with a smaller one does not stand."""
    linkage: Linkage = "ward"
    """How far apart two groups are: Ward's variance, the average or the greatest distance."""
    min_neighbours: int | None = Field(default=None, ge=2, le=1000)
    """DBSCAN: customers within eps that make a dense place; none: one more than features, at least 5."""
    silhouette_sample: int = Field(default=3000, ge=100, le=50_000)
    """Users on whom the silhouette is measured; its cost grows with the square."""
    memory_mb: int = Field(default=512, ge=64, le=65_536)
    """Bound on the memory beside the features; it decides how many customers are sampled."""
    same_from: float = Field(default=0.5, gt=0, lt=1)
    """Overlap of members (Jaccard) above which a segment is the former one and keeps id and name."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.min_segments > self.max_segments:
            raise ValueError("min_segments must not be above max_segments")
        return self


def chosen_features(features: FeatureTable, names: Sequence[str]) -> FeatureTable:
    """The table with these columns; raises `ValueError` that names what is missing."""
    if missing := [name for name in names if name not in features.names]:
        raise ValueError(f"the segments are made from features that are missing here: {', '.join(missing)}")
    return features.columns(names)


def label_customers(features: FeatureTable, scaling: Scaling, clusters: Clusters) -> Labels:
    """Owner of the nearest point within reach, `(n_users,)`; `UNKNOWN` or `OUTLIER` where there is none."""
    labels = np.full(len(features.known), UNKNOWN, dtype=np.int32)
    rows = np.flatnonzero(features.known)
    tree = KDTree(clusters.points) if np.isfinite(clusters.reach) else None
    # A tree's bound is exclusive, eps is not.
    bound = float(np.nextafter(clusters.reach, np.inf))
    owner = np.append(clusters.owner, np.int32(OUTLIER))
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        points = scaling.apply(features.values[part])
        if tree is None:
            labels[part] = owner[nearest(points, clusters.points)]
        else:
            labels[part] = owner[tree.query(points, distance_upper_bound=bound)[1]]
    return labels


@dataclass(frozen=True)
class Segmentation:
    """Segments, the largest first; a customer is in the segment of the nearest point within reach."""

    kind: str
    names: tuple[str, ...]
    """Features."""
    units: tuple[str, ...]
    scaling: Scaling
    clusters: Clusters
    labels: Labels
    """Segment of each user, `(n_users,)`; `UNKNOWN` or `OUTLIER` for those in none."""
    found: Contrast
    ids: NDArray[np.int64]
    """Number of each segment, `(n_segments,)`: the same group keeps it from run to run."""
    segment_names: tuple[str, ...]
    """Name of each segment, all different, kept likewise."""
    next_id: int
    """The number of the next new segment; none is given twice."""
    sampled: int
    """Customers from whom the segments were learned."""

    @property
    def sizes(self) -> NDArray[np.int64]:
        return self.found.sizes

    @property
    def segment_ids(self) -> list[str]:
        """Ids as the API has them: kind and number."""
        return [f"{self.kind}-{number}" for number in self.ids.tolist()]

    def assign(self, features: FeatureTable) -> Labels:
        """The segment of each user; raises `ValueError` where a feature is missing that it was made from."""
        if features.names != self.names:
            features = chosen_features(features, self.names)
        return label_customers(features, self.scaling, self.clusters)

    @property
    def distinguishing(self) -> list[list[Distinction]]:
        """For each segment the three features in which it differs most from the others."""
        return distinctions(self.names, self.units, self.found, self.scaling.spread > 0)

    def describe(self) -> dict[str, Any]:
        """All but the labels, as plain values for JSON."""
        total = int((self.labels != UNKNOWN).sum())
        segments = [
            {
                "segment": number,
                "id": segment_id,
                "name": self.segment_names[number],
                "size": int(self.sizes[number]),
                "share": int(self.sizes[number]) / total,
                "centre": dict(zip(self.names, self.found.centres[number].tolist(), strict=True)),
                "distinguishing": [mark.describe() for mark in marks],
                "sets_apart": [mark.says for mark in marks],
            }
            for number, (segment_id, marks) in enumerate(
                zip(self.segment_ids, self.distinguishing, strict=True)
            )
        ]
        return {
            "kind": self.kind,
            "segments": segments,
            "quality": described(self.clusters.quality),
            "chosen_by": VOTE if self.clusters.reach == np.inf else None,
            "eps": self.clusters.reach if np.isfinite(self.clusters.reach) else None,
            "units": dict(zip(self.names, self.units, strict=True)),
            "n_users": total,
            "outliers": int((self.labels == OUTLIER).sum()),
            "sampled": self.sampled,
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "kind": np.array([self.kind], dtype=np.str_),
            "names": np.array(self.names, dtype=np.str_),
            "units": np.array(self.units, dtype=np.str_),
            "logged": self.scaling.logged,
            "middle": self.scaling.middle,
            "spread": self.scaling.spread,
            "direction": np.array([self.scaling.direction]),
            "points": self.clusters.points,
            "owner": self.clusters.owner,
            "reach": np.array([self.clusters.reach]),
            "quality": self.clusters.quality,
            "labels": self.labels,
            "ids": self.ids,
            "segment_names": np.array(self.segment_names, dtype=np.str_),
            "counts": np.array([self.next_id, self.sampled], dtype=np.int64),
            **self.found.arrays(),
        }

    @classmethod
    def from_arrays(cls, config: SegmentationConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        scaled = (arrays["logged"], arrays["middle"], arrays["spread"], bool(arrays["direction"][0]))
        reach = float(arrays["reach"][0])
        return cls(
            kind=str(arrays["kind"][0]),
            names=tuple(arrays["names"].tolist()),
            units=tuple(arrays["units"].tolist()),
            scaling=Scaling(*scaled),
            clusters=Clusters(arrays["points"], arrays["owner"], reach, arrays["quality"]),
            labels=arrays["labels"],
            found=Contrast.from_arrays(arrays),
            ids=arrays["ids"],
            segment_names=tuple(arrays["segment_names"].tolist()),
            next_id=int(arrays["counts"][0]),
            sampled=int(arrays["counts"][1]),
        )
