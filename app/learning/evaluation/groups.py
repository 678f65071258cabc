"""Users by how much is known of them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.learning.evaluation.metrics import Floats, bootstrap_interval

GROUPS: Final = {"new": (1, 2), "light": (3, 5), "medium": (6, 20), "heavy": (21, 2**31)}
"""Least and most items in the history."""
LEAST_FOR_INTERVAL: Final = 10
"""Members without whom an interval would only seem to say something."""


def members_of_groups(known: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Each group that has members, and who they are; `known` is `(n_users,)`, items in the history."""
    for name, (least, most) in GROUPS.items():
        members = (known >= least) & (known <= most)
        if members.any():
            yield name, members


def ndcg_by_group(
    known: NDArray[np.int64], ndcg: Mapping[str, Floats], rng: np.random.Generator
) -> dict[str, dict[str, Any]]:
    """Of each group the number of users and, by prefix of the names, mean nDCG with its 95 % interval.

    The interval is None for a group of fewer than ten.
    `ndcg` has the values `(n_users,)` of each model that is compared, by the prefix of its figures.
    """
    groups: dict[str, dict[str, Any]] = {}
    for name, members in members_of_groups(known):
        groups[name] = {"users": int(members.sum())}
        for prefix, values in ndcg.items():
            groups[name][f"{prefix}ndcg"] = float(values[members].mean())
            enough = groups[name]["users"] >= LEAST_FOR_INTERVAL
            interval = list(bootstrap_interval(values[members], rng)) if enough else None
            groups[name][f"{prefix}ndcg_interval"] = interval
    return groups
