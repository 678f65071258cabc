"""A table on its way into a file."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from app.db.rows import AnyRow

MAX_COLUMNS: Final = 100
"""Attributes that get a column of their own, the most frequent ones."""
_MAX_COUNTED: Final = 20_000
"""Different names that are counted at a time, so that memory stays bounded whatever a shop sends."""


@dataclass(frozen=True)
class Object:
    """A field that holds an object, and how it is spread over columns `prefix.name`."""

    prefix: str
    names: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Rows that are made when they are taken."""

    fields: Sequence[str]
    """Columns of a spreadsheet, before those of the objects."""
    rows: Iterable[dict[str, Any]]
    total: int | None
    """How many rows there are, about; None where nobody knows."""
    objects: Mapping[str, Object] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What people should know of it; complete when all rows were taken."""


def frequent_names(objects: Iterator[AnyRow], notes: list[str]) -> list[str]:
    """The names that most objects of `(object,)` rows have, sorted; `notes` hears that there are others."""
    counts: Counter[str] = Counter()
    for (given,) in objects:
        counts.update(given.keys())
        if len(counts) > _MAX_COUNTED:
            counts = Counter(dict(counts.most_common(_MAX_COUNTED // 2)))
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    if len(ranked) > MAX_COLUMNS:
        notes.append(
            f"Only the {MAX_COLUMNS} most frequent attributes have a column; NDJSON has all of them."
        )
    return sorted(ranked[:MAX_COLUMNS])
