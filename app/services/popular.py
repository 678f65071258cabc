"""What all customers take an interest in, counted from the events themselves, and what is new."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import InputError, InvalidInput
from app.db.queries import interactions
from app.learning.dataset import DAY_MS
from app.services.live import Live

FALLBACK_DAYS = 30
LONGEST_DAYS = 3660
_UNITS = {"h": DAY_MS // 24, "d": DAY_MS, "w": 7 * DAY_MS}
_BEFORE = 4
"""Windows before the one asked about, to which its interest is compared."""
_PRIOR = 5.0
"""Weighted events that are added to what was expected, so that one click makes no trend."""


def popular_scores(connection: Connection, live: Live) -> NDArray[np.float32]:
    """Interest in each item of the catalogue, `(len(catalogue),)`: of the live model, else counted."""
    scores = _learned(live, "popularity")
    return (
        _interest(connection, live, *_last(connection, FALLBACK_DAYS * DAY_MS)) if scores is None else scores
    )


def trending_scores(connection: Connection, live: Live) -> NDArray[np.float32]:
    """Excess of interest in each item, `(len(catalogue),)`: of the live model, else counted."""
    scores = _learned(live, "trending")
    return _excess(connection, live, 7 * DAY_MS) if scores is None else scores


def _learned(live: Live, family: str) -> NDArray[np.float32] | None:
    ranked = None if live.current is None else live.current.ranked(family, live.catalogue)
    if ranked is None:
        return None
    positions, found = ranked
    scores = np.zeros(len(live.catalogue), dtype=np.float32)
    scores[positions] = found
    return scores


def list_popular(
    connection: Connection, live: Live, category: str | None, window: str, n: int
) -> dict[str, Any]:
    """Items by the weight of all events on them within the window before the latest event."""
    live.catalogue.refresh(connection)
    return _listed(live, _interest(connection, live, *_last(connection, parse_window(window))), category, n)


def list_trending(
    connection: Connection, live: Live, category: str | None, window: str, n: int
) -> dict[str, Any]:
    """Items whose interest within the window lies most above that of the four windows before it.

    The score is the excess in standard deviations of a Poisson count, `(x - m) / sqrt(m + 5)`.
    """
    live.catalogue.refresh(connection)
    return _listed(live, _excess(connection, live, parse_window(window)), category, n)


def _excess(connection: Connection, live: Live, length: int) -> NDArray[np.float32]:
    """Interest in each item within the last `length` ms above that of four such windows before."""
    since, until = _last(connection, length)
    recent = _interest(connection, live, since, until)
    before = _interest(connection, live, since - _BEFORE * (until - since), since)
    # What the item would have had with its share of the windows before, were all events as many as then.
    total = float(before.sum())
    expected = before * (float(recent.sum()) / total) if total > 0 else np.zeros_like(before)
    return np.asarray((recent - expected) / np.sqrt(expected + _PRIOR), dtype=np.float32)


def list_latest(connection: Connection, live: Live, category: str | None, n: int) -> dict[str, Any]:
    """Items by the time from which they are offered (or were first seen), latest first."""
    live.catalogue.refresh(connection)
    now = now_ms()
    allowed = live.catalogue.available(now, category)
    chosen = live.catalogue.newest(allowed, n)
    since = live.catalogue.since
    return _answer(live, now, [(at, float(since[at])) for at in chosen], category)


def parse_window(window: str) -> int:
    """A window such as 12h, 7d or 4w in milliseconds; raises InvalidInput."""
    found = re.fullmatch(r"([1-9][0-9]{0,3})([hdw])", window)
    if found is None or int(found[1]) * _UNITS[found[2]] > LONGEST_DAYS * DAY_MS:
        detail = "Give a number and h, d or w, such as 12h, 7d or 4w, of ten years at most"
        raise InvalidInput(
            f"'{window}' is not a window of time.", [InputError("/query/window", "bad_window", detail)]
        )
    return int(found[1]) * _UNITS[found[2]]


def _last(connection: Connection, length: int) -> tuple[int, int]:
    """The window that ends with the latest event: an imported history has its own present."""
    until = min(now_ms(), interactions.latest_time(connection) or 0)
    return until - length, until


def _interest(connection: Connection, live: Live, since: int, until: int) -> NDArray[np.float32]:
    counts = interactions.counts_by_item(connection, since, until)
    weights = live.event_weights
    positions = live.catalogue.positions_of(np.array([item for item, _, _ in counts], dtype=np.int64))
    weighed = np.array([weights.get(name, 0.0) * count for _, name, count in counts], dtype=np.float64)
    known = positions >= 0
    total = np.bincount(positions[known], weighed[known], minlength=len(live.catalogue))
    return np.maximum(total, 0).astype(np.float32)


def _listed(live: Live, scores: NDArray[np.float32], category: str | None, n: int) -> dict[str, Any]:
    now = now_ms()
    allowed = live.catalogue.available(now, category)[: len(scores)]
    return _answer(live, now, live.catalogue.best(scores, allowed, n), category)


def _answer(live: Live, now: int, picked: list[tuple[int, float]], category: str | None) -> dict[str, Any]:
    return {
        "model_version": None,
        "as_of": rfc3339(now),
        "items": [
            {"item_id": live.catalogue.external_ids[at], "rank": rank, "score": score}
            for rank, (at, score) in enumerate(picked, 1)
        ],
        "warnings": live.catalogue.missing_category(category),
    }
