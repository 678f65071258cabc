"""Lists of many people: what the models say of all of them is worked out together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from sqlalchemy import Connection

from app.core.clock import now_ms
from app.learning.ranking.blend import known_and_idle
from app.schemas.recommendations import RecommendationRequest
from app.services.histories import Events, histories_of, read_events
from app.services.live import Live
from app.services.live_model import LiveModel
from app.services.topic import Topic, excludes_seen

AT_ONCE: Final = 100
"""People of whom the models are asked at once."""
SCORES_AT_ONCE: Final = 20_000_000
"""Scores that a model with evidence of all items may answer at once."""


def at_once(live: Live) -> int:
    """Of how many people the models are asked at once."""
    return max(1, min(AT_ONCE, SCORES_AT_ONCE // max(1, len(live.catalogue))))


@dataclass(frozen=True)
class Asked:
    """What a list is made of, read and scored before."""

    model: LiveModel
    events: Events
    topic: Topic


def asked_together(
    connection: Connection, live: Live, requests: Sequence[RecommendationRequest]
) -> list[Asked | None]:
    """For each request what it needs of the person and the models; None where it is to be asked by itself.

    That is so for all that is more than a user's own list without reasons.
    """
    model = live.current
    if model is None:
        return [None] * len(requests)
    live.catalogue.refresh(connection)
    model.take_in(connection, live.catalogue)
    read: dict[int, Events] = {}
    for place, request in enumerate(requests):
        if request.user_id is not None and not (request.session or request.item_ids or request.explain):
            events = read_events(connection, request.user_id, None, [], now_ms(), model.uses_ties)
            if not events.ties:
                read[place] = events
    histories = histories_of(list(read.values()), model)
    known, idle = known_and_idle(histories)
    blends = []
    for row, place in enumerate(read):
        exclude_seen = excludes_seen(model, requests[place])
        blend = model.version.blends.of(int(known[row]), float(idle[row]), exclude_seen)
        blends.append(blend.only(requests[place].sources))
    found: list[Asked | None] = [None] * len(requests)
    positions = model.positions(live.catalogue)
    scores = model.family_scores_of(histories, blends)
    for row, (place, events) in enumerate(read.items()):
        history = partial(histories.take, np.array([row]))
        found[place] = Asked(model, events, Topic(events, history, blends[row], scores[row], positions))
    return found
