"""The blends of a version, each chosen on the histories that it will meet."""

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from app.learning.dataset import Histories
from app.learning.evaluation.blending import ScoreBatch, collect_candidates, learn_blend
from app.learning.evaluation.harness import batches, take_histories
from app.learning.ranking.blend import Blend, Blends, normalise
from app.learning.recommenders.base import NotEnoughData, Recommender
from app.learning.recommenders.sparse import most_recent_histories
from app.training.judging import LIST_LENGTH, Audience
from app.training.progress import Progress

COLD_ITEMS = 2
"""Latest items to which histories are cut to stand for those of newcomers."""
LEAST_USERS = 10
_DEFAULT = {
    "item_neighbours": 0.25,
    "ease": 0.25,
    "session_neighbours": 0.2,
    "content": 0.1,
    "popularity": 0.2,
}
"""Weights where too few users can choose them."""


def default_blend(models: dict[str, Recommender]) -> Blend:
    """The blend where nothing can be measured."""
    return refit_blend(Blend(_DEFAULT), models)


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
    models: dict[str, Recommender], audience: Audience, may_repeat: bool, progress: Progress
) -> Blends:
    """Learn weights for the usual list, for lists without seen items, and for newcomers."""
    usual = _choose(models, audience, not may_repeat, progress.part("evaluate", 0.0, 0.4))
    new = usual
    if may_repeat:
        unseen = audience.without_seen()
        if len(unseen.histories) >= LEAST_USERS:
            new = _choose(models, unseen, True, progress.part("evaluate", 0.4, 0.7))
    newcomers = Audience(most_recent_histories(audience.histories, COLD_ITEMS), audience.wanted)
    cold = _choose(models, newcomers, not may_repeat, progress.part("evaluate", 0.7, 1.0))
    return Blends(usual, new, cold, may_repeat)


def _choose(
    models: dict[str, Recommender], audience: Audience, exclude_seen: bool, progress: Progress
) -> Blend:
    def score_batches() -> Iterator[ScoreBatch]:
        parts = batches(len(audience.histories), audience.histories.matrix.shape[1], 128)
        for number, part in enumerate(parts):
            some = _slice(audience.histories, part)
            scores = {name: normalise(model.score(some)) for name, model in models.items()}
            yield ScoreBatch(scores, csr_array(some.matrix) if exclude_seen else None)
            progress.done((number + 1) / len(parts))

    candidates = collect_candidates(score_batches())
    return learn_blend(candidates, audience.wanted, LIST_LENGTH)


def _slice(histories: Histories, part: slice) -> Histories:
    return take_histories(histories, np.arange(part.start, part.stop, dtype=np.int64))
