"""What sold best, and what rose and fell, by item; and sales by top-level category."""

from collections.abc import Iterable
from math import sqrt
from typing import Any

from sqlalchemy import Connection

from app.db.queries.reports.products import Order, best_and_moved, by_category
from app.db.rows import AnyRow
from app.services.reports.coverage import coverage_of
from app.services.reports.figures import compared, flattened, money
from app.services.reports.windows import window_of

PRIOR = 5.0
"""Orders that are added to what was expected of an item, so that one order makes no trend."""
MAX_CATEGORIES = 1_000
_FIGURES = ("units", "gross", "refunds", "revenue", "orders", "buyers")
_COMPARED = tuple(name + suffix for name in _FIGURES for suffix in ("", "_before", "_change"))
ITEM_COLUMNS = ("rank", "item_id", "title", "currency", *_COMPARED, "growth")
CATEGORY_COLUMNS = ("category", "currency", *_COMPARED)


def report_items(
    connection: Connection, since: int | None, until: int | None, n: int, order: Order, currency: str | None
) -> dict[str, Any]:
    """The `n` best items of a window (see `window_of`), and those that rose and fell; raises InvalidInput.

    Growth is how far the orders with an item lie above what was to be expected of its share of those in the
    window before, in standard deviations of a Poisson count: `(x - m) / sqrt(m + 5)`.
    """
    window = window_of(connection, since, until)
    covered = coverage_of(connection, window, None, currency)
    rows = best_and_moved(connection, covered.lines, order, n, PRIOR)
    is_comparable = bool(rows) and rows[0].orders_of_all > 0 and rows[0].orders_of_all_before > 0
    warnings = covered.warnings
    if covered.has_purchases and not is_comparable:
        warnings.append("Not enough data for what rose and fell, needs purchases in the window before.")
    best = [row for row in rows if row.best <= n and (row.lines or order == "growth")]
    moved = rows if is_comparable else []
    up = sorted((row for row in moved if row.up <= n and _growth(row) > 0), key=lambda row: row.up)
    down = sorted((row for row in moved if row.down <= n and _growth(row) < 0), key=lambda row: row.down)
    return {
        **window.head(),
        "order": order,
        "currency": covered.currency,
        "items": _items(best, is_comparable),
        "movers": {"up": _items(up, True), "down": _items(down, True)},
        "warnings": warnings,
    }


def report_categories(
    connection: Connection, since: int | None, until: int | None, currency: str | None
) -> dict[str, Any]:
    """Sales of a window by top-level category, the most revenue first; raises InvalidInput."""
    window = window_of(connection, since, until)
    covered = coverage_of(connection, window, None, currency)
    rows = by_category(connection, covered.lines, MAX_CATEGORIES + 1)
    warnings = covered.warnings
    if len(rows) > MAX_CATEGORIES:
        warnings.append(f"There are more than {MAX_CATEGORIES} top-level categories: these are the best.")
    return {
        **window.head(),
        "currency": covered.currency,
        "categories": [{"category": row.key, **_compared(row)} for row in rows[:MAX_CATEGORIES]],
        "warnings": warnings,
    }


def item_rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The items, without the movers, as rows of ITEM_COLUMNS."""
    return [{**flattened(item), "currency": report["currency"]} for item in report["items"]]


def category_rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The categories as rows of CATEGORY_COLUMNS."""
    return [{**flattened(row), "currency": report["currency"]} for row in report["categories"]]


def _items(rows: Iterable[AnyRow], is_comparable: bool) -> list[dict[str, Any]]:
    return [
        {
            "rank": rank,
            "item_id": row.external_id,
            "title": row.title,
            **_compared(row),
            "growth": round(_growth(row), 6) if is_comparable else None,
        }
        for rank, row in enumerate(rows, 1)
    ]


def _growth(row: AnyRow) -> float:
    expected = row.orders_before * row.orders_of_all / row.orders_of_all_before
    return float((row.orders - expected) / sqrt(expected + PRIOR))


def _compared(row: AnyRow) -> dict[str, Any]:
    return {
        "units": compared(money(row.units), money(row.units_before)),
        "gross": compared(money(row.gross), money(row.gross_before)),
        "refunds": compared(money(row.refunds), money(row.refunds_before)),
        "revenue": compared(money(row.gross - row.refunds), money(row.gross_before - row.refunds_before)),
        "orders": compared(row.orders, row.orders_before),
        "buyers": compared(row.buyers, row.buyers_before),
    }
