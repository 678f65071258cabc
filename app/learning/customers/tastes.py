"""Segments by taste: k-means over the main directions of what customers like, named by what they prefer."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from app.learning.customers.features import FeatureTable
from app.learning.customers.segmentation import Former, Segmentation, SegmentationConfig, fit_segmentation
from app.learning.customers.segments.contrast import Contrast, contrast
from app.learning.customers.segments.names import distinctions, taste_names
from app.learning.customers.segments.taste import category_shares, taste_table
from app.learning.dataset import Dataset, Histories
from app.learning.parts import joined, part_of
from app.learning.preferences import dataset_histories
from app.learning.recommenders.base import NotEnoughData
from app.learning.recommenders.truncated_svd import TruncatedSVD, TruncatedSVDConfig
from app.learning.recommenders.truncated_svd import fit as fit_svd

_DIRECTIONS: Final = 16


@dataclass(frozen=True)
class Tastes:
    """Directions of taste, the segments in their space, and what each segment prefers."""

    directions: TruncatedSVD
    segmentation: Segmentation
    labels: tuple[str, ...]
    """Categories (or items, in a shop without categories) by which segments are told apart."""
    found: Contrast
    """Shares of them in what the members like."""

    def assign(self, histories: Histories) -> NDArray[np.int32]:
        """The segment of each history, `(n_batch,)`; negative: none."""
        return self.segmentation.assign(_table(self.directions, histories, len(histories)))

    def describe(self) -> dict[str, Any]:
        """All but the members, as plain values for JSON."""
        said = self.segmentation.describe()
        counts = np.ones(len(self.labels), dtype=np.bool_)
        marks = distinctions(self.labels, ("share",) * len(self.labels), self.found, counts)
        for place, segment in enumerate(said["segments"]):
            liked = [mark for mark in marks[place] if mark.difference > 0]
            segment["centre"] = dict(zip(self.labels, self.found.means[place].tolist(), strict=True))
            segment["distinguishing"] = [mark.describe() for mark in liked]
            segment["sets_apart"] = [mark.says for mark in liked]
        return said | {"units": dict.fromkeys(self.labels, "share")}

    def arrays(self) -> dict[str, NDArray[Any]]:
        parts = {
            "directions": self.directions.arrays(),
            "segments": self.segmentation.arrays(),
            "found": self.found.arrays(),
        }
        return joined(parts) | {"labels": np.array(self.labels, dtype=np.str_)}

    @classmethod
    def from_arrays(cls, config: SegmentationConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(
            TruncatedSVD.from_arrays(TruncatedSVDConfig(), part_of(arrays, "directions")),
            Segmentation.from_arrays(config, part_of(arrays, "segments")),
            tuple(arrays["labels"].tolist()),
            Contrast.from_arrays(part_of(arrays, "found")),
        )


def fit_tastes(
    config: SegmentationConfig, dataset: Dataset, rng: np.random.Generator, former: Former | None
) -> Tastes:
    """Segments of kind "taste". Raises `NotEnoughData`, as `fit_segmentation` does.

    The directions differ from run to run, so former segments are known again by their members alone.
    """
    directions = fit_svd(TruncatedSVDConfig(factors=_DIRECTIONS), dataset, rng)
    if directions.directions.vectors.shape[1] < 2:
        raise NotEnoughData("segments by taste need customers of different tastes; all like the same")
    table = _table(directions, dataset_histories(dataset), dataset.n_users)
    made = fit_segmentation(config, table, rng, dataset.user_keys, former)
    liked = _liked(dataset)
    rows = np.flatnonzero(made.labels >= 0)
    logged = np.zeros(len(liked.names), dtype=np.bool_)
    found = contrast(liked.values, rows, made.labels[rows], len(made.ids), logged)
    fresh = 1 if former is None else former.segmentation.next_id
    names = _named(made, taste_names(liked.names, found), fresh)
    return Tastes(directions, replace(made, segment_names=names), liked.names, found)


def _named(made: Segmentation, preferred: list[str], fresh: int) -> tuple[str, ...]:
    """New segments by what they prefer; those found again keep their names."""
    names = [
        name if number < fresh else ""
        for number, name in zip(made.ids.tolist(), made.segment_names, strict=True)
    ]
    for place, name in enumerate(preferred):
        if names[place]:
            continue
        unnumbered, number = name, 2
        while name in names:
            name, number = f"{unnumbered} ({number})", number + 1
        names[place] = name
    return tuple(names)


def _table(directions: TruncatedSVD, histories: Histories, n_users: int) -> FeatureTable:
    vectors = directions.project(histories.matrix[:n_users]).astype(np.float64)
    return taste_table(vectors, [f"direction {number + 1}" for number in range(vectors.shape[1])])


def _liked(dataset: Dataset) -> FeatureTable:
    """Shares of categories in what each customer likes; of items where the shop has no categories."""
    items = dataset.items
    if not any(items.categories):
        titles = [[title or f"item {number}"] for number, title in enumerate(items.title, 1)]
        dataset = replace(dataset, items=replace(items, categories=titles))
    weights = np.array([dataset.event_weights.get(name, 0.0) for name in dataset.event_names])
    return category_shares(dataset, weights)
