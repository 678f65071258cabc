"""What the shop asks of one list: understood before anything is read, then applied to the catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from app.learning.filtering.columns import Mask, grown
from app.learning.filtering.conditions import Condition
from app.learning.filtering.item_fields import field_named
from app.learning.filtering.tree import Field
from app.learning.ranking.caps import Caps
from app.schemas.recommendations import RecommendationRequest
from app.services.item_columns import Held, ItemColumns
from app.services.item_filters import Filters
from app.services.live import Live

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ShopRules:
    """Filter, boosts and caps of a request, understood."""

    filter: Condition | None
    boosts: list[tuple[Condition, float]]
    caps: list[tuple[str, int]]

    @classmethod
    def of(cls, request: RecommendationRequest, at: str = "") -> "ShopRules":
        """Those of a request; raises InvalidInput with pointers that begin with `at`."""
        filters = Filters(request.parameters, at)
        wanted = None if request.filter is None else filters.understand(request.filter, "/filter")
        boosts = [
            (filters.understand(boost.filter, f"/boost/{place}/filter"), boost.weight)
            for place, boost in enumerate(request.boost)
        ]
        filters.end()
        return cls(wanted, boosts, [(field_named(Field(cap.field)), cap.at_most) for cap in request.caps])

    @property
    def fields(self) -> set[str]:
        conditions = [condition for condition, _ in self.boosts]
        conditions += [] if self.filter is None else [self.filter]
        return {name for name, _ in self.caps}.union(*(condition.fields for condition in conditions))


def reads_much(live: Live, request: RecommendationRequest, at: str = "") -> bool:
    """Whether a request names fields of items that this process has not read yet; raises InvalidInput."""
    if request.filter is None and not request.boost and not request.caps:
        return False
    return not live.catalogue.columns.ready(ShopRules.of(request, at).fields)


class AppliedRules:
    """The rules of a request over the items as they are now."""

    def __init__(self, connection: Connection, columns: ItemColumns, rules: ShopRules, seen: int) -> None:
        self._columns = columns
        self.passing: Mask | None = None
        """Which items pass the filter; None: all do."""
        if rules.filter is not None:
            self.passing = columns.passing(connection, rules.filter, seen)
        self._factors: NDArray[np.float64] | None = None
        for condition, weight in rules.boosts:
            matched = columns.passing(connection, condition, seen)
            if self._factors is None:
                self._factors = np.ones(len(matched))
            self._factors = grown(self._factors, len(matched), 1.0)
            self._factors[: len(matched)][matched] *= weight
        names = [name for name, _ in rules.caps]
        held = columns.held(connection, names, seen) if names else {}
        self._capped: list[Held] = [held[name] for name in names]
        self.caps = Caps([most for _, most in rules.caps])
        self.warnings = columns.unknown_attributes(rules.fields)

    def only_passing(self, allowed: Mask) -> Mask:
        """The allowed items that pass, an array of its own."""
        if self.passing is None:
            return allowed.copy()
        inside = np.zeros_like(allowed)
        n = min(len(allowed), len(self.passing))
        np.logical_and(allowed[:n], self.passing[:n], out=inside[:n])
        return inside

    def boosted(self, scores: Floats, positions: NDArray[np.int64] | None = None) -> Floats:
        """Scores `(n,)` of items times the weights of the boosts that match them; positive stays positive.

        Without `positions` the scores are those of the catalogue's first items.
        """
        if self._factors is None:
            return scores
        positions = np.arange(len(scores)) if positions is None else positions
        factors = np.ones(len(positions))
        known = positions < len(self._factors)
        factors[known] = self._factors[positions[known]]
        limits = np.finfo(np.float32)
        # No product of weights makes a score endless or nothing.
        sizes = np.clip(np.abs(scores) * factors, limits.tiny, limits.max)
        return np.where(scores == 0, 0, np.copysign(sizes, scores)).astype(np.float32)

    def groups_of(self, position: int) -> Sequence[Sequence[int]]:
        """Codes of an item's values in the field of each cap."""
        return [self._columns.groups(held, [position])[0] for held in self._capped]


def pinned(request: RecommendationRequest) -> dict[int, str]:
    """Item ids by the rank at which they are pinned, in order."""
    return {pin.position: pin.item_id for pin in sorted(request.pins, key=lambda pin: pin.position)}


def has_rules(request: RecommendationRequest) -> bool:
    """Whether anything may make the list shorter than the catalogue would."""
    rules: list[Any] = [request.filter is not None, request.caps, request.minimum_score is not None]
    return any(rules) or request.sources is not None
