"""From scores to a list: the best first, then what is popular and new, by the rules of the shop."""

from collections.abc import Callable, Collection, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sqlalchemy import Connection

from app.learning.ranking.blend import Blend, score_at
from app.learning.ranking.diversity import LOOKED_AT, diverse_order, likeness
from app.learning.ranking.top_k import top_k
from app.learning.recommenders.base import Scores
from app.learning.recommenders.content import Content
from app.learning.recommenders.evidence import Evidence
from app.learning.recommenders.registry import family_of
from app.services.live import Live, LiveModel
from app.services.popular import popular_scores, trending_scores
from app.services.shop_rules import AppliedRules

IMPERSONAL = frozenset({"popular", "trending", "latest"})
LEAST_PERSONAL = 1 / 3
"""Share of a score from which what is personal in it is named as its source."""
FEW_ALLOWED = 0.25
"""Share of the catalogue below which the allowed items are picked out before the best are found."""
MOST_SCORED = 0.25
"""Share of the items that have a score, from which all are partitioned rather than those picked out."""
SEEN_AMONG_BEST = 60
"""So many of the best may not be shown, before more of them have to be found."""
_OF_NOBODY = (
    ("trending", "trending", trending_scores),
    ("popular", "popularity", popular_scores),
)
"""Sources for anybody, the families that learn them, and how they are counted without these."""
Mask = NDArray[np.bool_]
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Pick:
    """One item of the list, by its position in the catalogue."""

    position: int
    score: float
    source: str
    by_models: bool = False
    """Whether it stands here by the scores of the models."""


class Scored:
    """What the models say of items: scores by index, positive where there is evidence."""

    def __init__(
        self,
        live: Live,
        model: LiveModel,
        blend: Blend,
        scores: dict[str, Scores | Evidence],
        rules: AppliedRules,
        n_items: int,
    ) -> None:
        combined = model.version.cold.lend(blend.combine(scores))
        came, lent = model.arrivals.lend(combined)
        self.positions = model.positions(live.catalogue)
        values = combined[0]
        if len(came):
            # Another request may have taken in further items since.
            inside = came < n_items
            self.positions = np.concatenate([self.positions, came[inside]])
            values = np.concatenate([values, lent[0, inside]])
        self._plain = values
        self.values = rules.boosted(values, self.positions)
        content = model.version.recommenders.get("content")
        self.similarities: csr_array | None = content.similarities if isinstance(content, Content) else None
        self._parts = [
            (family_of(name).source, np.float32(weight), scores[name])
            for name, weight in blend.weights.items()
        ]
        self._n_known = combined.shape[1]
        self._sources: dict[int, str] = {}

    def by(self, rules: AppliedRules) -> Self:
        """The same by other boosts."""
        other = copy(self)
        other.values = rules.boosted(self._plain, self.positions)
        return other

    def in_order(self, allowed: Mask, minimum: float, first: int) -> Iterator[tuple[int, float]]:
        """Indexes and scores of allowed items, the best first, of equals the one with the lower id first."""
        few = np.count_nonzero(allowed) < FEW_ALLOWED * len(allowed)
        passing = self.values >= least_score(minimum)
        count = int(np.count_nonzero(passing))
        row, scored = self.values, None
        if few or count < MOST_SCORED * len(row):
            # Most items of a large catalogue have no score at all: partitioning them takes longest.
            scored = np.flatnonzero(passing)
            if few:
                scored = scored[allowed[self.positions[scored]]]
            row, count = self.values[scored], len(scored)

        def best(n: int) -> list[tuple[int, float]]:
            places, found = top_k(row[None, :], min(n, count))
            chosen = places[0].astype(np.int64) if scored is None else scored[places[0]]
            self._tell(chosen)
            return list(zip(chosen.tolist(), found[0].tolist(), strict=True))

        # Of many that are allowed, the best are looked up one by one rather than all beforehand.
        positions = self.positions
        for index, score in one_by_one(best, first if few else 2 * first + SEEN_AMONG_BEST):
            if few or allowed[positions[index]]:
                yield index, score

    def unlike(self, ranked: Iterator[tuple[int, float]], diversity: float) -> Iterator[tuple[int, float]]:
        """The same, of which the best come so that each is unlike those before it."""
        if not diversity or self.similarities is None:
            yield from ranked
            return
        looked_at = [pair for pair, _ in zip(ranked, range(LOOKED_AT), strict=False)]
        alike = likeness(self.similarities, np.array([index for index, _ in looked_at], dtype=np.int64))
        scores = np.array([score for _, score in looked_at], dtype=np.float32)
        for place in diverse_order(scores, alike, diversity):
            yield looked_at[place]
        yield from ranked

    def pick(self, index: int, score: float) -> Pick:
        return Pick(int(self.positions[index]), score, self._sources[index], by_models=True)

    def _tell(self, indexes: NDArray[np.int64]) -> None:
        """Find out what carried these items; what none of the models knows is told by what it is like."""
        known = indexes[indexes < self._n_known]
        shares: dict[str, NDArray[np.float32]] = {}
        for source, weight, scores in self._parts:
            share = weight * score_at(scores, known)
            shares[source] = shares[source] + share if source in shares else share
        self._sources |= dict.fromkeys(indexes.tolist(), "content")
        self._sources |= dict(zip(known.tolist(), carriers(shares, len(known)), strict=True))

    def score_of(self, position: int) -> float:
        """The score of an item of the catalogue, 0 where no model knows it."""
        found = np.flatnonzero(self.positions == position)
        return float(self.values[found[0]]) if len(found) else 0.0


