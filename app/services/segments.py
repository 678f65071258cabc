"""Segments of customers, as the active model version has them."""

from typing import Any

import numpy as np
from sqlalchemy import Connection

from app.core.clock import rfc3339
from app.core.errors import ModelNotReady, NotFound
from app.db.queries.users import external_ids, user_key
from app.learning.customers.segmentation import Segmentation
from app.services.live import Live, LiveModel
from app.services.paging import decode_cursor, encode_cursor

KIND = "kmeans"


def list_segments(live: Live, kind: str | None) -> dict[str, Any]:
    """All segments (of one kind); raises ModelNotReady before the first segmentation."""
    model, segmentation = _segmentation(live)
    described = segmentation.describe()
    wanted = kind in (None, KIND)
    return {
        "model_version": model.name,
        "as_of": rfc3339(model.version.as_of),
        "segments": [_answer(entry) for entry in described["segments"]] if wanted else [],
        "quality": {KIND: described["quality"]},
        "units": described["units"],
    }


def get_segment(live: Live, segment_id: str) -> dict[str, Any]:
    """One segment; raises NotFound, ModelNotReady."""
    model, segmentation = _segmentation(live)
    described = segmentation.describe()
    number = _number(segmentation, segment_id)
    return {
        "model_version": model.name,
        "as_of": rfc3339(model.version.as_of),
        "segment": _answer(described["segments"][number]),
        "units": described["units"],
    }


def list_segment_users(
    connection: Connection, live: Live, segment_id: str, cursor: str | None, limit: int
) -> dict[str, Any]:
    """A page of a segment's users; raises NotFound, ModelNotReady."""
    model, segmentation = _segmentation(live)
    number = _number(segmentation, segment_id)
    (after,) = decode_cursor(cursor, int) or (-1,)
    rows = np.flatnonzero(np.asarray(segmentation.labels) == number)
    rows = rows[np.searchsorted(rows, after, side="right") :][: limit + 1]
    page = rows[:limit]
    names = external_ids(connection, [int(key) for key in model.version.user_keys[page]])
    return {
        "segment_id": segment_id,
        "model_version": model.name,
        "users": [names[int(key)] for key in model.version.user_keys[page] if int(key) in names],
        "next_cursor": encode_cursor([int(page[-1])]) if len(rows) > limit else None,
    }


def segments_of_user(connection: Connection, live: Live, user_id: str) -> dict[str, Any]:
    """The segments that a user is in; raises NotFound, ModelNotReady."""
    model, segmentation = _segmentation(live)
    key = user_key(connection, user_id)
    if key is None:
        raise NotFound(f"There is no user '{user_id}'.")
    row = int(np.searchsorted(model.version.user_keys, key))
    known = row < len(model.version.user_keys) and model.version.user_keys[row] == key
    number = int(segmentation.labels[row]) if known else -1
    return {
        "user_id": user_id,
        "model_version": model.name,
        "as_of": rfc3339(model.version.as_of),
        "segments": [_answer(segmentation.describe()["segments"][number])] if number >= 0 else [],
        "warnings": [] if number >= 0 else ["The user had no interactions at the last training."],
    }


def _segmentation(live: Live) -> tuple[LiveModel, Segmentation]:
    model = live.current
    if model is None or KIND not in model.version.analytics.customers.segmentations:
        raise ModelNotReady(
            "No segments are known yet: they need ten users with different histories and a training run."
        )
    return model, model.version.analytics.customers.segmentations[KIND]


def _number(segmentation: Segmentation, segment_id: str) -> int:
    for number in range(len(segmentation.sizes)):
        if segment_id == _segment_id(number):
            return number
    raise NotFound(f"There is no segment '{segment_id}'.")


def _segment_id(number: int) -> str:
    return f"{KIND}-{number + 1}"


def _answer(entry: dict[str, Any]) -> dict[str, Any]:
    fields = {name: value for name, value in entry.items() if name != "segment"}
    return {"segment_id": _segment_id(entry["segment"]), "kind": KIND, **fields}
