"""Why an item was recommended: which of the person's own items carried its score."""

from typing import Any

import numpy as np
from sqlalchemy import Connection

from app.db.queries.items import items_by_key
from app.learning.dataset import Histories
from app.learning.ranking.blend import Blend
from app.learning.recommenders.registry import FAMILIES
from app.services.histories import Events, single_item_histories
from app.services.live import Live, LiveModel

MAX_ITEMS = 50
"""Latest items of the history that are considered."""
MAX_EVIDENCE = 3
_VERBS = (
    ("purchase", "you bought"),
    ("rate", "you rated"),
    ("add_to_cart", "you put into the cart"),
    ("add_to_wishlist", "you wished for"),
)
_IMPERSONAL = {
    "popular": "Popular with other customers",
    "trending": "Trending now",
    "latest": "New in the shop",
    "social": "Liked by people you know",
}


def explain(
    connection: Connection,
    live: Live,
    model: LiveModel,
    blend: Blend,
    events: Events,
    history: Histories,
    positions: list[int],
    sources: list[str],
) -> list[dict[str, Any]]:
    """A reason for each recommended position.

    The evidence of an item is what the blend would give the recommended one if that item were the whole
    history: exact for models that are linear in the history, the nearest thing to it for the others.
    """
    if not history.matrix.nnz:
        return [impersonal(source) for source in sources]
    order = np.argsort(history.ages, kind="stable")[:MAX_ITEMS]
    owned = history.matrix.indices[order]
    alone = single_item_histories(owned, model.version.n_items)
    carried = np.zeros((len(owned), model.version.n_items), dtype=np.float32)
    for name, scores in model.version.family_scores(alone, blend).items():
        if FAMILIES[name].source not in _IMPERSONAL:  # these say the same of every history
            carried += blend.weights[name] * scores
    indexes = model.indexes_of(live.catalogue.keys[positions])
    weighed = history.matrix.data[order][:, None] * carried[:, indexes]
    keys = [int(model.version.item_keys[item]) for item in owned]
    rows = items_by_key(connection, keys)
    verbs = _verbs(events)
    reasons = []
    for column, source in enumerate(sources):
        shares = weighed[:, column]
        best = np.argsort(-shares, kind="stable")[:MAX_EVIDENCE]
        best = best[shares[best] > 0]
        if source in _IMPERSONAL or not len(best):
            reasons.append(impersonal(source))
            continue
        total = float(shares[shares > 0].sum())
        because = [
            {
                "item_id": rows[keys[place]].external_id,
                "title": rows[keys[place]].title,
                "weight": round(float(shares[place]) / total, 4),
            }
            for place in best
        ]
        first = because[0]
        verb = verbs.get(keys[best[0]], "you looked at")
        if owned[best[0]] == indexes[column]:
            text = f"{verb[0].upper()}{verb[1:]} this before"
        else:
            opening = "Similar to what" if source == "content" else "Because"
            text = f"{opening} {verb}: {first['title'] or first['item_id']}"
        reasons.append({"text": text, "because": because})
    return reasons


def impersonal(source: str) -> dict[str, Any]:
    """The reason where none of the person's own items carried the score."""
    return {"text": _IMPERSONAL.get(source, "Liked by similar customers"), "because": []}


def _verbs(events: Events) -> dict[int, str]:
    """What the person did with each item, at the most."""
    found: dict[int, str] = {}
    for name, verb in _VERBS:
        for key, event in zip(events.item_keys, events.names, strict=True):
            if event == name:
                found.setdefault(key, verb)
    return found
