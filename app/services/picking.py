"""From scores to a list: the best first, then what is popular and new, by the rules of the shop."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sqlalchemy import Connection

from app.learning.ranking.blend import Blend
from app.learning.ranking.diversity import LOOKED_AT, diverse_order, likeness
from app.learning.ranking.top_k import top_k
from app.learning.recommenders.base import Scores
from app.learning.recommenders.content import Content
from app.learning.recommenders.registry import family_of
from app.services.live import Live, LiveModel
from app.services.popular import popular_scores
from app.services.shop_rules import AppliedRules

IMPERSONAL = frozenset({"popular", "trending", "latest"})
LEAST_PERSONAL = 1 / 3
"""Share of a score from which what is personal in it is named as its source."""
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
        scores: dict[str, Scores],
        rules: AppliedRules,
        n_items: int,
    ) -> None:
        combined = model.version.cold.lend(blend.combine(scores))
        came, lent = model.arrivals.lend(combined)
        # Another request may have taken in further items since.
        came, lent = came[came < n_items], lent[:, came < n_items]
        self.positions = np.concatenate([model.positions(live.catalogue), came])
        self.values = rules.boosted(np.hstack([combined, lent])[0], self.positions)
        content = model.version.recommenders.get("content")
        self.similarities: csr_array | None = content.similarities if isinstance(content, Content) else None
        self._shares: dict[str, NDArray[np.float32]] = {}
        for name, weight in blend.weights.items():
            source = family_of(name).source
            share = np.float32(weight) * scores[name][0]
            self._shares[source] = self._shares.get(source, np.float32(0)) + share

    def in_order(self, allowed: Mask, minimum: float, first: int) -> Iterator[tuple[int, float]]:
        """Indexes and scores of allowed items, the best first, of equals the one with the lower id first."""
        mask = allowed[self.positions] & (self.values > 0) & (self.values >= minimum)
        row = self.values[None, :]

        def best(n: int) -> list[tuple[int, float]]:
            chosen, found = top_k(row, min(n, len(self.values)), mask)
            pairs = zip(chosen[0].tolist(), found[0].tolist(), strict=True)
            return [(index, score) for index, score in pairs if index >= 0]

        return one_by_one(best, first)

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
        own = {name: share[index] for name, share in self._shares.items() if index < len(share)}
        return Pick(int(self.positions[index]), score, _source(own), by_models=True)

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

    def from_models(self, scored: Scored, allowed: Mask, minimum: float, diversity: float) -> None:
        """The best items for which any model has evidence."""
        if self.missing > 0:
            first = max(LOOKED_AT, self.missing) if diversity else self.missing
            ranked = scored.unlike(scored.in_order(allowed, minimum, first), diversity)
            self._take((scored.pick(index, score) for index, score in ranked), allowed)

    def fill(self, connection: Connection, allowed: Mask) -> None:
        """What is popular, then what is new, where the models had too little to say."""
        catalogue = self._live.catalogue
        if self.missing > 0:
            scores = self._rules.boosted(popular_scores(connection, self._live)[: len(allowed)])
            free = allowed[: len(scores)]
            popular = one_by_one(lambda n: catalogue.best(scores, free, n), self.missing)
            self._take((Pick(position, score, "popular") for position, score in popular), allowed)
        if self.missing > 0:
            latest = one_by_one(lambda n: catalogue.newest(allowed, n), self.missing)
            self._take((Pick(position, 0.0, "latest") for position in latest), allowed)

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


def one_by_one(first_of: Callable[[int], list[Entry]], first: int) -> Iterator[Entry]:
    """Entries in order, from a function that answers the first `n` of them; more only as they are needed."""
    n, done = first, 0
    while True:
        found = first_of(n)
        yield from found[done:]
        if len(found) < n:
            return
        n, done = 4 * n, len(found)


def _source(shares: dict[str, np.float32]) -> str:
    """What carried an item, by source: the most personal one, unless nearly all says nothing of the person.

    Nothing at all carried what inherits its place from items that are described like it.
    """
    carried = {name: float(share) for name, share in shares.items() if share > 0}
    if not carried:
        return "content"
    personal = {name: share for name, share in carried.items() if name not in IMPERSONAL}
    if sum(personal.values()) >= LEAST_PERSONAL * sum(carried.values()):
        carried = personal
    return max(carried, key=lambda name: (carried[name], name))
