"""Numbers as the reports answer them."""

from typing import Any

_MONEY_DIGITS = 4
_RATE_DIGITS = 6


def money(value: float) -> float:
    """An amount or a quantity without the noise of adding up."""
    return round(float(value), _MONEY_DIGITS)


def rate(part: float, whole: float) -> float | None:
    """A share or a mean; None where there is nothing to divide by."""
    return round(float(part) / float(whole), _RATE_DIGITS) if whole else None


def compared(value: float | None, before: float | None) -> dict[str, Any]:
    """A figure beside that of the window before.

    The change is relative to the size of the latter, None where that is 0 or not known.
    """
    if value is None or before is None:
        return {"value": value, "before": before, "change": None}
    return {"value": value, "before": before, "change": rate(value - before, abs(before))}


def flattened(figures: dict[str, Any]) -> dict[str, Any]:
    """A row of a table: of each compared figure `name`, `name_before` and `name_change`."""
    row: dict[str, Any] = {}
    for name, figure in figures.items():
        if isinstance(figure, dict):
            row |= {
                name: figure["value"],
                f"{name}_before": figure["before"],
                f"{name}_change": figure["change"],
            }
        else:
            row[name] = figure
    return row
