"""The blend for anonymous visitors, of whom only the visit is known."""

import numpy as np

from app.learning.ranking.blend import Blend, Blends
from app.learning.recommenders.base import Recommender
from app.training.choosing import CHOOSERS, LEAST_USERS, choose, clearly_positive, mixed, ndcg
from app.training.newcomers import Newcomers
from app.training.progress import Progress


def choose_for_sessions(
    models: dict[str, Recommender],
    sessions: Newcomers,
    blends: Blends,
    rng: np.random.Generator,
    progress: Progress,
) -> Blend | None:
    """What leads from how sessions began to what they went on to; None where `blends` do that as well.

    Each session tells a part of itself, as long as chance will have it: a request comes at any point of a
    visit. Either half of them chooses, and the other half judges: by what it is served now, as a newcomer or
    as anybody of so long a history.
    """
    asked = sessions.part_way(rng).without_seen()
    count = len(asked.histories)
    if count < 2 * LEAST_USERS:
        return None
    parts = [asked.take(np.sort(half)) for half in np.array_split(rng.permutation(count), 2)]
    chosen: list[Blend] = []
    for number, part in enumerate(parts):
        found = choose(models, part, True, rng, progress.part("evaluate", number / 2, (number + 1) / 2))
        users = len(part.histories)
        chosen.append(mixed(found, blends.cold, users / (users + CHOOSERS)))
    gains = [
        ndcg(lambda some: blend.score(models, some), part)  # noqa: B023
        - ndcg(lambda some: blends.score(models, some, True), part)
        for blend, part in zip(chosen, parts[::-1], strict=True)
    ]
    return mixed(chosen[0], chosen[1], 0.5) if clearly_positive(np.concatenate(gains)) else None
