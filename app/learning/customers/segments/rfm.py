"""RFM: customers scored by how recently, how often and for how much they bought (Hughes 1994)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from app.learning.customers.features import FeatureTable
from app.learning.customers.segments.contrast import Contrast, contrast
from app.learning.customers.segments.names import distinctions
from app.learning.customers.segments.rfm_groups import GROUPS, group_table
from app.learning.recommenders.base import Config, NotEnoughData

Floats = NDArray[np.float64]
Labels = NDArray[np.int32]

_LEAST_BUYERS = 5
_SURE: Final = 0.999
"""How sure it must be that a distribution has moved, beside by how much."""
_RECENCY: Final = ("purchase_recency_days", "recency_days")
_FREQUENCY: Final = ("frequency", "active_days", "interactions")
RULE: Final = (
    "Boundaries are quintiles. They stay from run to run until the shares of customers between them have "
    "moved: a population stability index above the limit, and above what chance alone would give."
)


class RfmConfig(Config):
    """Recipe of RFM."""

    moved_from: float = Field(default=0.1, gt=0, le=1)
    """Population stability index above which former boundaries are given up (0.1 slight, 0.25 great)."""


@dataclass(frozen=True)
class Rfm:
    """Boundaries of the scores, and the groups of the customers they were fitted to."""

    names: tuple[str, ...]
    """Features: recency, frequency, and monetary where the shop's data has money."""
    units: tuple[str, ...]
    boundaries: Floats
    """Upper ends of the first four fifths, `(2 or 3, 4)`: a value on one belongs below it."""
    fifths: NDArray[np.int64]
    """Customers in each fifth when the boundaries were made, `(2 or 3, 5)`."""
    labels: Labels
    """Index into `GROUPS`, `(n_users,)`; -1 for who has bought nothing."""
    scores: NDArray[np.int8]
    """Recency, frequency, money of each user, `(n_users, 3)`, 1 to 5; 0 for who has bought nothing."""
    found: Contrast
    """Of the groups, `(len(GROUPS), …)`; a group may be empty."""

    @property
    def segment_ids(self) -> list[str]:
        return [f"rfm-{name.replace(' ', '-')}" for name in self.segment_names]

    @property
    def segment_names(self) -> list[str]:
        return [name for name, _ in GROUPS]

    @property
    def sizes(self) -> NDArray[np.int64]:
        return self.found.sizes

    def score(self, features: FeatureTable) -> NDArray[np.int8]:
        """Scores by the stored boundaries, `(n_users, 3)`. Without money the third repeats the second."""
        return _scores(features, self.names, self.boundaries)

    def assign(self, features: FeatureTable) -> Labels:
        """Group of each user, -1 without a purchase; raises `ValueError` where a feature is missing."""
        return _groups(self.score(features))

    def describe(self) -> dict[str, Any]:
        """All but the labels, as plain values for JSON; groups without customers are left out."""
        total = int((self.labels >= 0).sum())
        marks = distinctions(self.names, self.units, self.found, np.ones(len(self.names), dtype=np.bool_))
        segments = [
            {
                "segment": number,
                "id": self.segment_ids[number],
                "name": name,
                "meaning": meaning,
                "size": int(self.sizes[number]),
                "share": int(self.sizes[number]) / total,
                "centre": dict(zip(self.names, self.found.centres[number].tolist(), strict=True)),
                "distinguishing": [mark.describe() for mark in marks[number]],
                "sets_apart": [mark.says for mark in marks[number]],
            }
            for number, (name, meaning) in enumerate(GROUPS)
            if self.sizes[number]
        ]
        return {
            "kind": "rfm",
            "segments": segments,
            "quality": [],
            "chosen_by": RULE,
            "boundaries": dict(zip(self.names, self.boundaries.tolist(), strict=True)),
            "units": dict(zip(self.names, self.units, strict=True)),
            "n_users": total,
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "names": np.array(self.names, dtype=np.str_),
            "units": np.array(self.units, dtype=np.str_),
            "boundaries": self.boundaries,
            "fifths": self.fifths,
            "labels": self.labels,
            "scores": self.scores,
            **self.found.arrays(),
        }

    @classmethod
    def from_arrays(cls, config: RfmConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(
            tuple(arrays["names"].tolist()),
            tuple(arrays["units"].tolist()),
            arrays["boundaries"],
            arrays["fifths"],
            arrays["labels"],
            arrays["scores"],
            Contrast.from_arrays(arrays),
        )


def fit_rfm(config: RfmConfig, features: FeatureTable, former: Rfm | None = None) -> Rfm:
    """Scores and groups of who has bought; of all active customers where the shop records no purchase.

    Boundaries of `former` are kept by `RULE`, each feature for itself. Raises `NotEnoughData` below five
    customers, `ValueError` for a table without recency and frequency.
    """
    names = _names(features)
    units, columns = _columns(features, names)
    rows = np.flatnonzero(features.known & (columns[:, 1] > 0))
    if len(rows) < _LEAST_BUYERS:
        raise NotEnoughData(f"RFM needs {_LEAST_BUYERS} customers who bought, there are {len(rows)}")
    bounds, fifths = np.empty((len(names), 4)), np.empty((len(names), 5), dtype=np.int64)
    for place, name in enumerate(names):
        column = columns[rows, place]
        bounds[place] = np.quantile(column, [0.2, 0.4, 0.6, 0.8], method="inverted_cdf")
        fifths[place] = _counts(column, bounds[place])
        if former is not None and name in former.names:
            before = former.names.index(name)
            now = _counts(column, former.boundaries[before])
            if not moved(former.fifths[before], now, config.moved_from):
                bounds[place], fifths[place] = former.boundaries[before], former.fifths[before]
    logged = np.ones(len(names), dtype=np.bool_)
    scores = _scores(features, names, bounds)
    labels = _groups(scores)
    found = contrast(columns, rows, labels[rows], len(GROUPS), logged)
    return Rfm(names, units, bounds, fifths, labels, scores, found)


def moved(then: NDArray[np.int64], now: NDArray[np.int64], limit: float) -> bool:
    """Whether counts in bins, `(n_bins,)`, have another distribution.

    The population stability index of two samples of one distribution is about (1/n + 1/m) times a chi-square
    of n_bins - 1 degrees of freedom (Yurdakul and Naranjo 2020), so that few customers do not look like
    change. Half a customer stands in for an empty bin.
    """
    from scipy.stats import chi2

    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (then, now))
    index = float(((q - p) * np.log(q / p)).sum())
    chance = (1 / then.sum() + 1 / now.sum()) * float(chi2.ppf(_SURE, len(then) - 1))
    return bool(index > max(limit, chance))


