"""The search for segments in a sample of customers, and their centres' way to all customers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.learning.customers.segments.clusters import dense_cores, knee_distance, nearest
from app.learning.customers.segments.quality import indices, vote
from app.learning.recommenders.base import NotEnoughData

Floats = NDArray[np.float64]
Labels = NDArray[np.int32]

_PASSES = 10
"""Over all customers, to move the sample's centres into the middle of everyone's."""
_SETTLED = 0.001
"""Share of customers who still change their segment when the passes end."""


@dataclass(frozen=True)
class Clusters:
    """Points to which customers are assigned."""

    points: Floats
    """Centres, or the core points of DBSCAN, `(n_points, n_features)`."""
    owner: Labels
    """Segment of each point, `(n_points,)`."""
    reach: float
    """Distance beyond which a customer is in no segment."""
    quality: Floats
    """`(n_tried, 6)`, columns as in `quality.COLUMNS`."""


def search_centres(
    points: Floats,
    candidates: Iterable[Floats],
    silhouette_rows: NDArray[np.int64],
    working_mb: int,
    least_share: float,
    former: int | None,
) -> Clusters:
    """The candidate that wins the vote of the indices."""
    tried, rows = [], []
    for centres in candidates:
        labels = nearest(points, centres)
        tried.append(centres[np.unique(labels)])
        rows.append(indices(points, labels, silhouette_rows, working_mb))
    best, quality = vote(np.array(rows), least_share, former)
    centres = tried[best]
    return Clusters(centres, np.arange(len(centres), dtype=np.int32), np.inf, quality)


def search_density(
    points: Floats, min_neighbours: int, silhouette_rows: NDArray[np.int64], working_mb: int
) -> Clusters:
    """DBSCAN; raises `NotEnoughData` where no customer has enough others nearby."""
    eps = knee_distance(points, min_neighbours)
    cores, owner = dense_cores(points, min_neighbours, eps)
    if len(cores) == 0:
        raise NotEnoughData(f"DBSCAN needs customers with {min_neighbours} alike, no one has as many")
    # Customers who are exactly alike are one core point.
    cores, first = np.unique(cores, axis=0, return_index=True)
    found = Clusters(cores, owner[first], eps, np.empty((0, 6)))
    labels = nearest(points, cores)
    # Outliers are in no segment, so they do not count.
    inside = ((points - cores[labels]) ** 2).sum(axis=1) <= eps**2
    rows = np.flatnonzero(inside[silhouette_rows])
    place = np.cumsum(inside) - 1
    row = indices(points[inside], found.owner[labels[inside]], place[silhouette_rows[rows]], working_mb)
    quality = np.array([[*row, np.inf]]) if row[0] > 1 else found.quality
    return Clusters(found.points, found.owner, eps, quality)


def settle(centres: Floats, parts: Callable[[], Iterable[Floats]], n_customers: int) -> Floats:
    """Lloyd's passes over everyone, a part at a time, from the centres of a sample."""
    former = np.full(n_customers, -1, dtype=np.int32)
    for _ in range(_PASSES):
        sums, counts, changed, start = np.zeros_like(centres), np.zeros(len(centres)), 0, 0
        for part in parts():
            labels = nearest(part, centres)
            for number, column in enumerate(part.T):
                sums[:, number] += np.bincount(labels, weights=column, minlength=len(centres))
            counts += np.bincount(labels, minlength=len(centres))
            place = slice(start, start + len(part))
            changed += int((former[place] != labels).sum())
            former[place] = labels
            start += len(part)
        centres = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres)
        if changed <= _SETTLED * n_customers:
            break
    return centres
