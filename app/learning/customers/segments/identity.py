"""Which new segment is which former one, so that an id and a name stay with the same customers.

Overlap of members: Jaccard (1901), as for cluster stability in Hennig (2007), who calls a group dissolved
at 0.5. The assignment is Kuhn's (1955) Hungarian method.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Floats = NDArray[np.float64]
Labels = NDArray[np.int32]

_SHARED_EACH = 5
"""Shared customers for each segment that make overlap worth more than the place of centres."""
_WITHIN = 0.5
"""Share of the way to the nearest other centre within which a centre is still the same."""


def shared(
    keys: NDArray[np.int64], labels: Labels, former_keys: NDArray[np.int64], former_labels: Labels
) -> tuple[Labels, Labels]:
    """Segments, new and former, of the customers that are in one both times."""
    _, place, former_place = np.intersect1d(keys, former_keys, assume_unique=True, return_indices=True)
    now, then = labels[place], former_labels[former_place]
    both = (now >= 0) & (then >= 0)
    return now[both], then[both]


def match_by_members(
    now: Labels, then: Labels, n_now: int, n_then: int, threshold: float
) -> dict[int, int] | None:
    """Former segment of each new one whose Jaccard overlap is above the threshold.

    None where too few customers are in both.
    """
    if len(now) < _SHARED_EACH * max(n_now, n_then):
        return None
    joint = np.zeros((n_now, n_then))
    np.add.at(joint, (now, then), 1)
    union = joint.sum(axis=1, keepdims=True) + joint.sum(axis=0) - joint
    overlap = joint / np.maximum(union, 1)
    return {new: old for new, old in zip(*_assigned(-overlap), strict=True) if overlap[new, old] > threshold}


def match_by_centres(centres: Floats, former: Floats) -> dict[int, int]:
    """Former segment of each new one that lies less than half as far off as any other new one.

    Both are points of the same space, `(n, n_features)`. A single new segment has no other to be told from:
    it is the former one only if that was single too.
    """
    if len(centres) < 2:
        return {0: 0} if len(centres) == len(former) else {}
    distance = cdist(centres, former)
    between = cdist(centres, centres)
    np.fill_diagonal(between, np.inf)
    limit = _WITHIN * between.min(axis=1)
    return {
        new: old for new, old in zip(*_assigned(distance), strict=True) if distance[new, old] < limit[new]
    }


def name_again(
    matched: dict[int, int],
    n_segments: int,
    former_ids: Sequence[int],
    former_names: Sequence[str],
    next_id: int,
    fresh_names: Sequence[str],
) -> tuple[list[int], list[str], int]:
    """Ids and names of the new segments and the next free id; ids are never given twice."""
    ids, names = [], {new: former_names[old] for new, old in matched.items()}
    taken = set(names.values())
    for number in range(n_segments):
        if number in matched:
            ids.append(former_ids[matched[number]])
            continue
        ids.append(next_id)
        next_id += 1
        name, count = fresh_names[number], 2
        while name in taken:
            name = f"{fresh_names[number]} ({count})"
            count += 1
        names[number] = name
        taken.add(name)
    return ids, [names[number] for number in range(n_segments)], next_id


def _assigned(cost: Floats) -> tuple[list[int], list[int]]:
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(cost)
    return rows.tolist(), columns.tolist()
