"""A blend for an audience, and mixtures of blends."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from app.learning.dataset import Histories
from app.learning.evaluation.blending import ScoreBatch, collect_candidates, learn_blend
from app.learning.evaluation.harness import batches, evaluate_top_n
from app.learning.ranking.blend import Blend, normalise
from app.learning.recommenders.base import Recommender, Scores
from app.training.judging import LIST_LENGTH, Audience
from app.training.progress import Progress

LEAST_USERS = 10
"""Without whom nothing is chosen."""
CHOOSERS = 50
"""Users who choose a blend, from which their choice counts as much as the default."""
LEAST_WEIGHT = 0.02
"""Of a family in a mixture; what counts less is left out."""


def mixed(blend: Blend, other: Blend, share: float) -> Blend:
    """A share of one blend, the rest of the other."""
    weights = {name: share * weight for name, weight in blend.weights.items()}
    for name, weight in other.weights.items():
        weights[name] = weights.get(name, 0.0) + (1.0 - share) * weight
    return Blend.of({name: weight for name, weight in weights.items() if weight >= LEAST_WEIGHT})


def choose(
    models: Mapping[str, Recommender],
    audience: Audience,
    exclude_seen: bool,
    rng: np.random.Generator,
    progress: Progress,
    *more: Audience,
) -> Blend:
    """What is best for an audience, or for several alike. Raises `ValueError` without users."""
    audiences = (audience, *more)

    def score_batches() -> Iterator[ScoreBatch]:
        parts = [
            (one.histories, part)
            for one in audiences
            for part in batches(len(one.histories), one.histories.matrix.shape[1], 128)
        ]
        for number, (histories, part) in enumerate(parts):
            some = _slice(histories, part)
            scores = {name: normalise(model.score(some)) for name, model in models.items()}
            yield ScoreBatch(scores, some.unseen if exclude_seen else None)
            progress.done((number + 1) / len(parts))

    candidates = collect_candidates(score_batches())
    wanted = csr_array(vstack([one.wanted for one in audiences], format="csr"))
    return learn_blend(candidates, wanted, rng, LIST_LENGTH)


def ndcg(
    score: Callable[[Histories], Scores], audience: Audience, exclude_seen: bool = True
) -> NDArray[np.float64]:
    """Of the lists by these scores, for each user of the audience."""
    rows = np.arange(len(audience.histories), dtype=np.int64)
    found = evaluate_top_n(score, audience.histories, rows, audience.wanted, LIST_LENGTH, exclude_seen)
    return found.per_user["ndcg"]


def clearly_positive(gain: NDArray[np.float64]) -> bool:
    """Whether the mean of the users' gains is above 0 by more than a standard error."""
    return bool(gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)))


def _slice(histories: Histories, part: slice) -> Histories:
    return histories.take(np.arange(part.start, part.stop, dtype=np.int64))
