"""Cells of a text file as values: numbers, times, lists. Each raises ValueError with a reason in words."""

import math
import re
from datetime import UTC, datetime
from typing import Final

from app.readers.base import shown

# float() also takes "1_000", "nan" and digits of other scripts, none of which a price list means.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")

ISO: Final = "iso"
UNIX: Final = "unix"
UNIX_MS: Final = "unix_ms"


def utc_text(moment: datetime) -> str:
    """RFC 3339 text in UTC; a time without a zone is taken as UTC. ValueError near years 1 and 9999."""
    if moment.tzinfo is None:
        return moment.isoformat() + "Z"
    try:
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    except OverflowError as error:
        raise ValueError(f"{shown(moment.isoformat())} is out of range") from error


def unix_text(seconds: float) -> str:
    """Seconds since the Unix epoch as RFC 3339 text."""
    try:
        return utc_text(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, OSError, ValueError) as error:
        raise ValueError(f"{shown(seconds)} is not a time") from error


def parse_number(text: str, decimal: str = ".") -> float | int:
    """An int where the text is one, else a finite float."""
    plain = text.strip() if decimal == "." else text.strip().replace(decimal, ".")
    if _INTEGER.fullmatch(plain):
        return int(plain)
    if _NUMBER.fullmatch(plain) and math.isfinite(number := float(plain)):
        return number
    raise ValueError(f"{shown(text)} is not a number")


def parse_time(text: str, time_format: str = ISO) -> str:
    """RFC 3339 text from ISO 8601, Unix seconds, Unix milliseconds, or a strptime format."""
    plain = text.strip()
    if time_format in (UNIX, UNIX_MS):
        return unix_text(parse_number(plain) / (1000 if time_format == UNIX_MS else 1))
    try:
        if time_format == ISO:
            return utc_text(datetime.fromisoformat(plain))
        return utc_text(datetime.strptime(plain, time_format))
    except ValueError as error:
        expected = "an ISO 8601 time" if time_format == ISO else f"a time like {shown(time_format)}"
        raise ValueError(f"{shown(text)} is not {expected}") from error


def parse_list(text: str, separator: str) -> list[str]:
    """The parts without surrounding blanks; empty parts are left out."""
    parts = text.split(separator) if separator else [text]
    return [part for raw in parts if (part := raw.strip())]
