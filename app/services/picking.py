"""From scores to a list: the best first, then what is popular and new, by the rules of the shop."""

from collections.abc import Callable, Collection, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sqlalchemy import Connection

from app.learning.ranking.blend import Blend, score_at
from app.learning.ranking.diversity import LOOKED_AT, diverse_order, likeness
from app.learning.ranking.top_k import nth_best
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
HEAD = 64
"""Items at the head of what a blend says to anybody that are looked at besides those wanted."""
_OF_NOBODY = (
    ("trending", "trending", trending_scores),
    ("popular", "popularity", popular_scores),
)
"""Sources for anybody, the families that learn them, and how they are counted without these."""
Mask = NDArray[np.bool_]
Indexes = NDArray[np.integer]
Ranked = tuple[Indexes, Scores]
"""Indexes of items, the best first, and their scores."""
Best = Callable[[int], tuple[Indexes, Scores, bool]]
"""Answers the best `n` or more, and whether these are all that there are."""
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
    """What the models say of items: scores by index, positive where there is evidence.

    Indexes are those of the model's items, and behind them those of the items that came since.
    """

    def __init__(
        self,
        live: Live,
        model: LiveModel,
        blend: Blend,
        scores: dict[str, Scores | Evidence],
        rules: AppliedRules,
        n_items: int,
    ) -> None:
        self._combined = combined = model.combined(blend, scores)
        came, lent = model.arrivals.lend(combined.at)
        # Another request may have taken in further items since.
        inside = came < n_items
        self._came, self._lent = came[inside], lent[inside]
        self._n_known = combined.n_items
        self._positions = model.positions(live.catalogue)
        self._indexes = model.indexes(live.catalogue)
        self._whole = self._whole_by(rules)
        content = model.version.recommenders.get("content")
        self.similarities: csr_array | None = content.similarities if isinstance(content, Content) else None
        self._parts = [
            (family_of(name).source, np.float32(weight), scores[name])
            for name, weight in blend.weights.items()
        ]

    def _whole_by(self, rules: AppliedRules) -> Scores | None:
        """The scores of all items by the boosts of a request; None where they are not all looked at."""
        if not rules.reorders and self._combined.whole is None:
            return None
        values = self._combined.dense()
        if len(self._lent):
            values = np.concatenate([values, self._lent])
        if not rules.reorders:
            return values
        return rules.boosted(values, np.concatenate([self._positions, self._came]))

    def by(self, rules: AppliedRules) -> Self:
        """The same by other boosts."""
        other = copy(self)
        other._whole = self._whole_by(rules)
        return other

    def positions(self, indexes: Indexes) -> Indexes:
        """Where items are in the catalogue."""
        if not len(self._came):
            return self._positions[indexes]
        known = indexes < self._n_known
        found = self._positions[np.where(known, indexes, 0)]
        found[~known] = self._came[indexes[~known] - self._n_known]
        return found

    def at(self, indexes: Indexes) -> Scores:
        """The scores of some items."""
        if self._whole is not None:
            return self._whole[indexes]
        known = indexes < self._n_known
        found = self._combined.at(np.where(known, indexes, 0))
        found[~known] = self._lent[indexes[~known] - self._n_known]
        return found

    def in_order(self, allowed: Mask, minimum: float, first: int) -> Iterator[Ranked]:
        """Allowed items in parts, the best first, of equals the one with the lower id first.

        `first` are wanted at once; further ones are only looked for as they are asked for.
        """
        best = self._best_of(allowed, least_score(minimum))
        n, done = max(1, first), 0
        while True:
            indexes, scores, is_whole = best(n)
            if len(indexes) > done:
                yield indexes[done:], scores[done:]
            if is_whole:
                return
            n, done = 4 * max(n, len(indexes)), len(indexes)

    def _best_of(self, allowed: Mask, least: np.float32) -> Best:
        """The best of the allowed items from a score on."""
        if np.count_nonzero(allowed) < FEW_ALLOWED * len(allowed):
            return self._best_among(allowed, least)
        if self._whole is not None:
            return self._best_of_whole(self._whole, allowed, least)
        items, scores = self._combined.items, self._combined.scores
        if len(self._lent):
            items = np.concatenate([items, np.arange(len(self._lent)) + self._n_known])
            scores = np.concatenate([scores, self._lent])
        passing = np.flatnonzero(scores >= least)
        passing = passing[allowed[self.positions(items[passing])]]
        return self._best_with_ground(items[passing], scores[passing], allowed, least)

    def _best_among(self, allowed: Mask, least: np.float32) -> Best:
        """The best of few allowed items."""
        known = self._indexes[np.flatnonzero(allowed[: len(self._indexes)])]
        came = np.flatnonzero(allowed[self._came]) + self._n_known
        indexes = np.concatenate([known[known >= 0], came])
        scores = self.at(indexes)
        passing = np.flatnonzero(scores >= least)
        indexes, scores = indexes[passing], scores[passing]

        def best(n: int) -> tuple[Indexes, Scores, bool]:
            found, values = _ordered(indexes, scores, n)
            return found, values, len(found) == len(indexes)

        return best

    def _best_of_whole(self, whole: Scores, allowed: Mask, least: np.float32) -> Best:
        """The best of all items, each of which has its score."""

        def best(n: int) -> tuple[Indexes, Scores, bool]:
            size = n + HEAD
            while True:
                cut = nth_best(whole, size) if size < len(whole) else least
                found = np.flatnonzero(whole >= max(cut, least))
                found = found[allowed[self.positions(found)]]
                if cut <= least or len(found) >= n:
                    ranked = _ordered(found, whole[found], n)
                    return *ranked, bool(cut <= least) and len(ranked[0]) == len(found)
                size *= 4

        return best

    def _best_with_ground(self, personal: Indexes, scores: Scores, allowed: Mask, least: np.float32) -> Best:
        """The best of those that the person's own evidence is about, and of the ground."""
        ground, theirs = self._combined.ground, self._combined.items

        def best(n: int) -> tuple[Indexes, Scores, bool]:
            size = n + HEAD
            while True:
                head = ground.order[:size]
                is_whole = size >= len(ground.order) or ground.scores[ground.order[size]] < least
                # What the ground has beyond its head scores no more than that.
                bound = np.float32(-np.inf) if is_whole else ground.scores[ground.order[size]]
                head = head[allowed[self._positions[head]]]
                head = head[~_contains(theirs, head)]
                values = ground.scores[head]
                passing = values >= least
                found = np.concatenate([personal, head[passing]])
                values = np.concatenate([scores, values[passing]])
                sure = values > bound
                if is_whole or np.count_nonzero(sure) >= n:
                    ranked = _ordered(found[sure], values[sure], n)
                    return *ranked, is_whole and len(ranked[0]) == len(found)
                size *= 4

        return best

    def unlike(self, ranked: Iterator[Ranked], diversity: float, first: int) -> Iterator[Ranked]:
        """The same, of which the best come so that each is unlike those before it, `first` in a part."""
        if not diversity or self.similarities is None:
            yield from ranked
            return
        looked_at: list[Ranked] = []
        count = 0
        for part in ranked:
            looked_at.append(part)
            count += len(part[0])
            if count >= LOOKED_AT:
                break
        if not looked_at:
            return
        indexes, scores = (np.concatenate(side) for side in zip(*looked_at, strict=True))
        alike = likeness(self.similarities, indexes[:LOOKED_AT])
        order = diverse_order(scores[:LOOKED_AT], alike, diversity)
        while places := list(islice(order, first)):
            yield indexes[places], scores[places]
        yield indexes[LOOKED_AT:], scores[LOOKED_AT:]
        yield from ranked

    def sources(self, indexes: Indexes) -> list[str]:
        """What carried items; what none of the models knows is told by what it is like."""
        known = indexes[indexes < self._n_known]
        shares: dict[str, NDArray[np.float32]] = {}
        for source, weight, scores in self._parts:
            share = weight * score_at(scores, known)
            shares[source] = shares[source] + share if source in shares else share
        told = iter(carriers(shares, len(known)))
        return [next(told) if is_known else "content" for is_known in (indexes < self._n_known).tolist()]

    def score_of(self, position: int) -> float:
        """The score of an item of the catalogue, 0 where no model knows it."""
        index = int(self._indexes[position]) if position < len(self._indexes) else -1
        if index < 0:
            came = np.flatnonzero(self._came == position)
            index = int(came[0]) + self._n_known if len(came) else -1
        return float(self.at(np.array([index]))[0]) if index >= 0 else 0.0


