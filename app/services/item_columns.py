"""The items' fields as filters need them: in memory once a filter names them, and never out of date.

A field is read whole when a filter first names it, and from then on only from the items that changed since.
Each column has the revision up to which it was read, so that what nobody filters on costs nothing.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from app.db.queries.items import changed_fields
from app.db.rows import AnyRow
from app.learning.filtering.columns import Column, ListColumn, Mask, NumberColumn, Numbers, TextColumn, grown
from app.learning.filtering.conditions import Condition
from app.learning.filtering.item_fields import (
    ATTRIBUTES,
    attribute_names,
    attribute_of,
    column_for,
    margin_of,
)
from app.learning.ranking.worth import percentiles

MOST_ATTRIBUTES: Final = 64
"""Columns of attributes that are kept, the ones asked for last."""
MOST_NAMES: Final = 10_000
"""Names of attributes that are known; where there are more, any name may be one."""
_MOST_MASKS: Final = 64
"""Answers of filters that are kept while nothing that they read changes."""
_MOST_WORTHS: Final = 16
"""Fields whose percentiles are kept, the ones asked for last."""
_PATHS: Final = "categories"
_CURRENCY: Final = "currency"
_STORED: Final = {"item_id": ("external_id",), "margin": ("price", "cost")}
Positions = Callable[[NDArray[np.int64]], NDArray[np.int64]]


@dataclass
class Held:
    """A column, and what of it is up to date."""

    column: Column
    revision: int = -1
    version: int = 0
    """Another one after each change; 0: nothing was read."""
    written: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=np.bool_))
    """Positions whose row was read."""


@dataclass(frozen=True)
class Worth:
    """What items are worth by a field, `(n,)`: NaN where that is unknown."""

    values: Numbers
    percentiles: Numbers
    """Among the items that can be bought; the median where the value is unknown."""
    is_other: bool
    """Whether items have the field, but none of them as a number."""


@dataclass
class _Names:
    """Names of all attributes that any item has or had."""

    revision: int = -1
    names: set[str] = field(default_factory=set)

    def may_have(self, name: str) -> bool:
        return name in self.names or len(self.names) >= MOST_NAMES


class ItemColumns:
    """Columns of the catalogue's items by field, by position."""

    def __init__(self, positions_of: Positions, paths: ListColumn, lock: Lock) -> None:
        self._positions_of = positions_of
        self._paths = Held(paths)
        self._lock = lock
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._names = _Names()
        self._changes = 0
        self._masks: OrderedDict[Condition, tuple[tuple[int, ...], Mask]] = OrderedDict()
        self._worths: OrderedDict[str, tuple[tuple[int, ...], Mask, Worth]] = OrderedDict()

    def changed(self) -> None:
        """The categories, which the catalogue writes itself, are others now; called under its lock."""
        self._changes += 1
        self._paths.version = self._changes

    def ready(self, names: Collection[str]) -> bool:
        """Whether these fields were read before, so that only what changed is to be read."""
        with self._lock:
            return all(
                (name in self._held and self._held[name].revision >= 0)
                or (self._names.revision >= 0 and self._absent(name))
                for name in names
                if name != _PATHS
            )

    def passing(self, connection: Connection, condition: Condition, seen: int) -> Mask:
        """Which items a filter lets through, `(n,)`, not to be written to.

        `seen` is the revision of the items that the connection sees.
        """
        held = self.held(connection, condition.fields, seen)
        with self._lock:
            n = self._paths.column.n
            stamp = (n, *(held[name].version for name in sorted(held)))
            kept = self._masks.get(condition)
            if kept is not None and kept[0] == stamp:
                self._masks.move_to_end(condition)
                return kept[1]
            for one in held.values():
                one.column.grow(n)
            mask = condition.mask({name: one.column for name, one in held.items()})
            for one in held.values():
                if one.version and one is not self._paths:
                    # Another request may have seen an item that this one has not.
                    one.written = grown(one.written, n, False)
                    mask &= one.written[:n]
            mask.setflags(write=False)
            self._masks[condition] = (stamp, mask)
            while len(self._masks) > _MOST_MASKS:
                self._masks.popitem(last=False)
        return mask

    def worth(self, connection: Connection, name: str, among: Mask, seen: int) -> Worth:
        """What items are worth by a number, and their percentiles `among` some; not to be written to.

        Money in another currency than most of them have is unknown. `seen` is as for `passing`.
        """
        held = self.held(connection, worth_fields(name), seen)
        n = len(among)
        with self._lock:
            stamp = tuple(held[one].version for one in sorted(held))
            kept = self._worths.get(name)
            if kept is not None and kept[0] == stamp and np.array_equal(kept[1], among):
                self._worths.move_to_end(name)
                return kept[2]
            for one in held.values():
                one.column.grow(n)
            column = held[name].column
            values = np.full(n, np.nan) if isinstance(column, TextColumn) else column.numbers()[:n].copy()
            values[np.isinf(values)] = np.nan
            is_other = bool(column.known().any()) and bool(np.isnan(values).all())
            currencies = held[_CURRENCY].column if _CURRENCY in held else None
            if isinstance(currencies, TextColumn):
                known = grown(among & ~np.isnan(values), currencies.n, False)[: currencies.n]
                values[~currencies.commonest(known)[:n]] = np.nan
        found = Worth(values, percentiles(values, among), is_other)
        with self._lock:
            self._worths[name] = (stamp, among, found)
            self._worths.move_to_end(name)
            while len(self._worths) > _MOST_WORTHS:
                self._worths.popitem(last=False)
        return found

    def groups(self, held: Held, places: Sequence[int]) -> list[list[int]]:
        """Codes of the values of some items in a column that is up to date; none for an unknown value."""
        column = held.column
        if isinstance(column, NumberColumn):
            return [[] for _ in places]
        with self._lock:
            return [column.groups_of(place) if place < column.n else [] for place in places]

    def unknown_attributes(self, names: Collection[str]) -> list[str]:
        """What to say of attributes that no item has."""
        with self._lock:
            said = []
            for name in sorted(names):
                if self._absent(name):
                    near = get_close_matches(name.removeprefix(ATTRIBUTES), sorted(self._names.names), n=1)
                    hint = f" Did you mean '{ATTRIBUTES}{near[0]}'?" if near else ""
                    said.append(f"No item has '{name}'.{hint}")
            return said

    def held(self, connection: Connection, names: Collection[str], seen: int) -> dict[str, Held]:
        """The columns of these fields, up to date; empty ones for attributes that no item has."""
        attributes = any(name.startswith(ATTRIBUTES) for name in names)
        with self._lock:
            first = attributes and self._names.revision < 0
            stale = {name: self._held[name] for name in names if name in self._held}
            if first:
                # One read for the names of all attributes and the values of these.
                stale |= {name: self._kept(name) for name in names if name.startswith(ATTRIBUTES)}
            behind = attributes and self._names.revision < seen
        self._read(connection, stale, seen, behind)
        with self._lock:
            found = {name: self._kept(name) for name in names if name != _PATHS and not self._absent(name)}
        self._read(connection, found, seen, False)
        with self._lock:
            for name in names:
                if name == _PATHS:
                    found[name] = self._paths
                elif name not in found:
                    found[name] = Held(column_for(name))
            self._evict(names)
        return found

    def _read(self, connection: Connection, held: dict[str, Held], seen: int, with_names: bool) -> None:
        """Take in the rows that changed since these columns were read."""
        stale = {name: one for name, one in held.items() if one.revision < seen}
        if not stale and not with_names:
            return
        after = min([one.revision for one in stale.values()] + ([self._names.revision] if with_names else []))
        needed = {source for name in stale for source in _sources(name)}
        sources = sorted(needed | ({"attributes"} if with_names else set()))
        rows = list(changed_fields(connection, sources, after))
        keys = np.array([row.id for row in rows], dtype=np.int64)
        with self._lock:
            places = self._positions_of(keys)
            # What the catalogue does not know yet has a revision that this connection has not seen.
            known = np.flatnonzero(places >= 0)
            places, rows = places[known], [rows[at] for at in known.tolist()]
            if with_names and self._names.revision < seen:
                _add_names(self._names.names, rows)
                self._names.revision = seen
            for name, one in stale.items():
                if one.revision < seen:
                    self._write(one, places, _values(name, rows))
                    one.revision = seen
                if _bloated(one.column) and self._held.get(name) is one:
                    del self._held[name]

    def _write(self, held: Held, places: NDArray[np.int64], values: list[Any]) -> None:
        n = max(self._paths.column.n, int(places.max(initial=-1)) + 1)
        held.column.grow(n)
        held.written = grown(held.written, n, False)
        held.column.write(places, values)
        held.written[places] = True
        if len(places) or not held.version:
            self._changes += 1
            held.version = self._changes

    def _kept(self, name: str) -> Held:
        """The column of a field, empty where it is new; asked for last."""
        held = self._held.setdefault(name, Held(column_for(name)))
        self._held.move_to_end(name)
        return held

    def _absent(self, name: str) -> bool:
        return name.startswith(ATTRIBUTES) and not self._names.may_have(name.removeprefix(ATTRIBUTES))

    def _evict(self, names: Collection[str]) -> None:
        """Let go of attributes that no item has, and of those that were not asked for lately."""
        attributes = [name for name in self._held if name.startswith(ATTRIBUTES)]
        gone = [name for name in attributes if self._absent(name)]
        rest = [name for name in attributes if name not in gone]
        gone += [name for name in rest[: max(0, len(rest) - MOST_ATTRIBUTES)] if name not in names]
        for name in gone:
            del self._held[name]


def worth_fields(name: str) -> set[str]:
    """Fields that are read to say what items are worth by one of them."""
    return {name} if name.startswith(ATTRIBUTES) else {name, _CURRENCY}


def _sources(name: str) -> tuple[str, ...]:
    return ("attributes",) if name.startswith(ATTRIBUTES) else _STORED.get(name, (name,))


def _values(name: str, rows: Sequence[AnyRow]) -> list[Any]:
    if name.startswith(ATTRIBUTES):
        inner = name.removeprefix(ATTRIBUTES)
        return [attribute_of(row.attributes, inner) for row in rows]
    if name == "margin":
        return [margin_of(row.price, row.cost) for row in rows]
    (source,) = _sources(name)
    return [getattr(row, source) for row in rows]


def _add_names(names: set[str], rows: Sequence[AnyRow]) -> None:
    for row in rows:
        if len(names) >= MOST_NAMES:
            return
        names.update(attribute_names(row.attributes))


def _bloated(column: Column) -> bool:
    """Whether most of the different values are of the past: the column is read anew when next asked for."""
    return not isinstance(column, NumberColumn) and len(column.dictionary) > 2 * column.entries + 1024