def _scores(features: FeatureTable, names: tuple[str, ...], boundaries: Floats) -> NDArray[np.int8]:
    _, columns = _columns(features, names)
    bought = features.known & (columns[:, 1] > 0)
    scores = np.zeros((len(columns), 3), dtype=np.int8)
    for place in range(len(names)):
        fifth = _fifth(columns[:, place], boundaries[place])
        scores[:, place] = 5 - fifth if place == 0 else 1 + fifth
    if len(names) == 2:
        scores[:, 2] = scores[:, 1]
    return np.where(bought[:, None], scores, 0).astype(np.int8)


def _fifth(column: Floats, bounds: Floats) -> NDArray[np.int64]:
    """0 to 4. Equal values are in one fifth: the lowest of those that they spread over."""
    return np.searchsorted(bounds, column, side="left").astype(np.int64)


def _counts(column: Floats, bounds: Floats) -> NDArray[np.int64]:
    return np.bincount(_fifth(column, bounds), minlength=5).astype(np.int64)


def _groups(scores: NDArray[np.int8]) -> Labels:
    place = np.maximum(scores.astype(np.int64) - 1, 0)
    groups = group_table()[place[:, 0], place[:, 1], place[:, 2]]
    return np.where(scores[:, 0] > 0, groups, -1).astype(np.int32)


def _names(features: FeatureTable) -> tuple[str, ...]:
    """The features that there are: how often is days of purchase, else of activity; money if there is any."""

    def some(name: str) -> bool:
        return name in features.names and bool((features.column(name)[features.known] > 0).any())

    frequency = next((name for name in _FREQUENCY if some(name)), None)
    purchases = frequency == "frequency"
    recency = next((name for name in _RECENCY[0 if purchases else 1 :] if name in features.names), None)
    needed = {"recency_days": _RECENCY, "frequency": _FREQUENCY}
    for name, choices in needed.items():
        if not any(choice in features.names for choice in choices):
            raise ValueError(f"RFM needs the feature {name}")
    if frequency is None or recency is None:
        raise NotEnoughData("RFM needs customers who bought or visited, there are 0")
    return (recency, frequency, "monetary") if purchases and some("monetary") else (recency, frequency)


def _columns(features: FeatureTable, names: tuple[str, ...]) -> tuple[tuple[str, ...], Floats]:
    if missing := [name for name in names if name not in features.names]:
        raise ValueError(f"RFM was made from features that are missing here: {', '.join(missing)}")
    table = features.columns(names)
    return table.units, table.values
