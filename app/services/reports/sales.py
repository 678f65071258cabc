"""Sales of a window: totals beside those of the window before, and a series by day, week or month."""

from typing import Any

from sqlalchemy import Connection

from app.core.clock import rfc3339
from app.db.queries.reports import sales
from app.db.queries.reports.periods import By
from app.db.rows import AnyRow
from app.services.reports.coverage import coverage_of
from app.services.reports.figures import compared, money, rate
from app.services.reports.windows import periods_of, window_of

FIGURES = (
    "gross",
    "refunds",
    "revenue",
    "orders",
    "units",
    "customers",
    "new_customers",
    "repeat_rate",
    "average_order_value",
    "items_per_order",
    "visitors",
    "conversion",
)
COLUMNS = ("from", "to", "currency", *FIGURES)
"""Of the series as a table."""


def report_sales(
    connection: Connection,
    since: int | None,
    until: int | None,
    by: By,
    category: str | None,
    currency: str | None,
) -> dict[str, Any]:
    """Totals and a series of a window (see `window_of`); raises InvalidInput."""
    window = window_of(connection, since, until)
    periods = periods_of(window, by)
    covered = coverage_of(connection, window, category, currency)
    sold = sales.sales(connection, covered.lines, by)
    seen = sales.visitors(connection, covered.lines, by)
    now, before = (_figures(sold.windows.get(which), seen.windows.get(which)) for which in (1, 0))
    warnings = covered.warnings
    if covered.has_purchases and now["conversion"] is None:
        warnings.append("Not enough data for the conversion, needs events other than purchases.")
    return {
        **window.head(),
        "by": by,
        "category": category,
        "currency": covered.currency,
        "totals": {name: compared(now[name], before[name]) for name in FIGURES},
        "series": [
            {
                "from": rfc3339(period.since),
                "to": rfc3339(period.until),
                **_figures(sold.periods.get(period.number), seen.periods.get(period.number)),
            }
            for period in periods
        ],
        "warnings": warnings,
    }


def sales_rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The series as rows of COLUMNS."""
    return [{**period, "currency": report["currency"]} for period in report["series"]]


def _figures(sold: AnyRow | None, seen: AnyRow | None) -> dict[str, Any]:
    """FIGURES of one span of time; None: nothing was sold, or nobody was seen."""
    figures: dict[str, Any] = dict.fromkeys(FIGURES)
    figures |= dict.fromkeys(("gross", "refunds", "revenue", "units"), 0.0)
    figures |= dict.fromkeys(("orders", "customers", "new_customers", "visitors"), 0)
    if sold is not None:
        figures |= {
            "gross": money(sold.gross),
            "refunds": money(sold.refunds),
            "revenue": money(sold.gross - sold.refunds),
            "orders": sold.orders,
            "units": money(sold.units),
            "customers": sold.customers,
            "new_customers": int(sold.new_customers),
            "repeat_rate": rate(sold.returning_customers, sold.customers),
            "average_order_value": rate(sold.gross, sold.priced_orders),
            "items_per_order": rate(sold.units, sold.orders),
        }
    if seen is not None:
        figures["visitors"] = seen.visitors
        # Where only purchases are sent, all who were seen are buyers: that is no conversion.
        figures["conversion"] = rate(seen.buyers, seen.visitors) if seen.onlookers else None
    return figures
