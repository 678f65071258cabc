"""Retention: customers by the period of their first purchase, and how many of them came back later."""

from collections import defaultdict
from typing import Any

from sqlalchemy import Connection

from app.core.clock import rfc3339
from app.db.queries.reports.customers import cohorts
from app.db.queries.reports.periods import By, number_of, start_of
from app.services.reports.figures import rate
from app.services.reports.windows import Window, periods_of, present

COLUMNS = ("cohort", "size", "period", "from", "to", "customers", "share")
"""Of the retention as a table, with a row for each cohort and later period."""


def report_cohorts(connection: Connection, by: By, periods: int) -> dict[str, Any]:
    """The last `periods` cohorts, the latest of which is that of the latest event."""
    as_of = present(connection)
    last = number_of(as_of, by)
    window = Window(start_of(last - periods + 1, by), as_of + 1, as_of)
    spans = periods_of(window, by)
    users: dict[tuple[int, int], int] = defaultdict(int)
    for cohort, period, count in cohorts(connection, window.since, window.until, by):
        users[cohort, period] = count
    found = []
    for place, span in enumerate(spans):
        size = users[span.number, span.number]
        later = [
            {
                "period": number,
                "from": rfc3339(after.since),
                "to": rfc3339(after.until),
                "customers": users[span.number, after.number],
                "share": rate(users[span.number, after.number], size),
            }
            for number, after in enumerate(spans[place + 1 :], 1)
        ]
        found.append(
            {"from": rfc3339(span.since), "to": rfc3339(span.until), "size": size, "retention": later}
        )
    warnings = []
    if not users or not any(cohort["size"] for cohort in found):
        warnings.append(
            "Not enough data, needs purchases: no user bought for the first time "
            f"from {rfc3339(window.since)} to {rfc3339(window.until)}."
        )
    elif start_of(last + 1, by) > window.until:
        warnings.append(f"The last {by} is not over: its figures may still grow.")
    return {**window.head(), "by": by, "cohorts": found, "warnings": warnings}


def cohort_rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The retention as rows of COLUMNS; period 0 is the cohort itself."""
    rows = []
    for cohort in report["cohorts"]:
        head = {"cohort": cohort["from"], "size": cohort["size"]}
        first = {"period": 0, "from": cohort["from"], "to": cohort["to"], "customers": cohort["size"]}
        rows.append({**head, **first, "share": rate(cohort["size"], cohort["size"])})
        rows += [{**head, **later} for later in cohort["retention"]]
    return rows
