"""The blends for newcomers: how much of what is popular, how much of what resembles their few items."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from app.learning.evaluation.harness import batches
from app.learning.evaluation.metrics import ranking_metrics
from app.learning.ranking.blend import Blend, Blends, normalise
from app.learning.ranking.top_k import top_k
from app.learning.recommenders.base import Recommender
from app.learning.recommenders.registry import family_of
from app.learning.recommenders.sparse import earliest_histories
from app.training.choosing import CHOOSERS, LEAST_USERS, choose, mixed, ndcg
from app.training.judging import LIST_LENGTH, Audience
from app.training.newcomers import Newcomers
from app.training.progress import Progress

FIRST_ITEMS = (2, 3)
"""First items by which newcomers are told when their blend is chosen."""
FEW_ITEMS = (3, 6, 12)
"""Lengths of history up to which the newcomers' blend may serve."""
SHARES = (1.0, 0.75, 0.5, 0.25)
"""Of popularity in the blend for those of whom one item is known: the largest that is as good as the best."""


def choose_for_newcomers(
    models: dict[str, Recommender],
    newcomers: Sequence[Newcomers],
    anybody: Audience,
    exclude_seen: bool,
    rng: np.random.Generator,
    progress: Progress,
) -> tuple[Blend, Blend]:
    """For those of whom one item is known, and for those of whom a few are.

    Each kind of newcomers chooses from what is new to them, and the blends count alike; those who choose are
    mixed with a default: the fewer they are, the more. Where there are next to none, the first items of
    anybody stand for theirs.
    """
    chosen: list[tuple[Blend, int]] = []
    asked: list[Audience] = []
    for number, kind in enumerate(newcomers):
        known = [kind.knowing(items).without_seen() for items in FIRST_ITEMS]
        if min(len(one.histories) for one in known) < LEAST_USERS:
            continue
        part = progress.part("evaluate", number / len(newcomers), (number + 1) / len(newcomers))
        blend = choose(models, known[0], True, rng, part, *known[1:])
        chosen.append((blend, len(known[0].histories)))
        asked.append(kind.knowing(1).without_seen())
    if not chosen:
        cut = Audience(earliest_histories(anybody.histories, FIRST_ITEMS[0]), anybody.wanted)
        blend = choose(models, cut, exclude_seen, rng, progress)
        one = Audience(earliest_histories(anybody.histories, 1), anybody.wanted).without_seen()
        asked = [one] if len(one.histories) >= LEAST_USERS else []
        popular = _popular(models, asked)
        share = _share_of(popular, models, [(blend, one)]) if asked else SHARES[-1]
        return mixed(Blend({popular: 1.0}), blend, share), blend
    popular = _popular(models, asked)
    found = chosen[0][0] if len(chosen) == 1 else mixed(chosen[0][0], chosen[1][0], 0.5)
    found = _careful(models, popular, found, sum(users for _, users in chosen))
    # Each kind is asked about the blend of the other, which has not seen it.
    tried = [_careful(models, popular, blend, users) for blend, users in chosen]
    share = _share_of(popular, models, list(zip(tried, asked[::-1], strict=True)))
    return mixed(Blend({popular: 1.0}), found, share), found


def all_of(newcomers: Sequence[Newcomers]) -> Newcomers:
    """Newcomers of all kinds."""
    return reduce(Newcomers.joined, newcomers)


def with_few(models: Mapping[str, Recommender], blends: Blends, newcomers: Sequence[Newcomers]) -> Blends:
    """With the longest histories for which the newcomers' blend is better for them than the others' is.

    Where customers come back to items, the fewest: newcomers do not tell yet what they will buy again.
    """
    if blends.may_repeat:
        return blends
    everybody = all_of(newcomers)
    for few in FEW_ITEMS:
        known = everybody.knowing(few).without_seen()
        if len(known.histories) < LEAST_USERS:
            break
        cold, others = (
            ndcg(lambda some: tried.score(models, some, True), known).mean()  # noqa: B023
            for tried in (replace(blends, few=few), replace(blends, few=0))
        )
        if cold <= others:
            break
        blends = replace(blends, few=few)
    return blends


def _popular(models: Mapping[str, Recommender], asked: Sequence[Audience]) -> str:
    """Of the models of popularity (of these days, of all times) the one that pleases newcomers most."""
    names = [name for name in models if family_of(name).name == "popularity"]
    if len(names) < 2 or not asked:
        return "popularity"

    def quality(name: str) -> float:
        alone = Blend({name: 1.0})
        # The first of the shares is popularity alone.
        return float(np.mean([_by_share(models, name, alone, one)[0].mean() for one in asked]))

    return max(names, key=quality)


def _careful(models: Mapping[str, Recommender], popular: str, blend: Blend, users: int) -> Blend:
    """A blend that so many newcomers chose, mixed with the default."""
    names = [name for name in (popular, "item_neighbours") if name in models]
    default = Blend({name: 1 / len(names) for name in names}) if names else blend
    return mixed(blend, default, users / (users + CHOOSERS))


def _share_of(
    popular: str, models: Mapping[str, Recommender], tried: Sequence[tuple[Blend, Audience]]
) -> float:
    """How much of popularity a blend is mixed with where one item is known.

    The most that is not worse than the best by more than a standard error: one item is little evidence of a
    taste, and ties go to what pleases most.
    """
    if popular not in models:
        return 0.0
    quality = np.concatenate([_by_share(models, popular, *one) for one in tried], axis=1)
    best = quality[int(np.argmax(quality.mean(axis=1)))]
    losses = best - quality
    enough = losses.mean(axis=1) <= losses.std(axis=1, ddof=1) / np.sqrt(losses.shape[1])
    return SHARES[int(np.argmax(enough))]


def _by_share(
    models: Mapping[str, Recommender], popular: str, blend: Blend, audience: Audience
) -> NDArray[np.float64]:
    """nDCG of each user by each share of popularity, `(n_shares, n_users)`."""
    count, n_items = audience.histories.matrix.shape
    ranked = np.empty((len(SHARES), count, LIST_LENGTH), dtype=np.int32)
    for part in batches(count, n_items, 128):
        some = audience.histories.take(np.arange(part.start, part.stop, dtype=np.int64))
        of_all, own = normalise(models[popular].score(some)), blend.score(models, some)
        for place, share in enumerate(SHARES):
            scores = np.float32(share) * of_all + np.float32(1.0 - share) * own
            ranked[place, part] = top_k(scores, LIST_LENGTH, some.unseen)[0]
    return np.stack([ranking_metrics(lists, audience.wanted)["ndcg"] for lists in ranked])
