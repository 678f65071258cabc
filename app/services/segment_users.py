"""Who is in a segment, page by page, with what is known of them."""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from app.db.queries.users import external_ids
from app.learning.analytics import Analytics
from app.learning.customers.tastes import Tastes
from app.services.customers import analytics_of
from app.services.live import Live
from app.services.paging import decode_cursor, encode_cursor
from app.services.segments import RFM, RULE, matched_rule, model_of, scores_of, unknown

ROWS_AT_ONCE: Final = 2_000
"""Rows of a table that are looked up together; engines bound the number of parameters."""
_SCORES: Final = ("rfm_recency", "rfm_frequency", "rfm_monetary")


@dataclass(frozen=True)
class Members:
    """The customers of a segment, as of the version that the request began with."""

    segment_id: str
    model_version: str
    analytics: Analytics
    rows: NDArray[np.int64]
    """Of the version's table of customers, ascending, as their keys are."""

    @property
    def keys(self) -> NDArray[np.int64]:
        """Database keys of the members, ascending."""
        return np.asarray(self.analytics.customers.user_keys[self.rows])

    @property
    def scored(self) -> bool:
        return self.segment_id.partition("-")[0] == RFM

    @property
    def columns(self) -> list[str]:
        """Of the segment's table."""
        judged = self.analytics.judged
        return ["user_id", *(_SCORES if self.scored else ()), *judged.features.names, *judged.figures]


def members_of(connection: Connection, live: Live, segment_id: str) -> Members:
    """Raises NotFound, ModelNotReady, Conflict for a filter that cannot be applied now."""
    model, analytics = analytics_of(live)
    kind = segment_id.partition("-")[0]
    if kind == RULE:
        rows = matched_rule(connection, live, segment_id)[1].rows
        return Members(segment_id, model.name, analytics, rows)
    made = model_of(analytics, kind)
    named = made.segmentation if isinstance(made, Tastes) else made
    if named is None or segment_id not in named.segment_ids:
        raise unknown(segment_id)
    place = named.segment_ids.index(segment_id)
    if not named.sizes[place]:
        raise unknown(segment_id)
    rows = np.flatnonzero(np.asarray(analytics.judged.segments[kind]) == place)
    return Members(segment_id, model.name, analytics, rows)


def list_segment_users(
    connection: Connection, live: Live, segment_id: str, cursor: str | None, limit: int
) -> dict[str, Any]:
    """A page of a segment's users without those that were erased since; raises as `members_of` does."""
    (after,) = decode_cursor(cursor, int) or (-1,)
    members = members_of(connection, live, segment_id)
    keys = members.keys
    start = int(np.searchsorted(keys, after, side="right"))
    found: list[tuple[int, int, str]] = []
    # One more than asked for shows whether there is another page; erased users make room for the next.
    while len(found) <= limit and start < len(keys):
        some = keys[start : start + limit + 1 - len(found)].tolist()
        names = external_ids(connection, some)
        found += [(start + place, key, names[key]) for place, key in enumerate(some) if key in names]
        start += len(some)
    page = found[:limit]
    scores = None
    if members.scored:
        rows = members.rows[[place for place, _, _ in page]] if page else members.rows[:0]
        of = members.analytics.judged.rfm_scores[rows].tolist()
        scores = {name: scores_of(one) for (_, _, name), one in zip(page, of, strict=True)}
    return {
        "segment_id": segment_id,
        "model_version": members.model_version,
        "users": [name for _, _, name in page],
        "scores": scores,
        "next_cursor": encode_cursor([page[-1][1]]) if len(found) > limit else None,
    }


def member_table(connection: Connection, members: Members, start: int) -> list[dict[str, Any]]:
    """`ROWS_AT_ONCE` rows of the segment's table: ids, features and predicted figures; None is unknown."""
    rows = members.rows[start : start + ROWS_AT_ONCE]
    keys = members.keys[start : start + ROWS_AT_ONCE].tolist()
    names = external_ids(connection, keys)
    judged = members.analytics.judged
    parts = [judged.features.values[rows], *(values[rows][:, None] for values in judged.figures.values())]
    if members.scored:
        parts = [judged.rfm_scores[rows].astype(np.float64), *parts]
    table = []
    for key, values in zip(keys, np.hstack(parts).tolist(), strict=True):
        if key in names:
            shown = [_shown(value) for value in values]
            table.append(dict(zip(members.columns, [names[key], *shown], strict=True)))
    return table


def _shown(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value
