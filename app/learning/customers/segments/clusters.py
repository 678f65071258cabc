"""Groups of points: k-means, agglomerative clustering (AGNES) and DBSCAN.

k-means: Lloyd (1982) from k-means++ (Arthur and Vassilvitskii 2007). AGNES: Kaufman and Rousseeuw (1990).
DBSCAN: Ester, Kriegel, Sander and Xu (1996); its eps by the knee of the k-distance curve, found as by
Satopää, Albrecht, Irwin and Raghavan (2011).
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Floats = NDArray[np.float64]
Labels = NDArray[np.int32]
Linkage = Literal["ward", "average", "complete"]

_NEARER = 0.98
"""Share of the customers whose k-distances make the curve."""

_LEAST_EPS = 1e-6
_MANY = 10_000


def k_means_centres(points: Floats, numbers: range, rng: np.random.Generator) -> Iterator[Floats]:
    """For each number of segments its centres, `(k, n_features)`."""
    from sklearn.cluster import KMeans

    # Of many points each start ends in about the same place.
    starts = 4 if len(points) < _MANY else 2
    for k in numbers:
        model = KMeans(n_clusters=k, n_init=starts, random_state=int(rng.integers(2**31)))
        yield np.asarray(model.fit(points).cluster_centers_, dtype=np.float64)


def agglomerative_centres(points: Floats, numbers: range, how: Linkage) -> Iterator[Floats]:
    """For each number of segments the means of the tree's branches, `(at most k, n_features)`."""
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(points, method=how)
    for k in numbers:
        labels = fcluster(tree, k, criterion="maxclust") - 1
        sums = np.column_stack([np.bincount(labels, weights=column) for column in points.T])
        yield sums / np.bincount(labels)[:, None]


def nearest(points: Floats, centres: Floats) -> Labels:
    """The nearest centre of each point, the first of equally near ones.

    Distances are taken pair by pair, so that a point's label does not depend on which others it comes with.
    """
    return np.asarray(np.argmin(cdist(points, centres, "sqeuclidean"), axis=1), dtype=np.int32)


def dense_cores(points: Floats, min_neighbours: int, eps: float) -> tuple[Floats, Labels]:
    """Core points of DBSCAN and their groups, the larger group first; none where nothing is dense."""
    from sklearn.cluster import DBSCAN

    model = DBSCAN(eps=eps, min_samples=min_neighbours).fit(points)
    cores = np.asarray(model.core_sample_indices_, dtype=np.int64)
    if len(cores) == 0:
        return points[:0], np.empty(0, dtype=np.int32)
    owner = np.asarray(model.labels_)[cores]
    order = np.argsort(-np.bincount(owner), kind="stable")
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order))
    return points[cores], place[owner]


def knee_distance(points: Floats, min_neighbours: int) -> float:
    """eps: the k-distance at the knee, where the curve is farthest below the line between its ends.

    The curve is taken without the farthest customers, who would stretch it and move the knee out to them."""
    from sklearn.neighbors import NearestNeighbors

    model = NearestNeighbors(n_neighbors=min(min_neighbours, len(points))).fit(points)
    curve = np.sort(model.kneighbors(points)[0][:, -1])[: max(1, int(_NEARER * len(points)))]
    rise = curve[-1] - curve[0]
    below = np.linspace(0.0, 1.0, len(curve)) - (curve - curve[0]) / (rise if rise > 0 else 1.0)
    # Where customers come in a few kinds, most have all their neighbours at no distance.
    return max(float(curve[np.argmax(below)]) if rise > 0 else float(curve[-1]), _LEAST_EPS)
