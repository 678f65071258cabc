"""Days, ISO weeks and months of UTC as whole numbers, by arithmetic that both engines share."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

from sqlalchemy import BigInteger, ColumnElement, literal, type_coerce

DAY_MS = 86_400_000
By = Literal["day", "week", "month"]
Whole: TypeAlias = ColumnElement[int]
"""A whole number of 64 bits."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONDAY = 3
"""Days from the Monday of the week of 1970-01-01 to that day."""
_MARCH_1968 = 671
"""Days from 1968-03-01 to 1970-01-01. Years that begin in March end with the leap day."""


def period_number(time: Any, by: By) -> Whole:
    """Number of the period of a time, ms since the epoch, not below 0.

    Months hold from 1970 to February 2100, the first leap day that the calendar leaves out.
    """
    day = day_number(time)
    if by == "day":
        return day
    if by == "week":
        return _over(day + _whole(_MONDAY), 7)
    days = day + _whole(_MARCH_1968)
    year = _over(days * _whole(4) + _whole(3), 1461)
    day_of_year = days - _over(year * _whole(1461), 4)
    month = _over(day_of_year * _whole(5) + _whole(2), 153)
    return type_coerce(year * _whole(12) + month + _whole(1968 * 12 + 2), BigInteger)


def day_number(time: Any) -> Whole:
    """Number of the UTC day of a time, ms since the epoch, not below 0."""
    return _over(time, DAY_MS)


def number_of(moment: int, by: By) -> int:
    """The same as `period_number`, for one time, which may lie before 1970."""
    day = moment // DAY_MS
    if by == "day":
        return day
    if by == "week":
        return (day + _MONDAY) // 7
    date = _EPOCH + timedelta(days=day)
    return date.year * 12 + date.month - 1


def start_of(number: int, by: By) -> int:
    """Where a period begins, ms since the epoch."""
    if by == "day":
        return number * DAY_MS
    if by == "week":
        return (number * 7 - _MONDAY) * DAY_MS
    begins = datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return (begins - _EPOCH).days * DAY_MS


def _over(dividend: Any, divisor: int) -> Whole:
    return type_coerce(dividend, BigInteger) // _whole(divisor)


def _whole(number: int) -> Whole:
    return literal(number, BigInteger)
