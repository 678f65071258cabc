"""Decision trees and sums of them as arrays of nodes: scored, explained and read without scikit-learn.

Contributions along the path: Saabas (2014), "Interpreting random forests".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

_CELLS_AT_ONCE: Final = 500_000


@dataclass(frozen=True)
class Nodes:
    """The nodes of one tree; all `(n_nodes,)`."""

    feature: Ints
    """What is asked; -1 at a leaf."""
    threshold: Floats
    """Left if the feature is at most this."""
    left: Ints
    right: Ints
    value: Floats
    """Counts at leaves alone."""
    cover: Floats
    """Training rows that came here."""


@dataclass(frozen=True)
class Trees:
    """`start` plus the sum of the leaves that a row falls into; a log-odds if `logistic`."""

    feature: Ints
    """All nodes of all trees, `(n_nodes,)`; -1 at a leaf."""
    threshold: Floats
    left: Ints
    """Place of the node among all; of a leaf, its own, so that who has arrived stays."""
    right: Ints
    value: Floats
    """At inner nodes the mean of the leaves below."""
    cover: Floats
    roots: Ints
    """Place of the root of each tree, `(n_trees,)`."""
    start: float
    depth: int
    single: bool
    """Whether features are compared in single precision, as the fitting library did."""
    logistic: bool

    def predict(self, values: Floats) -> Floats:
        """Probability, or amount, `(n,)`."""
        score = np.empty(len(values))
        for part, rows in self._parts(values):
            node = np.tile(self.roots, (len(rows), 1))
            for _ in range(self.depth):
                node = self._step(node, rows)
            score[part] = self.start + self.value[node].sum(axis=1)
        return np.asarray(expit(score) if self.logistic else score)

    def contributions(self, values: Floats) -> Floats:
        """What each feature adds, against the mean of the training rows, `(n, n_features)`."""
        n_features = values.shape[1]
        added = np.zeros(values.shape)
        for part, rows in self._parts(values):
            node = np.tile(self.roots, (len(rows), 1))
            base = np.arange(len(rows))[:, None] * n_features
            for _ in range(self.depth):
                following = self._step(node, rows)
                cell = base + np.maximum(self.feature[node], 0)
                gain = self.value[following] - self.value[node]
                added[part] += np.bincount(cell.ravel(), gain.ravel(), rows.size).reshape(rows.shape)
                node = following
        return added

    def rules(self, labels: Sequence[str], units: Sequence[str]) -> list[dict[str, Any]]:
        """The leaves of the first tree as conditions for people, those with most rows first."""
        found: list[dict[str, Any]] = []
        # Below and above which a feature stays on the way: one condition each, however often it is asked.
        open_: list[tuple[int, dict[int, tuple[float, float]]]] = [(int(self.roots[0]), {})]
        while open_:
            node, bounds = open_.pop()
            feature = int(self.feature[node])
            if feature < 0:
                conditions = [
                    _condition(labels[place], units[place], low, high)
                    for place, (low, high) in sorted(bounds.items())
                ]
                value = self.start + float(self.value[node])
                found.append({"if": conditions, "value": value, "rows": round(float(self.cover[node]))})
                continue
            low, high = bounds.get(feature, (-np.inf, np.inf))
            threshold = float(self.threshold[node])
            open_.append((int(self.left[node]), {**bounds, feature: (low, min(high, threshold))}))
            open_.append((int(self.right[node]), {**bounds, feature: (max(low, threshold), high)}))
        return sorted(found, key=lambda rule: (-rule["rows"], rule["if"]))

    def _step(self, node: Ints, rows: Floats) -> Ints:
        feature = np.maximum(self.feature[node], 0)
        goes_left = np.take_along_axis(rows, feature, axis=1) <= self.threshold[node]
        return np.where(goes_left, self.left[node], self.right[node])

    def _parts(self, values: Floats) -> list[tuple[slice, Floats]]:
        if self.single:
            most = np.finfo(np.float32).max
            values = np.clip(values, -most, most).astype(np.float32)
        step = max(1, _CELLS_AT_ONCE // max(len(self.roots), values.shape[1]))
        parts = [slice(first, first + step) for first in range(0, len(values), step)]
        return [(part, values[part]) for part in parts]

    def arrays(self) -> dict[str, NDArray[Any]]:
        names = ("feature", "threshold", "left", "right", "value", "cover", "roots")
        return {name: getattr(self, name) for name in names} | {
            "start": np.array([self.start]),
            "depth": np.array([self.depth]),
            "single": np.array([self.single]),
            "logistic": np.array([self.logistic]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        names = ("feature", "threshold", "left", "right", "value", "cover", "roots")
        return cls(
            **{name: arrays[name] for name in names},
            start=float(arrays["start"][0]),
            depth=int(arrays["depth"][0]),
            single=bool(arrays["single"][0]),
            logistic=bool(arrays["logistic"][0]),
        )


def plant(trees: Sequence[Nodes], start: float, *, single: bool, logistic: bool) -> Trees:
    """One model of the trees."""
    sizes = [len(tree.feature) for tree in trees]
    roots = np.cumsum([0, *sizes[:-1]])
    feature = np.concatenate([tree.feature for tree in trees]).astype(np.int32)
    place = np.arange(len(feature))
    offset = np.repeat(roots, sizes)
    leaf = feature < 0
    left = np.where(leaf, place, np.concatenate([tree.left for tree in trees]) + offset)
    right = np.where(leaf, place, np.concatenate([tree.right for tree in trees]) + offset)
    value = np.concatenate([tree.value for tree in trees]).astype(np.float64)
    cover = np.concatenate([tree.cover for tree in trees]).astype(np.float64)
    levels = []
    inner = roots[~leaf[roots]]
    while len(inner):
        levels.append(inner)
        below = np.concatenate([left[inner], right[inner]])
        inner = below[~leaf[below]]
    for inner in reversed(levels):
        one, other = left[inner], right[inner]
        weighted = cover[one] * value[one] + cover[other] * value[other]
        value[inner] = weighted / (cover[one] + cover[other])
    return Trees(
        feature,
        np.where(leaf, 0.0, np.concatenate([tree.threshold for tree in trees])),
        left.astype(np.int32),
        right.astype(np.int32),
        value,
        cover,
        roots.astype(np.int32),
        start,
        len(levels),
        single,
        logistic,
    )


def _condition(label: str, unit: str, low: float, high: float) -> str:
    if unit == "yes or no":
        return f"{label}: {'yes' if low >= 0 else 'no'}"
    counted = "" if unit in ("", "currency") else f" {unit}"
    if low == -np.inf:
        return f"{label} at most {high:.4g}{counted}"
    if high == np.inf:
        return f"{label} above {low:.4g}{counted}"
    return f"{label} above {low:.4g} and at most {high:.4g}{counted}"
