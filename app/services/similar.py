"""Items like an item, users like a user."""

from typing import Any, Literal

import numpy as np
from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import ModelNotReady, NotFound
from app.db.queries.items import find_item
from app.db.queries.users import external_ids, user_key
from app.db.rows import AnyRow
from app.learning.ranking.blend import Blend, normalise
from app.learning.ranking.top_k import top_k
from app.learning.recommenders.base import Scores
from app.learning.recommenders.content import Content
from app.learning.recommenders.user_neighbours import UserNeighbours
from app.services.arrivals import item_table
from app.services.histories import history_of, read_events, single_item_histories
from app.services.live import Live
from app.services.live_model import LiveModel

By = Literal["behaviour", "content", "hybrid"]
_LEAST_CONTENT = 1e-3
"""Weight of content in `hybrid`, whatever the trial found."""


def similar_items(
    connection: Connection, live: Live, item_id: str, by: By, category: str | None, n: int
) -> dict[str, Any]:
    """Items like an item that can be bought now; raises NotFound.

    By what the same people chose (`behaviour`), by what the shop says of them (`content`), or both. Items
    that are newer than the model are compared by content.
    """
    row = find_item(connection, item_id)
    if row is None:
        raise NotFound(f"There is no item '{item_id}'.")
    live.catalogue.refresh(connection)
    now = now_ms()
    model = live.current
    if model is None:
        return _listed(None, now, [], [f"{live.lack}: nothing is known to be similar."])
    model.take_in(connection, live.catalogue)
    scores, warnings = _item_scores(model, row, by)
    allowed = live.catalogue.available(now, category)
    own = live.catalogue.positions_of(np.array([row.id]))
    allowed[own[own >= 0]] = False
    positions = model.positions(live.catalogue)
    if by != "behaviour":
        # What came after the training is as similar as what it is described like, the item itself among it.
        with_itself, index = scores[0].copy(), model.indexes_of(np.array([row.id]))
        with_itself[index[index >= 0]] = scores.max(initial=0.0)
        came, lent = model.arrivals.lend(with_itself.__getitem__)
        inside = came < len(allowed)
        positions = np.concatenate([positions, came[inside]])
        scores = np.hstack([scores, lent[None, inside]])
    chosen, best = top_k(scores, n, allowed[positions] & (scores[0] > 0))
    picked = [
        (live.catalogue.external_ids[positions[index]], float(score))
        for index, score in zip(chosen[0], best[0], strict=True)
        if index >= 0
    ]
    return _listed(model, now, picked, warnings + live.catalogue.missing_category(category))


def similar_users(connection: Connection, live: Live, user_id: str, n: int) -> dict[str, Any]:
    """Users with the most similar histories; raises NotFound, or ModelNotReady without a model of users."""
    now = now_ms()
    key = user_key(connection, user_id)
    if key is None:
        raise NotFound(f"There is no user '{user_id}'.")
    model = live.current
    neighbours = model.version.recommenders.get("user_neighbours") if model else None
    if model is None or not isinstance(neighbours, UserNeighbours):
        raise ModelNotReady("No model of similar users is trained yet; start a training run.")
    history = history_of(read_events(connection, user_id, None, [], now), model)
    # Among the nearest are sessions, users erased since, and the user itself.
    subjects, similarities = neighbours.neighbours(history, 4 * n + 10)
    keys = model.version.user_keys
    found = [
        (int(keys[subject]), float(similarity))
        for subject, similarity in zip(subjects[0], similarities[0], strict=True)
        if 0 <= subject < len(keys) and similarity > 0 and keys[subject] != key
    ]
    names = external_ids(connection, [other for other, _ in found])
    named = [(names[other], similarity) for other, similarity in found if other in names][:n]
    return {
        "model_version": model.name,
        "as_of": rfc3339(now),
        "users": [
            {"user_id": name, "rank": place, "score": similarity}
            for place, (name, similarity) in enumerate(named, 1)
        ],
    }


def _item_scores(model: LiveModel, row: AnyRow, by: By) -> tuple[Scores, list[str]]:
    """Similarity of all the model's items to one, `(1, n_items)`."""
    version = model.version
    index = int(model.indexes_of(np.array([row.id]))[0])
    weights = dict(version.blends.similar.weights)
    described = weights.pop("content", 0.0)
    scores = np.zeros((1, version.n_items), dtype=np.float32)
    warnings = []
    if by != "content" and index >= 0 and weights:
        alone = single_item_histories(np.array([index], dtype=np.int32), version.n_items)
        scores += Blend(weights).score(version.recommenders, alone)
    content = version.recommenders.get("content")
    if isinstance(content, Content) and (by != "behaviour" or index < 0):
        if index < 0 and by == "behaviour":
            warnings.append("The item is newer than the model: it is compared by content.")
        # Where behaviour alone is what counts, content still orders the items of which it says nothing.
        weight = max(described, _LEAST_CONTENT) if scores.any() else 1.0
        scores += np.float32(weight) * normalise(content.similar(content.vectorise(item_table([row]))))
    if not scores.any():
        warnings.append("The model has nothing to compare this item by.")
    return scores, warnings


def _listed(
    model: LiveModel | None, now: int, picked: list[tuple[str, float]], warnings: list[str]
) -> dict[str, Any]:
    return {
        "model_version": model.name if model else None,
        "as_of": rfc3339(now),
        "items": [
            {"item_id": item_id, "rank": place, "score": score}
            for place, (item_id, score) in enumerate(picked, 1)
        ],
        "warnings": warnings,
    }
