"""From scores to a list: the best first, then what is popular and new, by the rules of the shop."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from app.learning.filtering.columns import Mask
from app.learning.ranking.diversity import LOOKED_AT
from app.learning.recommenders.base import Scores
from app.services.live import Live
from app.services.popular import popular_scores, trending_scores
from app.services.scored import Indexes, Scored
from app.services.shop_rules import AppliedRules

_OF_NOBODY = (
    ("trending", "trending", trending_scores),
    ("popular", "popularity", popular_scores),
)
"""Sources for anybody, the families that learn them, and how they are counted without these."""
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Pick:
    """One item of the list, by its position in the catalogue."""

    position: int
    score: float
    source: str
    by_models: bool = False
    """Whether it stands here by the scores of the models."""


class Picking:
    """The list as it grows: `n` places, some of them given away."""

    def __init__(self, live: Live, rules: AppliedRules, pins: dict[int, Pick], n: int) -> None:
        self._live = live
        self._rules = rules
        self._pins = pins
        self._n = n
        self._picks: list[Pick] = []
        for pin in pins.values():
            rules.caps.count(rules.groups_of(pin.position))

    @property
    def missing(self) -> int:
        return self._n - len(self._picks) - len(self._pins)

    @property
    def picks(self) -> list[Pick]:
        """What was picked, with the pins at their ranks, or at the end of a list that is too short."""
        listed: list[Pick] = []
        rest, pins = iter(self._picks), dict(self._pins)
        while True:
            pick = pins.pop(len(listed) + 1, None) or next(rest, None)
            if pick is None:
                return [*listed, *pins.values()]
            listed.append(pick)

    def from_baskets(
        self, positions: NDArray[np.int64], strengths: Scores, allowed: Mask, minimum: float
    ) -> None:
        """What rules say is bought with the items of the list, by `strengths` `(n,)`, the strongest first."""
        if self.missing > 0:
            self._forbid_taken(allowed)
            found = np.flatnonzero(allowed[positions] & (strengths > 0))
            values = self._rules.boosted(strengths[found], positions[found])
            order = np.argsort(-values, kind="stable")
            order = order[values[order] >= minimum]
            self._take(positions[found[order]], values[order], "bought_together")

    def from_models(
        self,
        scored: Scored,
        allowed: Mask,
        minimum: float,
        diversity: float,
        sources: Collection[str] | None = None,
    ) -> None:
        """The best items for which any model has evidence, of the given sources."""
        if self.missing <= 0:
            return
        first = max(LOOKED_AT, self.missing) if diversity else self.missing
        self._forbid_taken(allowed)
        ranked = scored.in_order(allowed, minimum, first)
        for indexes, scores in scored.unlike(ranked, diversity, self.missing):
            if sources is not None:
                # An item that inherits its place has another source than the families that were asked.
                wanted = [source in sources for source in scored.sources(indexes)]
                indexes, scores = indexes[wanted], scores[wanted]
            tell = partial(_told_of, scored, indexes)
            self._take(scored.positions(indexes), scores, tell)
            if self.missing <= 0:
                return

    def fill(self, connection: Connection, allowed: Mask, sources: Collection[str] | None = None) -> None:
        """What is popular, then what is new, where the models had too little to say.

        With `sources` only of these; what is trending comes first where they name it.
        """
        wanted = ("popular", "latest") if sources is None else sources
        model = None if self._rules.reorders else self._live.current
        for source, family, scores_of in _OF_NOBODY:
            if self.missing <= 0 or source not in wanted:
                continue
            self._forbid_taken(allowed)
            ranked = None if model is None else model.ranked(family, self._live.catalogue)
            if ranked is not None:
                self._take_allowed(source, *ranked, allowed)
            else:
                scores = self._rules.boosted(scores_of(connection, self._live)[: len(allowed)])
                self._fill_by(source, scores, allowed)
        if self.missing > 0 and "latest" in wanted:
            self._forbid_taken(allowed)
            self._take_latest(allowed)

    def _take_allowed(self, source: str, positions: Indexes, scores: Scores, allowed: Mask) -> None:
        """The allowed ones of items that are in order."""
        first, size = 0, 64
        while first < len(positions) and self.missing > 0:
            part = np.flatnonzero(allowed[positions[first : first + size]]) + first
            self._take(positions[part], scores[part], source)
            first, size = first + size, 4 * size

    def _take_latest(self, allowed: Mask) -> None:
        """The newest; where value moves items, by 1 / place so that it counts as it does for scores."""
        catalogue, moves = self._live.catalogue, self._rules.moves
        scores = None
        if moves is not None:
            scores = (catalogue.newness(allowed) * moves[: len(allowed)]).astype(np.float32)

        def newest(n: int) -> list[int]:
            if scores is None:
                return catalogue.newest(allowed, n)
            return [position for position, _ in catalogue.best(scores, allowed, n)]

        for part in in_parts(newest, self.missing):
            positions = np.array(part, dtype=np.int64)
            self._take(positions, np.zeros(len(part), dtype=np.float32), "latest")
            if self.missing <= 0:
                return

    def _fill_by(self, source: str, scores: Scores, allowed: Mask) -> None:
        free = allowed[: len(scores)]
        for part in in_parts(lambda n: self._live.catalogue.best(scores, free, n), self.missing):
            positions = np.array([position for position, _ in part], dtype=np.int64)
            self._take(positions, scores[positions], source)
            if self.missing <= 0:
                return

    def _forbid_taken(self, allowed: Mask) -> None:
        """Allow no item that has its place."""
        taken = [pick.position for pick in (*self._pins.values(), *self._picks)]
        if taken:
            allowed[taken] = False

    def _take(
        self,
        positions: Indexes,
        scores: Scores,
        tell: str | Callable[[Indexes], list[str]],
    ) -> None:
        """The first ones of items, the best first, for which there is room.

        `tell` is their source, or a function from places among them to sources.
        """
        places = self._with_room(positions)
        if not len(places):
            return
        by_models = not isinstance(tell, str)
        sources = [tell] * len(places) if isinstance(tell, str) else tell(places)
        chosen = zip(positions[places].tolist(), scores[places].tolist(), sources, strict=True)
        self._picks += [Pick(position, score, source, by_models) for position, score, source in chosen]

    def _with_room(self, positions: Indexes) -> Indexes:
        """Places of the first ones for which there is room."""
        caps = self._rules.caps
        if not caps.any:
            return np.arange(max(0, min(self.missing, len(positions))))
        places: list[int] = []
        for place, position in enumerate(positions.tolist()):
            if len(places) >= self.missing:
                break
            groups = self._rules.groups_of(position)
            if caps.have_room(groups):
                caps.count(groups)
                places.append(place)
        return np.array(places, dtype=np.int64)


def in_parts(first_of: Callable[[int], list[Entry]], first: int) -> Iterator[list[Entry]]:
    """Entries in order, from a function that answers the first `n` of them; more only as they are needed."""
    n, done = first, 0
    while True:
        found = first_of(n)
        yield found[done:]
        if len(found) < n:
            return
        n, done = 4 * n, len(found)


def _told_of(scored: Scored, indexes: Indexes, places: Indexes) -> list[str]:
    return scored.sources(indexes[places])
