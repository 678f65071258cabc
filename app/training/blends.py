"""The blends of a version, each chosen on the histories that it will meet."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.learning.dataset import Dataset
from app.learning.ranking.blend import Blend, Blends
from app.learning.ranking.cold_items import ColdItems
from app.learning.recommenders.base import NotEnoughData, Recommender
from app.learning.recommenders.content import Content
from app.learning.recommenders.sparse import most_recent_histories
from app.training.choosing import CHOOSERS, LEAST_USERS, choose, clearly_positive, mixed, ndcg
from app.training.judging import Audience
from app.training.newcomer_blends import FIRST_ITEMS, all_of, choose_for_newcomers, with_few
from app.training.newcomers import LeftOut, Newcomers
from app.training.progress import Progress
from app.training.search import IDLE, suited
from app.training.session_blend import choose_for_sessions

COLD_FACTORS = (0.9, 0.7, 0.5, 0.3)
"""Of the score that an item without a history inherits; the largest that costs next to nothing is taken."""
COLD_COST = 0.01
SURE_USERS = 200
"""Users who came back, from which what they like counts as much as what the many idle ones like."""
RELATING = ("item_neighbours", "rp3beta", "truncated_svd", "ease", "transitions", "content")
"""Families that say which items are like one item."""
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
    return Blend.of(weights)


def choose_blends(
    models: dict[str, Recommender],
    back: Audience,
    everybody: Audience,
    anybody: Audience,
    out: LeftOut,
    idle: Audience | None,
    crossed: Sequence[tuple[Audience, Audience]],
    idle_after: float,
    may_repeat: bool,
    rng: np.random.Generator,
    progress: Progress,
) -> Blends:
    """Learn weights for the usual list, for lists without seen items, for newcomers, sessions and the idle.

    `back` are users who came back, `idle` others who were away for longer than `idle_after` days; None
    where those who came back stand for all. The usual list has to please `everybody`, both kinds with equal
    weight. `out` are newcomers and sessions; where they are too few, `anybody`, the users as they are, stand
    for the newcomers, and sessions are served as newcomers are. `crossed` are halves of `back`, each with all
    idle users, and the others: on these the usual blend has to prove itself.
    """
    usual = choose(models, everybody, not may_repeat, rng, progress.part("evaluate", 0.0, 0.3))
    if not may_repeat:
        usual = _careful(models, usual, everybody)
    new = usual
    if may_repeat:
        unseen = back.without_seen()
        if len(unseen.histories) >= LEAST_USERS:
            new = choose(models, unseen, True, rng, progress.part("evaluate", 0.3, 0.5))
    newcomers = out.users
    part = progress.part("evaluate", 0.5, 0.7)
    first, cold = choose_for_newcomers(models, newcomers, anybody, not may_repeat, rng, part)
    social = _social(models, newcomers, cold, rng, progress.part("evaluate", 0.7, 0.75))
    similar = _similar(models, everybody, rng, progress.part("evaluate", 0.75, 0.8))
    if idle is None or len(idle.histories) < LEAST_USERS:
        away, idle_after = usual, float("inf")
    else:
        away = choose_for_idle(models, idle, not may_repeat, rng, progress.part("evaluate", 0.8, 0.85))
        if not may_repeat:
            part = progress.part("evaluate", 0.85, 0.9)
            better = _clearly_better(models, crossed, away, rng, part)
            share = len(back.histories) / (len(back.histories) + SURE_USERS) if better else 0.0
            usual = new = mixed(usual, away, share)
    found = Blends(usual, new, cold, social, away, similar, idle_after, may_repeat, first=first)
    found = with_few(models, found, newcomers)
    session = choose_for_sessions(models, out.sessions, found, rng, progress.part("evaluate", 0.9, 1.0))
    return replace(found, session=session)


def _careful(models: dict[str, Recommender], blend: Blend, audience: Audience) -> Blend:
    """A blend that was chosen by few, mixed with the default: the fewer, the more."""
    chosen_by = len(audience.histories)
    return mixed(blend, default_blend(models), chosen_by / (chosen_by + CHOOSERS))


def choose_for_idle(
    models: dict[str, Recommender],
    idle: Audience,
    exclude_seen: bool,
    rng: np.random.Generator,
    progress: Progress,
) -> Blend:
    """A blend of models with the hyperparameters that suit the idle.

    Models with others may score alike on them and be worse for whom they stand for: to choose between the two
    again, weight by weight, is to choose by chance.
    """
    names = suited(models, IDLE)
    own = {family: models[name] for family, name in names.items()}
    chosen = _careful(own, choose(own, idle, exclude_seen, rng, progress), idle)
    return Blend({names[family]: weight for family, weight in chosen.weights.items()})


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
        blend = choose(models, learned_from, True, rng, progress)
        ours, theirs = (ndcg(lambda some: one.score(models, some), asked) for one in (blend, plain))  # noqa: B023
        gains.append(ours - theirs)
    return clearly_positive(np.concatenate(gains))


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
    exclude_seen = not blends.may_repeat

    def quality(factor: float) -> float:
        trusted = cold.with_factor(factor)
        lists = ndcg(
            lambda some: trusted.lend(blends.score(models, some, exclude_seen)), audience, exclude_seen
        )
        return float(lists.mean())

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
    return choose(related, latest, True, rng, progress)


def _social(
    models: dict[str, Recommender],
    newcomers: Sequence[Newcomers],
    cold: Blend,
    rng: np.random.Generator,
    progress: Progress,
) -> Blend:
    """For newcomers with ties: what their circle likes counts most, unless it is measured otherwise."""
    if "social" not in models:
        return cold
    known = all_of(newcomers).knowing(FIRST_ITEMS[0]).without_seen()
    if known.histories.ties is None:
        return cold
    tied = np.flatnonzero(np.diff(known.histories.ties.indptr)).astype(np.int64)
    if len(tied) >= LEAST_USERS:
        chosen = choose(models, known.take(tied), True, rng, progress)
        return mixed(chosen, with_circle(models, cold), len(tied) / (len(tied) + CHOOSERS))
    return with_circle(models, cold)


def with_circle(models: Mapping[str, Recommender], blend: Blend) -> Blend:
    """The blend half made of what somebody's circle likes, where that is known."""
    if "social" not in models:
        return blend
    weights = {name: 0.5 * weight for name, weight in blend.weights.items() if name != "social"}
    return Blend({**weights, "social": 1.0 - sum(weights.values())})
