"""The blends of a version, each chosen on the histories that it will meet."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import Dataset, Histories
from app.learning.evaluation.blending import ScoreBatch, collect_candidates, learn_blend
from app.learning.evaluation.harness import batches, evaluate_top_n
from app.learning.ranking.blend import Blend, Blends, normalise
from app.learning.ranking.cold_items import ColdItems
from app.learning.recommenders.base import NotEnoughData, Recommender
from app.learning.recommenders.content import Content
from app.learning.recommenders.sparse import earliest_histories, most_recent_histories
from app.training.judging import LIST_LENGTH, Audience
from app.training.progress import Progress

COLD_ITEMS = 2
"""First items to which histories are cut to stand for those of newcomers."""
FEW_ITEMS = (3, 6, 12)
"""Lengths of history up to which the newcomers' blend may serve."""
COLD_FACTORS = (0.9, 0.7, 0.5, 0.3)
"""Of the score that an item without a history inherits; the largest that costs next to nothing is taken."""
COLD_COST = 0.01
LEAST_USERS = 10
SURE_USERS = 200
"""Users who came back, from which what they like counts as much as what the many idle ones like."""
LEAST_WEIGHT = 0.02
"""Of a family in a mixture; what counts less is left out."""
RELATING = ("item_neighbours", "rp3beta", "truncated_svd", "ease", "transitions", "content")
"""Families that say which items are like one item."""
CHOOSERS = 50
"""Users who choose a blend, from which their choice counts as much as the default."""
_DEFAULT = {
    "ease": 0.3,
    "als": 0.25,
    "rp3beta": 0.25,
    "session_neighbours": 0.1,
    "content": 0.1,
}
"""Weights where too few users can choose them: families that are good in most shops, each in its own way."""


def default_blend(models: dict[str, Recommender]) -> Blend:
    """The blend where nothing can be measured."""
    return refit_blend(Blend(_DEFAULT), models)


def default_similar(models: Mapping[str, Recommender]) -> Blend:
    """What relates items, where nothing can be measured."""
    related = [name for name in ("item_neighbours", "content") if name in models]
    return Blend({name: 1 / len(related) for name in related} or {next(iter(models)): 1.0})


def refit_blend(blend: Blend, models: dict[str, Recommender]) -> Blend:
    """The blend over the families that there are; the default where none of its own is among them.

    Raises NotEnoughData without any family.
    """
    if not models:
        raise NotEnoughData("no family has enough to learn from")
    weights = {name: weight for name, weight in blend.weights.items() if name in models}
    weights = weights or {name: weight for name, weight in _DEFAULT.items() if name in models}
    weights = weights or {next(iter(models)): 1.0}
    total = sum(weights.values())
    return Blend({name: weight / total for name, weight in weights.items()})


def choose_blends(
    models: dict[str, Recommender],
    back: Audience,
    everybody: Audience,
    anybody: Audience,
    idle: Audience | None,
    crossed: Sequence[tuple[Audience, Audience]],
    idle_after: float,
    may_repeat: bool,
    rng: np.random.Generator,
    progress: Progress,
) -> Blends:
    """Learn weights for the usual list, for lists without seen items, for newcomers and for the idle.

    `back` are users who came back, `idle` others who were away for longer than `idle_after` days; None
    where those who came back stand for all. The usual list has to please `everybody`, both kinds with equal
    weight; a newcomer may become like `anybody`, the users as they are. `crossed` are halves of `back`, each
    with all idle users, and the others, on whom the usual blend has to prove itself.
    """
    usual = _choose(models, everybody, not may_repeat, rng, progress.part("evaluate", 0.0, 0.3))
    if not may_repeat:
        usual = _careful(models, usual, everybody)
    new = usual
    if may_repeat:
        unseen = back.without_seen()
        if len(unseen.histories) >= LEAST_USERS:
            new = _choose(models, unseen, True, rng, progress.part("evaluate", 0.3, 0.5))
    newcomers = Audience(earliest_histories(anybody.histories, COLD_ITEMS), anybody.wanted)
    cold = _choose(models, newcomers, not may_repeat, rng, progress.part("evaluate", 0.5, 0.8))
    social = _social(models, newcomers, cold, not may_repeat, rng, progress.part("evaluate", 0.8, 0.85))
    similar = _similar(models, everybody, rng, progress.part("evaluate", 0.85, 0.9))
    if idle is None or len(idle.histories) < LEAST_USERS:
        found = Blends(usual, new, cold, social, usual, similar, float("inf"), may_repeat)
        return _few(models, found, anybody)
    away = _choose(models, idle, not may_repeat, rng, progress.part("evaluate", 0.9, 0.95))
    away = _careful(models, away, idle)
    part = progress.part("evaluate", 0.95, 1.0)
    if not may_repeat:
        better = _clearly_better(models, crossed, away, rng, part)
        share = len(back.histories) / (len(back.histories) + SURE_USERS) if better else 0.0
        usual = new = mixed(usual, away, share)
    return _few(models, Blends(usual, new, cold, social, away, similar, idle_after, may_repeat), anybody)


def mixed(blend: Blend, other: Blend, share: float) -> Blend:
    """A share of one blend, the rest of the other."""
    weights = {name: share * weight for name, weight in blend.weights.items()}
    for name, weight in other.weights.items():
        weights[name] = weights.get(name, 0.0) + (1.0 - share) * weight
    kept = {name: weight for name, weight in weights.items() if weight >= LEAST_WEIGHT}
    total = sum(kept.values())
    return Blend({name: weight / total for name, weight in kept.items()})


def _careful(models: dict[str, Recommender], blend: Blend, audience: Audience) -> Blend:
    """A blend that was chosen by few, mixed with the default: the fewer, the more."""
    chosen_by = len(audience.histories)
    return mixed(blend, default_blend(models), chosen_by / (chosen_by + CHOOSERS))


