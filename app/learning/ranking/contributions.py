"""What carried the blended scores as they are served: by family, and by entry of the history."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from app.learning.dataset import Histories
from app.learning.ranking.blend import Blend, normalise
from app.learning.ranking.cold_items import ColdItems
from app.learning.recommenders.base import Explainable, Recommender, Scores
from app.learning.recommenders.sparse import empty, entry_rows

Items = NDArray[np.int32]


@dataclass(frozen=True)
class Contributions:
    """Parts of the blended scores of some items for one history."""

    families: dict[str, NDArray[np.float32]]
    """What each family adds, weighed and normalised, `(n_wanted,)`; they sum to the blended score."""
    entries: Scores
    """What each entry of the history adds over all families, `(n_wanted, n_known)`."""
    unexplained: NDArray[np.float32]
    """What speaks for the items beside the history (popularity, ties …), `(n_wanted,)`, not negative."""

    @property
    def total(self) -> NDArray[np.float32]:
        """The blended scores, `(n_wanted,)`."""
        total = np.zeros_like(self.unexplained)
        for part in self.families.values():
            total += part
        return total

    @property
    def shares(self) -> Scores:
        """Share of each entry in all that speaks for an item, `(n_wanted, n_known)`, 0–1.

        Where nothing speaks against an item, that is the entry's share of the score.
        """
        speaking = np.maximum(self.entries, 0)
        whole = speaking.sum(axis=1) + self.unexplained
        return np.asarray(speaking / np.where(whole > 0, whole, 1)[:, None], dtype=np.float32)

    def through(self, shares: csr_array) -> Self:
        """Of items that take their scores from these, `shares` `(n_heirs, n_wanted)`; see `inherit`."""
        lent = csr_array(shares * (self.total > 0)[None, :])
        return type(self)(
            {name: np.asarray(lent @ part, dtype=np.float32) for name, part in self.families.items()},
            np.asarray(lent @ self.entries, dtype=np.float32),
            np.asarray(lent @ self.unexplained, dtype=np.float32),
        )

    def take_or_none(self, rows: NDArray[np.int64]) -> Self:
        """Those of the items in these rows, in that order; nothing for a row beyond the last."""

        def taken(part: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.concatenate([part, np.zeros((1, *part.shape[1:]), dtype=np.float32)])[rows]

        families = {name: taken(part) for name, part in self.families.items()}
        return type(self)(families, taken(self.entries), taken(self.unexplained))

    def where(self, chosen: NDArray[np.bool_], others: Self) -> Self:
        """Those of the chosen items, `(n_wanted,)`, and the others' of the rest."""
        return type(self)(
            {name: np.where(chosen, part, others.families[name]) for name, part in self.families.items()},
            np.where(chosen[:, None], self.entries, others.entries),
            np.where(chosen, self.unexplained, others.unexplained),
        )


def blended(
    recommenders: Mapping[str, Recommender], blend: Blend, histories: Histories, items: Items
) -> Contributions:
    """Parts of `blend.score` for a batch of one, of the wanted items.

    The entries' parts of each family's score are scaled as the blend scales that score, so that they are
    parts of the same sum. Raises `KeyError` for a missing family.
    """
    families: dict[str, NDArray[np.float32]] = {}
    entries = np.zeros((len(items), histories.matrix.nnz), dtype=np.float32)
    unexplained = np.zeros(len(items), dtype=np.float32)
    for name, weight in blend.weights.items():
        model = recommenders[name]
        scores = model.score(histories)
        raw = scores[0, items]
        served = np.float32(weight) * normalise(scores)[0, items]
        families[name] = served
        carried = np.float32(0)
        if isinstance(model, Explainable) and served.any():
            # Nothing carried a score of 0: ALS passes over what comes to next to nothing. Scores that the
            # blend bounds from below are scaled down by more than the others.
            usual = np.where(raw > 0, np.float32(weight) / scores.max(), np.float32(0))
            scale = np.divide(served, raw, out=usual, where=raw < 0)
            parts = model.contributions(histories, items) * scale[:, None]
            entries += parts
            carried = parts.sum(axis=1)
        unexplained += np.maximum(served - carried, 0)
    return Contributions(families, entries, unexplained)


def served(
    recommenders: Mapping[str, Recommender],
    blend: Blend,
    cold: ColdItems,
    histories: Histories,
    items: Items,
    arrivals: csr_array | None = None,
) -> tuple[Contributions, csr_array]:
    """Parts of the scores as they are served, where cold items stand with what they are described like.

    `arrivals`, `(n_arrivals, n_items)`, are the parents of items that the models do not know; they come
    after `items`. Besides, what each item takes from whom, `(n_items_and_arrivals, n_items)`: entries are
    parts of its score, rows of items that stand for themselves are empty.
    """
    n_items = int(histories.matrix.shape[1])
    if arrivals is None:
        arrivals = empty(0, n_items)
    heirs = csr_array(vstack([_parents(cold, items, n_items), arrivals], format="csr"))
    heirs.data = (heirs.data * cold.factor).astype(np.float32)
    # Items that the models do not know have no score of their own: they are asked for as no item.
    wanted = np.concatenate([items, np.full(arrivals.shape[0], -1, dtype=np.int32)])
    known, place = np.unique(np.concatenate([items, heirs.indices]), return_inverse=True)
    parts = blended(recommenders, blend, histories, known.astype(np.int32))
    own = np.where(wanted >= 0, np.searchsorted(known, wanted), len(known))
    moved = csr_array((heirs.data, place[len(items) :], heirs.indptr), shape=(len(wanted), len(known)))
    inherited = parts.through(moved)
    standing = parts.take_or_none(own)
    takes = inherited.total > standing.total
    gained = heirs.data * np.maximum(parts.total, 0)[moved.indices] * takes[entry_rows(heirs)]
    lent = csr_array((gained, heirs.indices, heirs.indptr), shape=heirs.shape, copy=True)
    lent.eliminate_zeros()
    return standing.where(~takes, inherited), lent


def _parents(cold: ColdItems, items: Items, n_items: int) -> csr_array:
    """The parents of those of the items that are cold, `(len(items), n_items)`."""
    if not len(cold.items) or cold.factor <= 0:
        return empty(len(items), n_items)
    # Cold items are in ascending order.
    place = np.minimum(np.searchsorted(cold.items, items), len(cold.items) - 1)
    lines = csr_array(cold.parents[place])
    lines.data = lines.data * (cold.items[place] == items)[entry_rows(lines)]
    lines.eliminate_zeros()
    return lines
