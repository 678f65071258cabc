"""All customers of the active version with everything that it says of them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from app.core.clock import rfc3339
from app.db.queries import exports
from app.db.queries.segment_rules import list_rules
from app.learning.analytics import Analytics
from app.learning.customers.tastes import Tastes
from app.services.customers import analytics_of
from app.services.exports.table import Object, Table, frequent_names
from app.services.live import Live
from app.services.live_model import LiveModel
from app.services.prediction_lists import UNITS
from app.services.predictions import missing_figures
from app.services.rule_matches import Matched, match_filters
from app.services.segments import KINDS, RULE, model_of, rule_id

ROWS_AT_ONCE: Final = 2_000
"""Engines bound the number of parameters; a multiple of 8, because members are kept as bits."""
_SCORES: Final = ("rfm_recency", "rfm_frequency", "rfm_monetary")


@dataclass(frozen=True)
class _Learned:
    """The segments of one kind."""

    kind: str
    labels: NDArray[Any]
    ids: list[str]
    names: list[str]

    def of(self, row: int) -> dict[str, str | None]:
        place = int(self.labels[row])
        known = place >= 0
        return {
            f"segment.{self.kind}.id": self.ids[place] if known else None,
            f"segment.{self.kind}.name": self.names[place] if known else None,
        }


@dataclass(frozen=True)
class _Saved:
    """A saved filter and whom it matches, a bit for each customer."""

    segment_id: str
    name: str
    packed: NDArray[np.uint8]

    def members(self, start: int, n: int) -> NDArray[np.bool_]:
        """Of `n` rows from `start` (a multiple of 8) on."""
        bits = self.packed[start // 8 : (start + n + 7) // 8]
        return np.unpackbits(bits, count=n).astype(np.bool_)


def customers_table(connection: Connection, live: Live, flat: bool) -> Table:
    """One row for each customer that the version knows and who was not erased since; raises ModelNotReady.

    `flat`: attributes are going to be columns. They are those of now, all else is as of the version.
    """
    model, analytics = analytics_of(live)
    notes = _notes(analytics)
    learned = _learned(analytics)
    saved = _saved(connection, live, model, notes)
    scored = "rfm" in {each.kind for each in learned}
    names = frequent_names(exports.stream_user_attributes(connection), notes) if flat else []
    figures = [*UNITS, *(name for name in analytics.judged.figures if name not in UNITS)]
    fields = [
        "user_id",
        *(f"segment.{each.kind}.{part}" for each in learned for part in ("id", "name")),
        *(_SCORES if scored else ()),
        *(f"segment.{RULE}.{part}" for part in ("ids", "names") if saved),
        *figures,
        *analytics.judged.features.names,
        "as_of",
    ]
    as_of = rfc3339(model.version.as_of)
    total = len(analytics.judged.features)

    def rows() -> Iterator[dict[str, Any]]:
        for start in range(0, total, ROWS_AT_ONCE):
            for row in _part(connection, analytics, learned, saved, start):
                yield row | {"as_of": as_of}

    return Table(fields, rows(), total, {"attributes": Object("attribute", names)}, notes)


def _part(
    connection: Connection, analytics: Analytics, learned: list[_Learned], saved: list[_Saved], start: int
) -> Iterator[dict[str, Any]]:
    """Rows of up to `ROWS_AT_ONCE` customers, without figures where they do not apply."""
    judged = analytics.judged
    keys = analytics.customers.user_keys[start : start + ROWS_AT_ONCE].tolist()
    part = slice(start, start + len(keys))
    users = exports.users_by_key(connection, keys)
    features = np.asarray(judged.features.values[part]).tolist()
    known = judged.features.known[part].tolist()
    scores = judged.rfm_scores[part].tolist()
    figures = {name: np.asarray(values[part]).tolist() for name, values in judged.figures.items()}
    members = [(each, each.members(start, len(keys))) for each in saved]
    for place, key in enumerate(keys):
        if key not in users:
            continue
        row: dict[str, Any] = {"user_id": users[key].external_id}
        for each in learned:
            row |= each.of(start + place)
            if each.kind == "rfm":
                row |= zip(_SCORES, (score or None for score in scores[place]), strict=True)
        if saved:
            theirs = [one for one, inside in members if inside[place]]
            row[f"segment.{RULE}.ids"] = [one.segment_id for one in theirs]
            row[f"segment.{RULE}.names"] = [one.name for one in theirs]
        row |= dict.fromkeys(UNITS) | {name: _shown(column[place]) for name, column in figures.items()}
        # Of somebody without any interaction the table has zeros, which nobody has measured.
        told = map(_shown, features[place]) if known[place] else [None] * len(judged.features.names)
        row |= zip(judged.features.names, told, strict=True)
        row["attributes"] = users[key].attributes
        yield row


def _learned(analytics: Analytics) -> list[_Learned]:
    found = []
    for kind in KINDS:
        made, labels = model_of(analytics, kind), analytics.judged.segments.get(kind)
        if made is not None and labels is not None:
            named = made.segmentation if isinstance(made, Tastes) else made
            found.append(_Learned(kind, labels, list(named.segment_ids), list(named.segment_names)))
    return found


def _saved(connection: Connection, live: Live, model: LiveModel, notes: list[str]) -> list[_Saved]:
    rules = list_rules(connection)
    matched = match_filters(connection, live, model, [rule.filter for rule in rules])
    found = []
    for rule in rules:
        of = matched[rule.filter]
        if isinstance(of, Matched):
            mask = np.zeros(len(model.version.analytics.judged.features), dtype=np.bool_)
            mask[of.rows] = True
            found.append(_Saved(rule_id(rule.segment), rule.name, np.packbits(mask)))
        else:
            notes.append(f"Segment '{rule_id(rule.segment)}' is not there: {of}.")
    return found


def _notes(analytics: Analytics) -> list[str]:
    """What the data did not suffice for."""
    figures = [f"Figure '{name}' is not there: {why}." for name, why in missing_figures(analytics).items()]
    kinds = [(kind, analytics.missing.get(f"segments.{kind}")) for kind in KINDS]
    return figures + [f"Segments by '{kind}' are not there: {why}." for kind, why in kinds if why]


def _shown(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value
