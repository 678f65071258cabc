"""What sets the members of one filter apart, at a cost that does not grow with the shop."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.learning.customers.features import FeatureTable
from app.learning.customers.segments.contrast import contrast
from app.learning.customers.segments.names import distinctions
from app.learning.customers.segments.scaling import skewed

_LOOKED_AT: Final = 20_000
"""Members, and others, by whom centres and differences are told; sizes are of all."""


def describe_members(features: FeatureTable, members: NDArray[np.bool_]) -> dict[str, Any]:
    """Size, share, centre and differences as plain values for JSON; `members` is `(n_users,)`.

    Who has no interactions counts in the size alone. Without a member who has some, there is no centre.
    """
    size = int(members.sum())
    said: dict[str, Any] = {
        "size": size,
        "share": size / max(len(members), 1),
        "centre": {},
        "distinguishing": [],
        "sets_apart": [],
    }
    known = np.asarray(features.known)
    inside, outside = _some(np.flatnonzero(members & known)), _some(np.flatnonzero(~members & known))
    if not len(inside):
        return said
    rows = np.concatenate([inside, outside])
    labels = np.repeat(np.array([0, -1], dtype=np.int32), [len(inside), len(outside)])
    values = features.values[rows]
    found = contrast(values, np.arange(len(rows)), labels, 1, skewed(values))
    said["centre"] = dict(zip(features.names, found.centres[0].tolist(), strict=True))
    if len(outside):
        (marks,) = distinctions(features.names, features.units, found, np.ones(len(features.names), np.bool_))
        said["distinguishing"] = [mark.describe() for mark in marks]
        said["sets_apart"] = [mark.says for mark in marks]
    return said


def _some(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Evenly spread ones where there are many."""
    if len(rows) <= _LOOKED_AT:
        return rows
    return rows[np.linspace(0, len(rows) - 1, _LOOKED_AT).astype(np.int64)]
