"""Segments by rule: saved filters over features and attributes; a customer may be in several."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from app.learning.customers.features import FeatureTable
from app.learning.customers.segments.contrast import Contrast, contrast
from app.learning.customers.segments.names import distinctions
from app.learning.customers.segments.rule_language import parse_rule
from app.learning.customers.segments.rule_matching import Columns, columns_of, matches
from app.learning.customers.segments.scaling import skewed
from app.learning.recommenders.base import Config

_LOOKED_AT = 30_000
"""Customers by whom it is told whether a feature is skewed."""


class SavedFilter(Config):
    """One segment by rule."""

    segment: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    """Its id below the kind: `rule-<segment>`."""
    name: str = Field(min_length=1, max_length=200)
    filter: str
    """In the language of `rule_language`."""

    @field_validator("filter")
    @classmethod
    def _understood(cls, text: str) -> str:
        parse_rule(text)
        return text


class RuleSegmentsConfig(Config):
    """Recipe of all segments by rule."""

    filters: tuple[SavedFilter, ...] = ()

    @model_validator(mode="after")
    def _different(self) -> Self:
        names = [saved.segment for saved in self.filters]
        if len(set(names)) < len(names):
            raise ValueError("two filters have the same segment")
        return self


@dataclass(frozen=True)
class RuleSegments:
    """The filters, and whom each matched."""

    config: RuleSegmentsConfig
    names: tuple[str, ...]
    """Features."""
    units: tuple[str, ...]
    members: NDArray[np.bool_]
    """`(n_filters, n_users)`."""
    found: Contrast

    @property
    def segment_ids(self) -> list[str]:
        return [f"rule-{saved.segment}" for saved in self.config.filters]

    @property
    def segment_names(self) -> list[str]:
        return [saved.name for saved in self.config.filters]

    @property
    def sizes(self) -> NDArray[np.int64]:
        return self.found.sizes

    def assign(self, features: FeatureTable, attributes: Columns | None = None) -> NDArray[np.bool_]:
        """Whom each filter matches now, `(n_filters, n_users)`; raises `FilterError` for unknown names."""
        return _members(self.config, features, attributes)

    def describe(self) -> dict[str, Any]:
        """All but the members, as plain values for JSON."""
        total = self.members.shape[1]
        marks = distinctions(self.names, self.units, self.found, np.ones(len(self.names), dtype=np.bool_))
        segments = [
            {
                "segment": number,
                "id": self.segment_ids[number],
                "name": saved.name,
                "filter": saved.filter,
                "size": int(self.sizes[number]),
                "share": int(self.sizes[number]) / max(total, 1),
                "centre": dict(zip(self.names, self.found.centres[number].tolist(), strict=True)),
                "distinguishing": [mark.describe() for mark in marks[number]],
                "sets_apart": [mark.says for mark in marks[number]],
            }
            for number, saved in enumerate(self.config.filters)
        ]
        units = dict(zip(self.names, self.units, strict=True))
        return {"kind": "rule", "segments": segments, "quality": [], "units": units, "n_users": total}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "names": np.array(self.names, dtype=np.str_),
            "units": np.array(self.units, dtype=np.str_),
            "members": self.members,
            **self.found.arrays(),
        }

    @classmethod
    def from_arrays(cls, config: RuleSegmentsConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        names, units = tuple(arrays["names"].tolist()), tuple(arrays["units"].tolist())
        return cls(config, names, units, arrays["members"], Contrast.from_arrays(arrays))


def fit_rule_segments(
    config: RuleSegmentsConfig, features: FeatureTable, attributes: Columns | None = None
) -> RuleSegments:
    """Whom the filters match, and what sets them apart. Raises `FilterError` for a name that is not there.

    A segment may be empty. A customer of whom nothing is known can be in one by attributes; such customers
    count in its size, but not in what sets it apart.
    """
    members = _members(config, features, attributes)
    known = np.flatnonzero(features.known)
    logged = skewed(features.values[known[:: max(1, len(known) // _LOOKED_AT)]])
    inside = np.where(members[:, known], 0, -1).astype(np.int32)
    each = [contrast(features.values, known, labels, 1, logged) for labels in inside]
    n_features = len(features.names)
    empty = Contrast(np.empty(0, dtype=np.int64), *(np.empty((0, n_features)) for _ in range(4)))
    joined = {
        name: np.concatenate([array, *(one.arrays()[name] for one in each)])
        for name, array in empty.arrays().items()
    }
    joined["sizes"] = members.sum(axis=1, dtype=np.int64)
    return RuleSegments(config, features.names, features.units, members, Contrast.from_arrays(joined))


def _members(
    config: RuleSegmentsConfig, features: FeatureTable, attributes: Columns | None
) -> NDArray[np.bool_]:
    n_users = len(features.known)
    columns = columns_of(features, attributes)
    masks = np.zeros((len(config.filters), n_users), dtype=np.bool_)
    for number, saved in enumerate(config.filters):
        masks[number] = matches(parse_rule(saved.filter), columns, n_users)
    return masks
