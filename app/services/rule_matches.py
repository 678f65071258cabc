"""Whom filters match among all customers of the live version, remembered for as long as it stays true.

What a filter matches changes with the model version and, if it names an attribute, with the users. Results
are kept in this process under the version and the filter's own text, so that a filter that is changed is
another one; those with attributes also hold the users' stamp, which every write of a user changes. In a shop
so large that reading the attributes takes long, such a result is used a little longer.
"""

import time
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection

from app.db.queries.segment_rules import users_stamp
from app.db.queries.snapshot import stream_users
from app.learning.analytics import Analytics
from app.learning.customers.customers import Judged
from app.learning.customers.segments.rule_fields import (
    LEARNED,
    Kind,
    Kinds,
    check_names,
    compared_kinds,
    count_kinds,
    empty_column,
    kind_of,
    stored,
    text_width,
)
from app.learning.customers.segments.rule_language import parse_rule
from app.learning.customers.segments.rule_matching import columns_of, matches
from app.learning.customers.segments.rule_members import describe_members
from app.learning.filtering.tree import Filter, FilterError, fields
from app.services.live import Live
from app.services.live_model import LiveModel

_KEPT: Final = 256
"""Results, of a bit for each customer."""
_COLUMNS_AT_ONCE: Final = 16
"""Attributes of all users that are held at a time."""
_SLOW_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 30.0
"""How long a result stays that took more than `_SLOW_SECONDS`, although users have changed."""

parsed = lru_cache(maxsize=512)(parse_rule)
"""The tree of a filter; raises FilterError."""
Stamp = tuple[int, ...]
Wanted = tuple[str, Kind]


@dataclass(frozen=True)
class Matched:
    """Whom a filter matches, and what sets them apart."""

    said: dict[str, Any]
    """Size, share, centre, distinguishing and sets_apart."""
    stamp: Stamp | None
    """Of the users whose attributes were read."""
    took: float
    made_at: float
    _packed: NDArray[np.uint8]
    _n: int

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows of the members in the version's table of customers, ascending."""
        return np.flatnonzero(np.unpackbits(self._packed, count=self._n))

    def holds(self, stamp: Stamp | None) -> bool:
        """Whether it is what would be found now."""
        if self.stamp == stamp:
            return True
        return self.took > _SLOW_SECONDS and time.monotonic() - self.made_at < _PATIENCE_SECONDS


@dataclass
class _Results:
    """The latest results of one process."""

    found: OrderedDict[tuple[str, str], Matched] = field(default_factory=OrderedDict)
    kinds: tuple[Stamp, Kinds] | None = None
    lock: Lock = field(default_factory=Lock)

    def get(self, key: tuple[str, str]) -> Matched | None:
        with self.lock:
            if key in self.found:
                self.found.move_to_end(key)
            return self.found.get(key)

    def put(self, key: tuple[str, str], matched: Matched) -> None:
        with self.lock:
            self.found[key] = matched
            while len(self.found) > _KEPT:
                self.found.popitem(last=False)


_RESULTS: WeakKeyDictionary[Live, _Results] = WeakKeyDictionary()


def match_filters(
    connection: Connection, live: Live, model: LiveModel, texts: Sequence[str]
) -> dict[str, Matched | str]:
    """By filter whom it matches, or why that cannot be told."""
    results = _RESULTS.setdefault(live, _Results())
    answers: dict[str, Matched | str] = {}
    waiting: list[tuple[str, Filter, dict[str, Kind]]] = []
    stamp: Stamp | None = None
    for text in texts:
        try:
            rule = parsed(text)
            kinds = compared_kinds(rule)
        except FilterError as error:
            answers[text] = str(error)
            continue
        if kinds and stamp is None:
            stamp = users_stamp(connection)
        known = results.get((model.name, text))
        if known is not None and known.holds(stamp if kinds else None):
            answers[text] = known
        elif reason := unpredicted(model.version.analytics, rule):
            answers[text] = reason
        else:
            waiting.append((text, rule, kinds))
    for group in _groups(waiting):
        started = time.monotonic()
        columns, counts = _attribute_columns(connection, model, group)
        reading = time.monotonic() - started
        for text, rule, kinds in group:
            try:
                check_names(rule, counts)
                members = _members(model.version.analytics.judged, rule, kinds, columns)
            except FilterError as error:
                answers[text] = str(error)
                continue
            said = describe_members(model.version.analytics.judged.features, members)
            matched = Matched(
                said,
                stamp if kinds else None,
                reading,
                time.monotonic(),
                np.packbits(members),
                len(members),
            )
            results.put((model.name, text), matched)
            answers[text] = matched
    return answers


