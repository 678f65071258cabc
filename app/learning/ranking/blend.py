"""One score from the scores of several families."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from app.learning.dataset import Histories
from app.learning.recommenders.base import Recommender, Scores
from app.learning.recommenders.evidence import Evidence, Part, Selective
from app.learning.recommenders.popularity import ItemScores
from app.learning.recommenders.registry import family_of


def normalise(scores: Scores) -> Scores:
    """Scale each row so that its best score is 1; rows without a positive score become 0.

    By the maximum and not by range or deviation, because 0 means no evidence in every family and has to
    stay 0, and because a row's scale then depends on its best item alone, not on the size of the catalogue.
    What a family advises against is bounded at -1, so that it weighs no more than another's best advice.
    """
    best = scores.max(axis=1, keepdims=True, initial=0.0)
    usable = best > np.finfo(np.float32).tiny
    factors = np.divide(np.float32(1), best, out=np.zeros_like(best), where=usable)
    if (scores.min(axis=1, keepdims=True, initial=0.0) >= -best).all():
        # Most families advise against nothing; of a large catalogue, each array that is written takes time.
        return np.asarray(np.multiply(scores, factors), dtype=np.float32)
    # Bounded before it is scaled: then nothing overflows.
    bounded = np.maximum(scores, -best)
    return np.asarray(np.multiply(bounded, factors, out=bounded), dtype=np.float32)


def normalised(model: Recommender, histories: Histories) -> Scores | Evidence:
    """A model's normalised scores: of one history the evidence, unless everybody is told the same.

    Else, or of several histories, the scores of all items, `(n_batch, n_items)`.
    """
    if len(histories) != 1 or isinstance(model, ItemScores):
        return normalise(model.score(histories))
    if isinstance(model, Selective):
        return _normalised(model.evidence(histories))
    return _normalised(Evidence.of(model.score(histories)))


def normalised_together(model: Recommender, histories: Histories) -> list[Scores | Evidence]:
    """What `normalised` says of each of several histories, with less ado for each."""
    if isinstance(model, Selective):
        return [_normalised(found) for found in model.evidences(histories)]
    return [normalised(model, histories.take(np.array([row]))) for row in range(len(histories))]


def _normalised(found: Evidence) -> Evidence:
    """As `normalise`, for one row."""
    scores = found.scores
    best = scores.max(initial=np.float32(0))
    if best <= np.finfo(np.float32).tiny:
        return replace(found, scores=np.zeros_like(scores))
    if scores.min() < -best:
        scores = np.maximum(scores, -best)
    return replace(found, scores=scores * (np.float32(1) / best))


def score_at(scores: Scores | Evidence, items: NDArray[np.integer]) -> NDArray[np.float32]:
    """Scores of some items for a batch of one, `(len(items),)`."""
    return scores.at(items) if isinstance(scores, Evidence) else scores[0, items]


@dataclass(frozen=True)
class Blend:
    """How much each family counts."""

    weights: dict[str, float]
    """Weight by family, positive, summing to 1."""

    @classmethod
    def of(cls, weights: Mapping[str, float]) -> Self:
        """Families by what they weigh beside each other; there may be none."""
        total = sum(weights.values())
        return cls({name: weight / total for name, weight in weights.items()})

    def score(self, models: Mapping[str, Recommender], histories: Histories) -> Scores:
        """Scores of all items, `(n_batch, n_items)`. Raises `KeyError` for a missing family."""
        return self.combine({name: normalised(models[name], histories) for name in self.weights})

    def personal(self, scores: Mapping[str, Scores | Evidence]) -> list[Part]:
        """The weighted evidence among normalised scores of one history."""
        given = [(np.float32(weight), scores[name]) for name, weight in self.weights.items()]
        return [(one.items, weight * one.scores) for weight, one in given if isinstance(one, Evidence)]

    def impersonal(self, scores: Mapping[str, Scores | Evidence]) -> "Blend":
        """The families alone that say the same to everybody, at the weights that they have here."""
        same = {
            name: weight for name, weight in self.weights.items() if not isinstance(scores[name], Evidence)
        }
        return Blend(same)

    def combine(self, scores: Mapping[str, Scores | Evidence]) -> Scores:
        """Weighted sum of normalised scores, `(n_batch, n_items)`. Raises `KeyError` for a missing family."""
        some = scores[next(iter(self.weights))]
        total = np.zeros((1, some.n_items) if isinstance(some, Evidence) else some.shape, dtype=np.float32)
        part = None
        for family, weight in self.weights.items():
            given = scores[family]
            if isinstance(given, Evidence):
                total[0, given.items] += np.float32(weight) * given.scores
                continue
            part = np.multiply(given, np.float32(weight), out=part)
            total += part
        return total

    def only(self, sources: Collection[str] | None) -> "Blend":
        """The families of these sources, weighed among themselves; None: all. There may be none."""
        if sources is None:
            return self
        kept = {name: weight for name, weight in self.weights.items() if family_of(name).source in sources}
        return Blend.of(kept)


_LATER = ("first", "session")
"""Blends that the first releases do not know."""


@dataclass(frozen=True)
class Blends:
    """The blends of a version, by whom and what they are for."""

    usual: Blend
    """For the list as it comes by default."""
    new: Blend
    """For lists without what the person has seen."""
    cold: Blend
    """For people of whom only an item or two is known."""
    social: Blend
    """For newcomers who are connected with others."""
    idle: Blend
    """For people who have been away for longer than `idle_after`."""
    similar: Blend
    """For items like an item: what those who chose it chose next."""
    idle_after: float
    """Days since the last interaction; infinite where most people come back, so that `usual` fits all."""
    may_repeat: bool
    """Whether the usual list may hold what the person has seen: where customers come back to items."""

    few: int = 3
    """Items up to which a history counts as a newcomer's."""
    first: Blend | None = None
    """For people of whom a single item is known; None: as `cold`."""
    session: Blend | None = None
    """For anonymous visitors; None: as for anybody."""

    @classmethod
    def single(cls, blend: Blend, may_repeat: bool = False) -> Self:
        """One blend for everybody."""
        return cls(blend, blend, blend, blend, blend, blend, float("inf"), may_repeat)

    def of(
        self,
        n_known: int,
        idle_days: float,
        exclude_seen: bool,
        tied: bool = False,
        anonymous: bool = False,
    ) -> Blend:
        """The blend for somebody of whom `n_known` items are known and who was last here `idle_days` ago.

        `tied` says whether the person is connected with others, `anonymous` that only a visit is known.
        """
        if anonymous and n_known and self.session is not None:
            return self.session
        if n_known <= self.few:
            if tied:
                return self.social
            return self.first if n_known <= 1 and self.first is not None else self.cold
        if idle_days > self.idle_after:
            return self.idle
        return self.new if exclude_seen else self.usual

    def score(
        self,
        models: Mapping[str, Recommender],
        histories: Histories,
        exclude_seen: bool,
        anonymous: bool = False,
    ) -> Scores:
        """Scores of all items for each history by the blend that it is served with, `(n_batch, n_items)`."""
        scores = np.zeros(histories.matrix.shape, dtype=np.float32)
        groups: dict[int, tuple[Blend, list[int]]] = {}
        tied = np.zeros(len(histories), dtype=np.bool_)
        if histories.ties is not None:
            tied = np.diff(histories.ties.indptr) > 0
        for row, (known, idle) in enumerate(zip(*known_and_idle(histories), strict=True)):
            blend = self.of(int(known), float(idle), exclude_seen, bool(tied[row]), anonymous)
            groups.setdefault(id(blend), (blend, []))[1].append(row)
        for blend, members in groups.values():
            rows = np.array(members, dtype=np.int64)
            scores[rows] = blend.score(models, histories.take(rows))
        return scores

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> Self:
        """The blends from what `content` made of them."""
        named: dict[str, Any] = {name: Blend(dict(weights)) for name, weights in content["blends"].items()}
        idle_after = float("inf") if content["idle_after"] is None else content["idle_after"]
        for name in _LATER:
            if content.get(name) is not None:
                named[name] = Blend(dict(content[name]))
        return cls(**named, idle_after=idle_after, may_repeat=content["may_repeat"], few=content["few"])

    @property
    def content(self) -> dict[str, Any]:
        """As JSON; those that came later beside the others, so that an older release reads the rest."""
        named = {name: blend.weights for name, blend in self.named.items()}
        return {
            "blends": {name: weights for name, weights in named.items() if name not in _LATER},
            **{name: named.get(name) for name in _LATER},
            "may_repeat": self.may_repeat,
            "few": self.few,
            "idle_after": self.idle_after if np.isfinite(self.idle_after) else None,
        }

    @property
    def named(self) -> dict[str, Blend]:
        """Each blend by its name."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, Blend)}

    def with_blends(self, named: Mapping[str, Blend]) -> Self:
        """The same with other blends, by name."""
        changed: dict[str, Any] = dict(named)
        return replace(self, **changed)

    @property
    def families(self) -> list[str]:
        """All families that any of them uses, in order."""
        return list({name: None for blend in self.named.values() for name in blend.weights})


def known_and_idle(histories: Histories) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Of each history the number of items and the days since the latest; 0 days without any."""
    indptr = histories.matrix.indptr
    known = np.diff(indptr).astype(np.int64)
    idle = np.zeros(len(known), dtype=np.float32)
    some = known > 0
    if some.any():
        idle[some] = np.minimum.reduceat(histories.ages, indptr[:-1][some])
    return known, idle
