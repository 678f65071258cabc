"""Predicted ratings, from what the user has rated by now."""

from typing import Any

import numpy as np
from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import ModelNotReady
from app.db.bulk import keys_by_external_id
from app.db.queries.interactions import ratings_of_user
from app.db.queries.users import user_key
from app.db.tables import items
from app.learning.ratings.base import Ratings
from app.schemas.ratings import RatingRequest
from app.services.live import Live
from app.services.live_model import LiveModel

MAX_RATINGS = 2_000
"""Latest ratings of a user that count."""


def predict_ratings(connection: Connection, live: Live, request: RatingRequest) -> dict[str, Any]:
    """Ratings on the shop's own scale; raises ModelNotReady where no rating model is trained."""
    model = live.current
    if model is None or model.version.rating_model is None or model.version.scale is None:
        raise ModelNotReady("No rating model is trained: it needs `rate` events and a training run.")
    now = now_ms()
    known = _ratings_of(connection, request.user_id, model)
    wanted = sorted(set(request.item_ids))
    keys = keys_by_external_id(connection, items, wanted)
    indexes = model.indexes_of(np.array([keys.get(item_id, -1) for item_id in wanted], dtype=np.int64))
    asked = indexes[indexes >= 0]
    mean, std = model.version.rating_model.predict(known, np.zeros(len(asked), dtype=np.int64), asked)
    predicted = dict(zip(asked.tolist(), zip(mean.tolist(), std.tolist(), strict=True), strict=True))
    index_of = dict(zip(wanted, indexes.tolist(), strict=True))
    warnings = []
    if not len(known):
        warnings.append("The user has rated nothing: the predictions are the items' averages.")
    return {
        "user_id": request.user_id,
        "model_version": model.name,
        "as_of": rfc3339(now),
        "scale": {"low": model.version.scale.low, "high": model.version.scale.high},
        "predictions": [
            _prediction(item_id, predicted.get(index_of[item_id])) for item_id in request.item_ids
        ],
        "warnings": warnings,
    }


def _prediction(item_id: str, predicted: tuple[float, float] | None) -> dict[str, Any]:
    rating, std = predicted if predicted is not None else (None, None)
    return {"item_id": item_id, "rating": rating, "std": std}


def _ratings_of(connection: Connection, user_id: str, model: LiveModel) -> Ratings:
    """The user's latest rating of each item that the model knows."""
    key = user_key(connection, user_id)
    rated = [] if key is None else ratings_of_user(connection, key, MAX_RATINGS)
    indexes = model.indexes_of(np.array([row.item_id for row in rated], dtype=np.int64))
    latest: dict[int, float] = {}
    # Newest first: what is there already is the later rating.
    for index, row in zip(indexes.tolist(), rated, strict=True):
        if index >= 0:
            latest.setdefault(index, row.value)
    return Ratings(
        np.zeros(len(latest), dtype=np.int32),
        np.array(list(latest), dtype=np.int32),
        np.array(list(latest.values()), dtype=np.float32),
        (1, model.version.n_items),
    )