def matches_one(analytics: Analytics, judged: Judged, attributes: dict[str, Any], text: str) -> bool:
    """Whether one customer, judged now, is matched; no where a figure of the filter is not predicted."""
    try:
        rule = parsed(text)
        if unpredicted(analytics, rule):
            return False
        kinds = compared_kinds(rule)
        columns: dict[Wanted, NDArray[Any]] = {}
        for name, kind in kinds.items():
            width = text_width(rule)
            column = columns[name, kind] = empty_column(kind, 1, width)
            value = stored(attributes.get(name), kind, width)
            if value is not None:
                column[0] = value
        return bool(_members(judged, rule, kinds, columns)[0])
    except FilterError:
        return False


def attribute_kinds(connection: Connection, live: Live) -> Kinds:
    """By attribute of the users how many have a value of each kind."""
    results = _RESULTS.setdefault(live, _Results())
    stamp = users_stamp(connection)
    if results.kinds is None or results.kinds[0] != stamp:
        counts: dict[str, Counter[str]] = {}
        for _, objects in _stream(connection):
            count_kinds(objects, counts)
        results.kinds = stamp, counts
    return results.kinds[1]


def unpredicted(analytics: Analytics, rule: Filter) -> str | None:
    """Why a figure that the rule names is not predicted, if so."""
    for name in sorted(fields(rule) & LEARNED - set(analytics.judged.features.names)):
        if reason := why_missing(analytics, name):
            return f"'{name}' is not predicted: {reason}"
    return None


def why_missing(analytics: Analytics, figure: str) -> str | None:
    """What a predicted figure needs that the data do not have; None where it is predicted."""
    missing = analytics.missing
    if figure == "lifetime_value" and "lifetime.value" in missing:
        return missing["lifetime.value"]
    if figure in analytics.judged.figures:
        return None
    parts = {"alive": ("lifetime",), "expected_purchases": ("lifetime",), "lifetime_value": ("lifetime",)}
    both = ("predictions.next_purchase", "predictions.next_purchase_days")
    names = parts.get(figure, (f"predictions.{figure}", *(both if figure == "expected_days" else ())))
    return next(
        (missing[name] for name in (*names, "predictions") if name in missing), "the data do not suffice"
    )


def _members(
    judged: Judged, rule: Filter, kinds: Mapping[str, Kind], columns: Mapping[Wanted, NDArray[Any]]
) -> NDArray[np.bool_]:
    named = fields(rule)
    # Only the columns that the rule names are read: the table may be much larger than memory.
    features = judged.features.columns([name for name in judged.features.names if name in named])
    others: dict[str, NDArray[Any]] = {name: columns[name, kind] for name, kind in kinds.items()}
    others |= {name: np.asarray(values) for name, values in judged.figures.items() if name in named}
    return matches(rule, columns_of(features, others), len(judged.features))


def _groups(
    waiting: list[tuple[str, Filter, dict[str, Kind]]],
) -> Iterator[list[tuple[str, Filter, dict[str, Kind]]]]:
    """Filters that share a reading of the users' attributes."""
    group: list[tuple[str, Filter, dict[str, Kind]]] = []
    wanted: set[Wanted] = set()
    for one in waiting:
        more = wanted | set(one[2].items())
        if group and len(more) > _COLUMNS_AT_ONCE:
            yield group
            group, more = [], set(one[2].items())
        group.append(one)
        wanted = more
    if group:
        yield group


def _attribute_columns(
    connection: Connection, model: LiveModel, group: list[tuple[str, Filter, dict[str, Kind]]]
) -> tuple[dict[Wanted, NDArray[Any]], dict[str, Counter[str]]]:
    """Columns `(n_users,)` of what the filters name, and of which kinds its values are."""
    widths: dict[Wanted, int] = {}
    for _, rule, kinds in group:
        for wanted in kinds.items():
            widths[wanted] = max(widths.get(wanted, 1), text_width(rule))
    counts: dict[str, Counter[str]] = {}
    keys = np.asarray(model.version.analytics.customers.user_keys)
    columns = {wanted: empty_column(wanted[1], len(keys), width) for wanted, width in widths.items()}
    if not columns or not len(keys):
        return columns, counts
    for found, objects in _stream(connection):
        places = np.minimum(np.searchsorted(keys, found), len(keys) - 1)
        places[keys[places] != found] = -1
        for place, attributes in zip(places.tolist(), objects, strict=True):
            if not attributes:
                continue
            for (name, kind), width in widths.items():
                given = attributes.get(name)
                if (of := kind_of(given)) is None:
                    continue
                counts.setdefault(name, Counter())[of] += 1
                value = stored(given, kind, width)
                if place >= 0 and value is not None:
                    columns[name, kind][place] = value
    return columns, counts


def _stream(connection: Connection) -> Iterator[tuple[NDArray[np.int64], list[dict[str, Any]]]]:
    for rows in stream_users(connection):
        # The raw cursor gives JSON as text on SQLite, decoded on PostgreSQL.
        objects = [orjson.loads(value) if isinstance(value, str) else value for _, value in rows]
        yield np.array([key for key, _ in rows], dtype=np.int64), objects
