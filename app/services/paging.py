"""Lists by opaque cursor: where the last page ended, in text that only we read."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from app.core.errors import InputError, InvalidInput
from app.db.rows import AnyRow

_LIMIT = 2**63
"""Keys and times are integers of 64 bits."""


@dataclass(frozen=True)
class Page:
    """Rows of one page and the cursor of the next."""

    rows: Sequence[AnyRow]
    next_cursor: str | None


def page(rows: Sequence[AnyRow], limit: int, place: Callable[[AnyRow], list[Any]]) -> Page:
    """Cut `limit` rows from up to `limit + 1`; `place` says of a row where the next page begins after it."""
    if len(rows) <= limit:
        return Page(rows, None)
    return Page(rows[:limit], encode_cursor(place(rows[limit - 1])))


def encode_cursor(place: list[Any]) -> str:
    """A cursor for a place."""
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def decode_cursor(cursor: str | None, *types: type) -> tuple[Any, ...] | None:
    """The place of a cursor, one value for each type; None without one. Raises InvalidInput."""
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        place = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        place = None
    fits = isinstance(place, list) and len(place) == len(types)
    if not fits or not all(_storable(value, kind) for value, kind in zip(place, types, strict=True)):
        raise InvalidInput(
            "The cursor is not one that this list gave.",
            [InputError("/query/cursor", "bad_cursor", "Give next_cursor of the page before")],
        )
    return tuple(place)


def _storable(value: Any, kind: type) -> bool:
    """Whether a value is of the kind, and one that a column can be compared with."""
    if type(value) is not kind:
        return False
    return -_LIMIT <= value < _LIMIT if isinstance(value, int) else "\x00" not in str(value)