class Picking:
    """The list as it grows: `n` places, some of them given away."""

    def __init__(self, live: Live, rules: AppliedRules, pins: dict[int, Pick], n: int) -> None:
        self._live = live
        self._rules = rules
        self._pins = pins
        self._n = n
        self._picks: list[Pick] = []
        self._taken = {pin.position for pin in pins.values()}
        for position in self._taken:
            rules.caps.count(rules.groups_of(position))

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
            found = np.flatnonzero(allowed[positions] & (strengths > 0))
            values = self._rules.boosted(strengths[found], positions[found])
            order = np.argsort(-values, kind="stable")
            ranked = zip(positions[found[order]].tolist(), values[order].tolist(), strict=True)
            picks = (Pick(at, score, "bought_together") for at, score in ranked if score >= minimum)
            self._take(picks, allowed)

    def from_models(
        self,
        scored: Scored,
        allowed: Mask,
        minimum: float,
        diversity: float,
        sources: Collection[str] | None = None,
    ) -> None:
        """The best items for which any model has evidence, of the given sources."""
        if self.missing > 0:
            first = max(LOOKED_AT, self.missing) if diversity else self.missing
            ranked = scored.unlike(scored.in_order(allowed, minimum, first), diversity)
            picks = (scored.pick(index, score) for index, score in ranked)
            # An item that inherits its place has another source than the families that were asked.
            self._take((pick for pick in picks if sources is None or pick.source in sources), allowed)

    def fill(self, connection: Connection, allowed: Mask, sources: Collection[str] | None = None) -> None:
        """What is popular, then what is new, where the models had too little to say.

        With `sources` only of these; what is trending comes first where they name it.
        """
        wanted = ("popular", "latest") if sources is None else sources
        model = None if self._rules.reorders else self._live.current
        for source, family, scores_of in _OF_NOBODY:
            if self.missing <= 0 or source not in wanted:
                continue
            ranked = None if model is None else model.ranked(family, self._live.catalogue)
            if ranked is not None:
                self._take(_allowed_of(source, *ranked, allowed), allowed)
            else:
                scores = self._rules.boosted(scores_of(connection, self._live)[: len(allowed)])
                self._fill_by(source, scores, allowed)
        if self.missing > 0 and "latest" in wanted:
            latest = one_by_one(self._newest(allowed), self.missing)
            self._take((Pick(position, 0.0, "latest") for position in latest), allowed)

    def _newest(self, allowed: Mask) -> Callable[[int], list[int]]:
        """The `n` newest; where value moves items, by 1 / place so that it counts as it does for scores."""
        catalogue, moves = self._live.catalogue, self._rules.moves
        if moves is None:
            return lambda n: catalogue.newest(allowed, n)
        scores = (catalogue.newness(allowed) * moves[: len(allowed)]).astype(np.float32)
        return lambda n: [position for position, _ in catalogue.best(scores, allowed, n)]

    def _fill_by(self, source: str, scores: Scores, allowed: Mask) -> None:
        free = allowed[: len(scores)]
        ranked = one_by_one(lambda n: self._live.catalogue.best(scores, free, n), self.missing)
        self._take((Pick(position, score, source) for position, score in ranked), allowed)

    def _take(self, ranked: Iterator[Pick], allowed: Mask) -> None:
        """The first ones for which there is room; they are allowed no more."""
        caps, taken = self._rules.caps, []
        for pick in ranked:
            groups = self._rules.groups_of(pick.position)
            if pick.position in self._taken or not caps.have_room(groups):
                continue
            caps.count(groups)
            self._taken.add(pick.position)
            taken.append(pick.position)
            self._picks.append(pick)
            if self.missing <= 0:
                break
        allowed[taken] = False


def _allowed_of(source: str, positions: NDArray[np.int64], scores: Scores, allowed: Mask) -> Iterator[Pick]:
    """The allowed ones of items that are in order."""
    first, size = 0, 64
    while first < len(positions):
        part = slice(first, first + size)
        for at in np.flatnonzero(allowed[positions[part]]).tolist():
            yield Pick(int(positions[first + at]), float(scores[first + at]), source)
        first, size = first + size, 4 * size


def least_score(minimum: float) -> np.float32:
    """The lowest positive number of a score that is not below `minimum`."""
    kind = np.finfo(np.float32)
    if minimum > float(kind.max):
        return np.float32(np.inf)
    least = max(np.float32(minimum), kind.smallest_subnormal)
    return least if float(least) >= minimum else np.nextafter(least, np.float32(np.inf))


def one_by_one(first_of: Callable[[int], list[Entry]], first: int) -> Iterator[Entry]:
    """Entries in order, from a function that answers the first `n` of them; more only as they are needed."""
    n, done = first, 0
    while True:
        found = first_of(n)
        yield from found[done:]
        if len(found) < n:
            return
        n, done = 4 * n, len(found)


def carriers(shares: Mapping[str, NDArray[np.float32]], n: int) -> list[str]:
    """What carried each of `n` items, from what each source gave it, `(n,)` each.

    The most personal source, unless nearly all says nothing of the person. Nothing at all carried what
    inherits its place from items that are described like it: "content".
    """
    names = sorted(shares, reverse=True)  # of equal ones the last by name
    if not names or not n:
        return ["content"] * n
    given = np.maximum([shares[name] for name in names], 0)
    personal = given * np.array([[name not in IMPERSONAL] for name in names])
    enough = personal.sum(axis=0) >= LEAST_PERSONAL * given.sum(axis=0)
    most = np.where(enough, personal, given)
    best = most.argmax(axis=0)
    nothing = given.sum(axis=0) <= 0
    return ["content" if none else names[place] for place, none in zip(best, nothing, strict=True)]
