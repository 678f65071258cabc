"""What the models say of the items of the catalogue, the best first, without a look at all of them."""

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from itertools import islice
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.filtering.columns import Mask
from app.learning.ranking.blend import Blend, score_at
from app.learning.ranking.diversity import LOOKED_AT, diverse_order, likeness
from app.learning.ranking.top_k import nth_best
from app.learning.recommenders.base import Scores
from app.learning.recommenders.content import Content
from app.learning.recommenders.evidence import Evidence
from app.learning.recommenders.registry import family_of
from app.services.live import Live
from app.services.live_model import LiveModel
from app.services.shop_rules import AppliedRules

IMPERSONAL = frozenset({"popular", "trending", "latest"})
LEAST_PERSONAL = 1 / 3
"""Share of a score from which what is personal in it is named as its source."""
FEW_ALLOWED = 0.25
"""Share of the catalogue below which the allowed items are picked out before the best are found."""
HEAD = 64
"""Items at the head of what a blend says to anybody that are looked at besides those wanted."""
Indexes = NDArray[np.integer]
Ranked = tuple[Indexes, Scores]
"""Indexes of items, the best first, and their scores."""
Best = Callable[[int], tuple[Indexes, Scores, bool]]
"""Answers the best `n` or more, and whether these are all that there are."""


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


def _contains(sorted_items: NDArray[np.integer], items: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which of the items are among the others."""
    if not len(sorted_items):
        return np.zeros(len(items), dtype=np.bool_)
    places = np.minimum(np.searchsorted(sorted_items, items), len(sorted_items) - 1)
    return np.asarray(sorted_items[places] == items)


def least_score(minimum: float) -> np.float32:
    """The lowest positive number of a score that is not below `minimum`."""
    kind = np.finfo(np.float32)
    if minimum > float(kind.max):
        return np.float32(np.inf)
    least = max(np.float32(minimum), kind.smallest_subnormal)
    return least if float(least) >= minimum else np.nextafter(least, np.float32(np.inf))


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