def _ordered(indexes: Indexes, scores: Scores, n: int) -> Ranked:
    """The best `n` and what scores as much as the last of them, in order; of equals the lower index first."""
    if n < len(scores):
        chosen = np.flatnonzero(scores >= np.partition(scores, len(scores) - n)[len(scores) - n])
        indexes, scores = indexes[chosen], scores[chosen]
    order = np.lexsort((indexes, -scores))
    return indexes[order], scores[order]


def _told_of(scored: Scored, indexes: Indexes, places: Indexes) -> list[str]:
    return scored.sources(indexes[places])


def _contains(sorted_items: NDArray[np.integer], items: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which of the items are among the others."""
    if not len(sorted_items):
        return np.zeros(len(items), dtype=np.bool_)
    places = np.minimum(np.searchsorted(sorted_items, items), len(sorted_items) - 1)
    return np.asarray(sorted_items[places] == items)


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


def least_score(minimum: float) -> np.float32:
    """The lowest positive number of a score that is not below `minimum`."""
    kind = np.finfo(np.float32)
    if minimum > float(kind.max):
        return np.float32(np.inf)
    least = max(np.float32(minimum), kind.smallest_subnormal)
    return least if float(least) >= minimum else np.nextafter(least, np.float32(np.inf))


def in_parts(first_of: Callable[[int], list[Entry]], first: int) -> Iterator[list[Entry]]:
    """Entries in order, from a function that answers the first `n` of them; more only as they are needed."""
    n, done = first, 0
    while True:
        found = first_of(n)
        yield found[done:]
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
