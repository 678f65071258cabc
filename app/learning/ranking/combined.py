"""What a blend says of all items to one person, without a pass over the catalogue.

What it says to anybody is the same at every request, so it is worked out once and kept in order. A person's
own evidence changes the scores of some items; the best of a list are among these or at the head of the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from app.learning.ranking.cold_items import ColdItems
from app.learning.recommenders.base import Scores
from app.learning.recommenders.evidence import Evidence, Part, distinct, summed

MANY: Final = 1 / 25
"""Entries for an item of the catalogue, from which a score for each item is quicker than to sort them."""
_NO_ITEMS: Final = np.empty(0, dtype=np.int64)
_NO_SCORES: Final = np.empty(0, dtype=np.float32)


@dataclass(frozen=True)
class Ground:
    """What a blend says to anybody."""

    scores: NDArray[np.float32]
    """With what cold items inherit, `(n_items,)`."""
    order: NDArray[np.int32]
    """Items with a positive score, the best first, of equals the lower index."""
    own: NDArray[np.float32]
    """Of cold items, what they score by themselves, `(n_cold,)`."""
    inherited: NDArray[np.float32]
    """What they inherit, `(n_cold,)`."""

    @classmethod
    def of(cls, scores: Scores, cold: ColdItems) -> Self:
        """From the scores of one row, `(1, n_items)`."""
        whole, own, inherited = scores[0].copy(), _NO_SCORES, _NO_SCORES
        if cold.inherit:
            own, inherited = scores[0, cold.items], cold.inherited(scores)[0]
            whole[cold.items] = np.maximum(own, inherited)
        order = np.argsort(-whole, kind="stable")[: np.count_nonzero(whole > 0)]
        return cls(whole, order.astype(np.int32), own, inherited)


@dataclass(frozen=True)
class Combined:
    """The scores of all items for one person: where they differ from the ground, or of each item."""

    ground: Ground
    items: NDArray[np.integer]
    """Those of which the person's own evidence says something, ascending, `(n_found,)`."""
    scores: NDArray[np.float32]
    """Of these, `(n_found,)`; all others score as they do on the ground."""
    whole: NDArray[np.float32] | None = None
    """Instead of `items` and `scores`, where there is evidence of many: the score of each, `(n_items,)`."""

    @classmethod
    def of(cls, ground: Ground, parts: Sequence[Part], cold: ColdItems) -> Self:
        """The ground and what each part of the person's own evidence adds to it."""
        n_items = len(ground.scores)
        if sum(len(items) for items, _ in parts) >= MANY * n_items:
            return cls(ground, _NO_ITEMS, _NO_SCORES, _whole(ground, parts, cold))
        personal = summed(parts, n_items)
        items, gained = personal.items, personal.scores
        if not cold.inherit or not len(items):
            return cls(ground, items, ground.scores[items] + gained)
        rows = cold.rows[items]
        is_cold = rows >= 0
        before = ground.scores[items]
        before[is_cold] = ground.own[rows[is_cold]]
        totals = before + gained
        more = Evidence(items, np.maximum(totals, 0) - np.maximum(before, 0), n_items)
        heirs = cold.inherited_of(more)
        if not len(heirs.items) and not is_cold.any():
            return cls(ground, items, totals)
        touched = distinct(np.concatenate([heirs.items, rows[is_cold]]))
        own, inherited = ground.own[touched], ground.inherited[touched]
        own[np.searchsorted(touched, rows[is_cold])] = totals[is_cold]
        inherited[np.searchsorted(touched, heirs.items)] += heirs.scores
        items = np.concatenate([items[~is_cold], cold.items[touched]])
        totals = np.concatenate([totals[~is_cold], np.maximum(own, inherited)])
        order = np.argsort(items, kind="stable")
        return cls(ground, items[order], totals[order])

    @property
    def n_items(self) -> int:
        return len(self.ground.scores)

    def dense(self) -> NDArray[np.float32]:
        """The scores of all items, `(n_items,)`, not to be written to."""
        if self.whole is not None:
            return self.whole
        scores = self.ground.scores.copy()
        scores[self.items] = self.scores
        return scores

    def at(self, items: NDArray[np.integer]) -> NDArray[np.float32]:
        """The scores of some items, `(len(items),)`."""
        if self.whole is not None:
            return np.asarray(self.whole[items])
        if not self.n_items:
            return np.zeros(len(items), dtype=np.float32)
        scores: NDArray[np.float32] = self.ground.scores[items]
        if len(self.items):
            places = np.minimum(np.searchsorted(self.items, items), len(self.items) - 1)
            found = self.items[places] == items
            scores[found] = self.scores[places[found]]
        return scores


def _whole(ground: Ground, parts: Sequence[Part], cold: ColdItems) -> NDArray[np.float32]:
    scores = ground.scores.copy()
    if cold.inherit:
        scores[cold.items] = ground.own
    for items, gained in parts:
        np.add.at(scores, items, gained)
    return np.asarray(cold.lend(scores[None, :])[0])
