"""What a list is about: a person with all that is known of them, or the items of a page or a cart alone."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from app.db.queries.items import items_by_key
from app.learning.dataset import Histories
from app.learning.ranking.blend import Blend, normalise
from app.learning.recommenders.base import Scores
from app.learning.recommenders.content import Content
from app.learning.recommenders.evidence import Evidence
from app.schemas.recommendations import RecommendationRequest
from app.services.arrivals import item_table
from app.services.histories import Events, history_of, read_events
from app.services.live import Live
from app.services.live_model import LiveModel

NO_ITEMS: Final = "No item of item_ids is known: the list is about the person."
_LEAST_CONTENT: Final = 1e-3
"""Weight of content in a list about items, so that it orders those of which behaviour says nothing."""
_MOST_NEW: Final = 20
"""Items newer than the model that are compared: each takes a score for every item."""


@dataclass(frozen=True)
class Topic:
    """What the scores of a list come from."""

    events: Events
    """As the reasons tell them."""
    history: Callable[[], Histories]
    """A batch of one."""
    blend: Blend
    """Without weights where none of the wanted sources is there."""
    scores: dict[str, Scores | Evidence]
    """Of each family of the blend."""
    positions: NDArray[np.int64]
    """Of the model's items in the catalogue, `(n_items,)`."""
    together: NDArray[np.float32] | None = None
    """Strength of the rules from the items to each of the model's, `(n_items,)`."""


def names_items(connection: Connection, request: RecommendationRequest, now: int) -> Events | None:
    """The items that the list is about, as events of this moment; None for a list about the person."""
    if request.about == "person" or not request.item_ids:
        return None
    events = read_events(connection, None, None, request.item_ids, now)
    return events if events.item_keys else None


def about_person(
    live: Live, model: LiveModel, request: RecommendationRequest, events: Events, exclude_seen: bool
) -> Topic:
    """A list by all that is known of the person."""
    history = history_of(events, model)
    # Sessions chose by what was new to them, and otherwise nothing of the visit is listed again.
    anonymous = request.user_id is None and request.exclude_seen is not False
    blend = model.version.blend_for(history, exclude_seen, anonymous).only(request.sources)
    scores = model.family_scores(history, blend)
    return Topic(events, lambda: history, blend, scores, model.positions(live.catalogue))


def excludes_seen(model: LiveModel | None, request: RecommendationRequest) -> bool:
    """Whether a list leaves out what the person has seen."""
    may_repeat = model is not None and model.version.blends.may_repeat
    return not may_repeat if request.exclude_seen is None else request.exclude_seen


def about_items(
    connection: Connection, live: Live, model: LiveModel, request: RecommendationRequest, events: Events
) -> Topic:
    """A list by items alone: by what those who chose them chose next, and by what they are described like."""
    version, sources = model.version, request.sources
    history = history_of(events, model, with_newer=False)
    content = version.recommenders.get("content")
    weights = dict(version.blends.similar.weights)
    if isinstance(content, Content):
        weights["content"] = max(weights.get("content", 0.0), _LEAST_CONTENT)
    blend = Blend(weights).only(sources)
    scores = model.family_scores(history, blend)
    if not history.matrix.nnz and isinstance(content, Content) and "content" in blend.weights:
        # All of them are newer than the model.
        rows = items_by_key(connection, events.item_keys[:_MOST_NEW])
        vectors = content.vectorise(item_table([rows[key] for key in sorted(rows)]))
        blend = Blend({"content": 1.0})
        scores = {"content": Evidence.of(normalise(content.similar(vectors).sum(axis=0, keepdims=True)))}
    rules = version.analytics.rules
    together = None
    if rules is not None and history.matrix.nnz and (sources is None or "bought_together" in sources):
        together = rules.score(history)[0]
    told = replace(events, names=["view_item"] * len(events.names)) if request.about == "item" else events
    return Topic(told, lambda: history, blend, scores, model.positions(live.catalogue), together)
