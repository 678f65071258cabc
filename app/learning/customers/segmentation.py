"""Segments of customers by clustering: k-means, agglomerative, DBSCAN, and k-means over tastes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.learning.customers.features import FeatureTable
from app.learning.customers.segments import identity
from app.learning.customers.segments.budget import Budget, budget
from app.learning.customers.segments.clusters import agglomerative_centres, k_means_centres
from app.learning.customers.segments.contrast import contrast
from app.learning.customers.segments.model import (
    OUTLIER,
    UNKNOWN,
    Segmentation,
    SegmentationConfig,
    chosen_features,
    label_customers,
)
from app.learning.customers.segments.names import distinctions, segment_names, taste_names
from app.learning.customers.segments.scaling import Scaling, direction_only, fit_scaling
from app.learning.customers.segments.search import Clusters, search_centres, search_density, settle
from app.learning.recommenders.base import NotEnoughData

__all__ = ["OUTLIER", "UNKNOWN", "Former", "Segmentation", "SegmentationConfig", "fit_segmentation"]

Floats = NDArray[np.float64]

_LEAST_USERS = 10
_USUAL = (
    *("recency_days", "tenure_days", "interactions", "active_days", "median_gap_days", "distinct_items"),
    *("frequency", "monetary", "purchase_value", "views_per_purchase", "refund_share", "recent_share"),
)
"""Each fact of a customer once; the table's other features are windows and ratios of these."""


@dataclass(frozen=True)
class Former:
    """The segmentation of the run before, and whom it was of."""

    segmentation: Segmentation
    keys: NDArray[np.int64]
    """Key of each user, all different, `(n_users,)`: the rows of its labels."""


def fit_segmentation(
    config: SegmentationConfig,
    features: FeatureTable,
    rng: np.random.Generator,
    keys: NDArray[np.int64] | None = None,
    former: Former | None = None,
) -> Segmentation:
    """Raises `NotEnoughData` below ten known users, or where there are fewer kinds of them than segments.

    Segments that `former` (of the same kind) had already keep their ids and names: by their members where
    `keys`, `(n_users,)`, says who the users are, else by their centres.
    """
    names = config.features
    if not names and config.kind != "taste":
        names = tuple(name for name in _USUAL if name in features.names)
    if names and names != features.names:
        features = chosen_features(features, names)
    rows = np.flatnonzero(features.known)
    if len(rows) < _LEAST_USERS:
        raise NotEnoughData(f"segments need {_LEAST_USERS} users with interactions, there are {len(rows)}")
    if former is not None and former.segmentation.kind != config.kind:
        former = None
    pairs = config.kind in ("agglomerative", "dbscan")
    plan = budget(config.memory_mb, len(rows), len(features.names), config.max_segments, pairs)
    sample = rows if plan.rows == len(rows) else np.sort(rng.choice(rows, plan.rows, replace=False))
    values = features.values[sample]
    scaling = direction_only(len(features.names)) if config.kind == "taste" else fit_scaling(values)
    points = scaling.apply(values)
    clusters = _search(config, points, plan, former, rng)
    if config.kind in ("kmeans", "taste") and len(sample) < len(rows):

        def parts() -> Iterator[Floats]:
            for start in range(0, len(rows), plan.chunk):
                yield scaling.apply(features.values[rows[start : start + plan.chunk]])

        centres = settle(clusters.points, parts, len(rows))
        clusters = Clusters(centres, clusters.owner, clusters.reach, clusters.quality)
    made = _ordered(config.kind, features, scaling, clusters, len(sample))
    return made if former is None else _as_before(made, former, keys, config.same_from)


def _search(
    config: SegmentationConfig,
    points: Floats,
    plan: Budget,
    former: Former | None,
    rng: np.random.Generator,
) -> Clusters:
    kinds = len(np.unique(points, axis=0))
    most = min(config.max_segments, kinds, len(points) - 1)
    if kinds < 2 or (config.kind != "dbscan" and most < config.min_segments):
        raise NotEnoughData(
            f"{config.min_segments} segments need users who differ: {len(points)} users are of {kinds} kinds"
        )
    chosen = rng.choice(len(points), min(config.silhouette_sample, len(points)), replace=False)
    if config.kind == "dbscan":
        used = int((np.ptp(points, axis=0) > 0).sum())
        return search_density(points, config.min_neighbours or max(5, used + 1), chosen, plan.silhouette_mb)
    numbers = range(config.min_segments, most + 1)
    if config.kind == "agglomerative":
        candidates = agglomerative_centres(points, numbers, config.linkage)
    else:
        candidates = k_means_centres(points, numbers, rng)
    before = len(former.segmentation.ids) if former is not None else None
    return search_centres(points, candidates, chosen, plan.silhouette_mb, config.min_share, before)


def _ordered(
    kind: str, features: FeatureTable, scaling: Scaling, clusters: Clusters, sampled: int
) -> Segmentation:
    """The model with its segments by size, then by centre, so that their numbers mean something."""
    n_segments = int(clusters.owner.max()) + 1
    labels = label_customers(features, scaling, clusters)
    sizes = np.bincount(labels[labels >= 0], minlength=n_segments)
    first = np.stack([clusters.points[clusters.owner == number][0] for number in range(n_segments)])
    order = np.lexsort((*np.round(first.T[::-1], 9), -sizes))
    order = order[sizes[order] > 0]
    place = np.full(n_segments, -1, dtype=np.int32)
    place[order] = np.arange(len(order))
    owner = place[clusters.owner]
    kept = owner >= 0
    # By segment, so that equally near points are decided the same way for everyone, now and later.
    by_segment = np.flatnonzero(kept)[np.argsort(owner[kept], kind="stable")]
    clusters = replace(clusters, points=clusters.points[by_segment], owner=owner[by_segment])
    labels = label_customers(features, scaling, clusters)
    rows = np.flatnonzero(labels != UNKNOWN)
    found = contrast(features.values, rows, labels[rows], len(order), scaling.logged)
    if len(order) == 1:
        names = ["nearly all customers"]
    elif kind == "taste":
        names = taste_names(features.names, found)
    else:
        names = segment_names(distinctions(features.names, features.units, found, scaling.spread > 0))
    return Segmentation(
        kind=kind,
        names=features.names,
        units=features.units,
        scaling=scaling,
        clusters=clusters,
        labels=labels,
        found=found,
        ids=np.arange(1, len(order) + 1),
        segment_names=tuple(names),
        next_id=len(order) + 1,
        sampled=sampled,
    )


def _as_before(
    made: Segmentation, former: Former, keys: NDArray[np.int64] | None, threshold: float
) -> Segmentation:
    """The model with the ids and names of the former segments that are found again."""
    old = former.segmentation
    matched = None
    if keys is not None:
        now, then = identity.shared(keys, made.labels, former.keys, old.labels)
        matched = identity.match_by_members(now, then, len(made.ids), len(old.ids), threshold)
    if matched is None:
        matched = {}
        if old.names == made.names:
            spaces = [made.scaling.apply(model.found.centres) for model in (made, old)]
            matched = identity.match_by_centres(*spaces)
    ids, names, next_id = identity.name_again(
        matched, len(made.ids), old.ids.tolist(), old.segment_names, old.next_id, made.segment_names
    )
    return replace(made, ids=np.array(ids, dtype=np.int64), segment_names=tuple(names), next_id=next_id)
