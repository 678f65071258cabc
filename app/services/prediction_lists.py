"""All customers by one figure, as of the active version."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from app.core.clock import rfc3339
from app.core.errors import Conflict, InputError, InvalidInput, ModelNotReady
from app.db.queries.users import existing_keys, external_ids
from app.learning.analytics import Analytics
from app.services.customers import analytics_of
from app.services.finite import finite
from app.services.live import Live
from app.services.live_model import LiveModel
from app.services.paging import decode_cursor, encode_cursor
from app.services.predictions import missing_figures
from app.services.segment_users import members_of

Name = Literal[
    "churn", "next_purchase", "expected_days", "value", "alive", "expected_purchases", "lifetime_value"
]
Order = Literal["desc", "asc"]
UNITS: Final[dict[str, str]] = {
    "churn": "probability",
    "next_purchase": "probability",
    "expected_days": "days",
    "value": "currency",
    "alive": "probability",
    "expected_purchases": "days with a purchase",
    "lifetime_value": "currency",
}
COLUMNS: Final = ("user_id", *UNITS, "as_of")
MAX_ROWS: Final = 200_000
"""Customers in one table."""
_KEYS_AT_ONCE: Final = 5_000


@dataclass(frozen=True)
class Wanted:
    """Which customers, in which order."""

    name: Name
    order: Order = "desc"
    low: float | None = None
    high: float | None = None
    segment_id: str | None = None


def list_predictions(
    connection: Connection, live: Live, wanted: Wanted, cursor: str | None, limit: int
) -> dict[str, Any]:
    """A page of customers by a figure; raises ModelNotReady, InvalidInput, Conflict, NotFound.

    A page may be shorter than the limit, by customers who were erased since the version.
    """
    model, chosen, values = _chosen(connection, live, wanted)
    score = -values if wanted.order == "desc" else values
    rows = chosen
    if (after := decode_cursor(cursor, str, str, float, int)) is not None:
        version, figure, last, last_row = after
        if version != model.name:
            raise Conflict("Another model version is active since the page before: begin without a cursor.")
        if figure != _figure(wanted):
            raise InvalidInput(
                "The cursor is of a list by another figure or order.",
                [InputError("/query/cursor", "bad_cursor", "Give it with the name and order it came with")],
            )
        of = score[rows]
        rows = rows[(of > last) | ((of == last) & (rows > last_row))]
    page = _first(rows, score, limit + 1)
    more, page = len(page) > limit, page[:limit]
    keys = [int(key) for key in model.version.user_keys[page]]
    names = external_ids(connection, keys)
    end = [model.name, _figure(wanted), float(score[page[-1]]), int(page[-1])] if more else None
    return {
        "name": wanted.name,
        "unit": UNITS[wanted.name],
        "model_version": model.name,
        "as_of": rfc3339(model.version.as_of),
        "customers": len(chosen),
        "sum": finite(values[chosen].sum()),
        "predictions": [
            {"user_id": names[key], "value": float(values[row])}
            for key, row in zip(keys, page.tolist(), strict=True)
            if key in names
        ],
        "next_cursor": None if end is None else encode_cursor(end),
    }


def table_of_predictions(connection: Connection, live: Live, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """All of them with every figure, in order; raises as `list_predictions`, and for too many.

    What is wrong is raised at the call, not when the rows are taken.
    """
    model, rows, values = _chosen(connection, live, wanted)
    if len(rows) > MAX_ROWS:
        detail = f"{len(rows)} customers match, {MAX_ROWS} fit; give min, max or segment_id"
        raise InvalidInput(f"{detail}.", [InputError("/query/format", "too_many", detail)])
    rows = _first(rows, -values if wanted.order == "desc" else values, len(rows))
    return _rows(connection, model, rows)


def _rows(connection: Connection, model: LiveModel, rows: NDArray[np.int64]) -> Iterator[dict[str, Any]]:
    figures = model.version.analytics.judged.figures
    as_of = rfc3339(model.version.as_of)
    for start in range(0, len(rows), _KEYS_AT_ONCE):
        part = rows[start : start + _KEYS_AT_ONCE]
        keys = [int(key) for key in model.version.user_keys[part]]
        names = external_ids(connection, keys)
        columns = {name: np.asarray(figures[name])[part].tolist() for name in UNITS if name in figures}
        for place, key in enumerate(keys):
            if key in names:
                told = {name: finite(column[place]) for name, column in columns.items()}
                yield {"user_id": names[key], **told, "as_of": as_of}


def _chosen(
    connection: Connection, live: Live, wanted: Wanted
) -> tuple[LiveModel, NDArray[np.int64], NDArray[np.float64]]:
    """The model, the rows that match, and the figure of all rows."""
    model, analytics = analytics_of(live)
    if wanted.low is not None and wanted.high is not None and wanted.low > wanted.high:
        raise InvalidInput(
            "min is above max.", [InputError("/query/min", "above_max", "Give at most what max is")]
        )
    values = _values(analytics, wanted.name)
    kept = np.isfinite(values)
    if wanted.low is not None:
        kept &= values >= wanted.low
    if wanted.high is not None:
        kept &= values <= wanted.high
    if wanted.segment_id is not None:
        kept &= _members(connection, live, analytics, wanted.segment_id)
    keys = np.asarray(model.version.user_keys)
    if len(keys):
        # Who was erased since counts in no number either.
        there = existing_keys(connection, int(keys[0]), int(keys[-1]), len(keys))
        if there is not None:
            kept &= np.isin(keys, there)
    return model, np.flatnonzero(kept), values


def _values(analytics: Analytics, name: str) -> NDArray[np.float64]:
    values = analytics.judged.figures.get(name)
    missing = missing_figures(analytics)
    if values is None or name in missing:
        reason = missing.get(name, missing.get("lifetime", "the data did not suffice"))
        raise ModelNotReady(f"The figure '{name}' is not there: {reason}.")
    return np.asarray(values)


def _members(connection: Connection, live: Live, analytics: Analytics, segment_id: str) -> NDArray[np.bool_]:
    members = members_of(connection, live, segment_id)
    if members.analytics is not analytics:
        raise Conflict("Another model version became active just now: ask again, without a cursor.")
    inside = np.zeros(len(analytics.judged.features), dtype=np.bool_)
    inside[members.rows] = True
    return inside


def _first(rows: NDArray[np.int64], score: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """The `n` rows of the lowest score in its order, equal ones in theirs."""
    if 0 < n < len(rows):
        rows = rows[score[rows] <= np.partition(score[rows], n - 1)[n - 1]]
    return rows[np.argsort(score[rows], kind="stable")][:n]


def _figure(wanted: Wanted) -> str:
    return f"{wanted.name} {wanted.order}"