def _clearly_better(
    models: dict[str, Recommender],
    crossed: Sequence[tuple[Audience, Audience]],
    plain: Blend,
    rng: np.random.Generator,
    progress: Progress,
) -> bool:
    """Whether a blend learned for those who came back is better for others of them than `plain`, by more than
    one standard error: they are few where there are idle users, and what they seem to like may be chance."""
    gains: list[NDArray[np.float64]] = []
    for learned_from, asked in crossed:
        blend = _choose(models, learned_from, True, rng, progress)
        rows = np.arange(len(asked.histories), dtype=np.int64)
        ours, theirs = (
            evaluate_top_n(
                lambda some: one.score(models, some),  # noqa: B023
                asked.histories,
                rows,
                asked.wanted,
                LIST_LENGTH,
                True,
            ).per_user["ndcg"]
            for one in (blend, plain)
        )
        gains.append(ours - theirs)
    gain = np.concatenate(gains)
    return bool(gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)))


def _few(
    models: dict[str, Recommender],
    blends: Blends,
    audience: Audience,
) -> Blends:
    """With the longest histories for which the newcomers' blend is better than that of the others."""
    rows = np.arange(len(audience.histories), dtype=np.int64)
    longer = np.diff(audience.histories.matrix.indptr)
    for few in FEW_ITEMS:
        if np.count_nonzero(longer > few) < LEAST_USERS:
            break
        cut = earliest_histories(audience.histories, few)
        cold, others = (
            evaluate_top_n(
                lambda some: tried.score(models, some, not blends.may_repeat),  # noqa: B023
                cut,
                rows,
                audience.wanted,
                LIST_LENGTH,
                not blends.may_repeat,
            ).means["ndcg"]
            for tried in (replace(blends, few=few), replace(blends, few=0))
        )
        if cold <= others:
            break
        blends = replace(blends, few=few)
    return blends


def cold_items(models: Mapping[str, Recommender], dataset: Dataset, factor: float) -> ColdItems:
    """The items of the data set that nobody chose, and what they are described like."""
    content = models.get("content")
    if not isinstance(content, Content):
        return ColdItems.none(dataset.n_items)
    chosen = np.zeros(dataset.n_items, dtype=np.bool_)
    chosen[dataset.log.item] = True
    return ColdItems.of(content.similarities, chosen, factor)


def choose_cold_factor(
    models: Mapping[str, Recommender],
    blends: Blends,
    audience: Audience,
    dataset: Dataset,
) -> float:
    """How far items without a history are trusted: as far as it costs the audience next to nothing."""
    cold = cold_items(models, dataset, 1.0)
    if not len(cold.items):
        return COLD_FACTORS[0]
    everybody = np.arange(len(audience.histories), dtype=np.int64)

    def quality(factor: float) -> float:
        trusted = cold.with_factor(factor)
        return evaluate_top_n(
            lambda some: trusted.lend(blends.score(models, some, not blends.may_repeat)),
            audience.histories,
            everybody,
            audience.wanted,
            LIST_LENGTH,
            not blends.may_repeat,
        ).means["ndcg"]

    found = {factor: quality(factor) for factor in COLD_FACTORS}
    enough = (1.0 - COLD_COST) * max(found.values())
    return next(factor for factor, value in found.items() if value >= enough)


def _similar(
    models: dict[str, Recommender], audience: Audience, rng: np.random.Generator, progress: Progress
) -> Blend:
    """Of the families that relate items: what leads from the latest item to what was chosen afterwards."""
    related = {name: models[name] for name in RELATING if name in models}
    if not related:
        return default_similar(models)
    latest = Audience(most_recent_histories(audience.histories, 1), audience.wanted)
    return _choose(related, latest, True, rng, progress)


def _social(
    models: dict[str, Recommender],
    newcomers: Audience,
    cold: Blend,
    exclude_seen: bool,
    rng: np.random.Generator,
    progress: Progress,
) -> Blend:
    """For newcomers with ties: what their circle likes counts most, unless it is measured otherwise."""
    ties = newcomers.histories.ties
    if ties is None or "social" not in models:
        return cold
    tied = np.flatnonzero(np.diff(ties.indptr)).astype(np.int64)
    if len(tied) >= LEAST_USERS:
        circle = Audience(newcomers.histories.take(tied), csr_array(newcomers.wanted[tied]))
        return _choose(models, circle, exclude_seen, rng, progress)
    return with_circle(models, cold)


def with_circle(models: Mapping[str, Recommender], blend: Blend) -> Blend:
    """The blend half made of what somebody's circle likes, where that is known."""
    if "social" not in models:
        return blend
    weights = {name: 0.5 * weight for name, weight in blend.weights.items() if name != "social"}
    return Blend({**weights, "social": 1.0 - sum(weights.values())})


def _choose(
    models: dict[str, Recommender],
    audience: Audience,
    exclude_seen: bool,
    rng: np.random.Generator,
    progress: Progress,
) -> Blend:
    def score_batches() -> Iterator[ScoreBatch]:
        parts = batches(len(audience.histories), audience.histories.matrix.shape[1], 128)
        for number, part in enumerate(parts):
            some = _slice(audience.histories, part)
            scores = {name: normalise(model.score(some)) for name, model in models.items()}
            yield ScoreBatch(scores, some.unseen if exclude_seen else None)
            progress.done((number + 1) / len(parts))

    candidates = collect_candidates(score_batches())
    return learn_blend(candidates, audience.wanted, rng, LIST_LENGTH)


def _slice(histories: Histories, part: slice) -> Histories:
    return histories.take(np.arange(part.start, part.stop, dtype=np.int64))
