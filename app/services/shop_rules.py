"""What the shop asks of one list: understood before anything is read, then applied to the catalogue."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from app.core.errors import InputError, InvalidInput
from app.learning.filtering.columns import Mask, Numbers, grown
from app.learning.filtering.conditions import Condition
from app.learning.filtering.item_fields import field_named
from app.learning.filtering.tree import Field
from app.learning.ranking.caps import Caps
from app.learning.ranking.worth import moves
from app.schemas.recommendations import RecommendationRequest
from app.schemas.shop_rules import Value
from app.services.catalogue import Catalogue
from app.services.item_columns import Held, Worth, worth_fields
from app.services.item_filters import Filters
from app.services.live import Live

Floats = NDArray[np.float32]
NO_VALUES = "No item that can be bought has a number in '{}': value has no effect."


@dataclass(frozen=True)
class ShopRules:
    """Filter, boosts and caps of a request, understood."""

    filter: Condition | None
    boosts: list[tuple[Condition, float]]
    caps: list[tuple[str, int]]
    value: Value | None = None
    refuses_at: str | None = None
    """Where in the request `value` is refused if its field holds no numbers; None: that is a warning.

    A change of an item must not empty the page of a scenario.
    """

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
        caps = [(field_named(Field(cap.field)), cap.at_most) for cap in request.caps]
        refuses_at = f"{at}/value/field" if request.scenario is None else None
        return cls(wanted, boosts, caps, request.value, refuses_at)

    @property
    def fields(self) -> set[str]:
        conditions = [condition for condition, _ in self.boosts]
        conditions += [] if self.filter is None else [self.filter]
        named = {name for name, _ in self.caps}
        named |= set() if self.value is None else worth_fields(self.value.field)
        return named.union(*(condition.fields for condition in conditions))


def reads_much(live: Live, request: RecommendationRequest, at: str = "") -> bool:
    """Whether a request names fields of items that this process has not read yet; raises InvalidInput."""
    if request.filter is None and not request.boost and not request.caps and request.value is None:
        return False
    return not live.catalogue.columns.ready(ShopRules.of(request, at).fields)


class AppliedRules:
    """The rules of a request over the items as they are at a moment.

    Raises InvalidInput for a value by a field that holds no numbers.
    """

    def __init__(
        self, connection: Connection, catalogue: Catalogue, rules: ShopRules, seen: int, now: int
    ) -> None:
        self._columns = columns = catalogue.columns
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
        self._at_most = [most for _, most in rules.caps]
        self.caps = Caps(self._at_most)
        self.warnings = columns.unknown_attributes(rules.fields)
        self.worth: Worth | None = None
        self.moves: Numbers | None = None
        """By what the value of each item multiplies its score, `(n,)`; None: nothing is moved."""
        self._unmoved = self._factors
        if rules.value is not None:
            field, available = rules.value.field, catalogue.available(now)
            self.worth = columns.worth(connection, field, available, seen)
            if self.worth.is_other and rules.refuses_at is not None:
                said = f"'{field}' is no number in any item"
                raise InvalidInput(f"{said}.", [InputError(rules.refuses_at, "value_field", said)])
            if np.isnan(self.worth.values[available]).all():
                self.warnings.append(NO_VALUES.format(field))
            self.moves = moves(self.worth.percentiles, rules.value.weight)
            n = len(self.moves)
            boosts = np.ones(n) if self._factors is None else self._factors
            self._factors = grown(boosts, n, 1.0).copy()
            self._factors[:n] *= self.moves

    def without_value(self) -> "AppliedRules":
        """The same for another list, in which the value moves nothing."""
        other = copy(self)
        other._factors, other.moves, other.caps = self._unmoved, None, Caps(self._at_most)
        return other

    @property
    def reorders(self) -> bool:
        """Whether any score is changed."""
        return self._factors is not None

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
