"""What a report counts and what it has to leave out: items of a category, and one currency."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from app.core.clock import rfc3339
from app.db.queries.reports.lines import (
    Lines,
    catalogue_currency,
    category_paths,
    contents,
    earliest_time,
)
from app.db.rows import AnyRow
from app.services.catalogue import category_prefixes
from app.services.reports.windows import Window


@dataclass(frozen=True)
class Coverage:
    """The lines that a report counts, all in one currency (None: nobody names any), and what to warn of."""

    lines: Lines
    currency: str | None
    has_purchases: bool
    """Within the window."""
    warnings: list[str]


def coverage_of(
    connection: Connection, window: Window, category: str | None, currency: str | None
) -> Coverage:
    """The lines of a window, under a category, in the asked currency (default: the most frequent one)."""
    warnings = []
    paths = None
    if category is not None:
        path = category_prefixes(category)[-1]
        paths = tuple(stored for stored in category_paths(connection) if path in category_prefixes(stored))
        if not paths:
            warnings.append(f"No item lies under the category '{category}'.")
    lines = Lines(window.since, window.until, paths)
    found = contents(connection, lines)
    main = _main_currency(connection, found)
    windows = {1: Counter[str | None](), 0: Counter[str | None]()}
    for row in found:
        windows[row.window][row.currency or main] += row.purchases + row.refunds
    chosen = currency or _most_frequent(windows[1]) or _most_frequent(windows[0])
    others = sorted({name for counts in windows.values() for name in counts if name} - {chosen})
    if others and currency is None:
        warnings.append(
            f"Only purchases and refunds in {chosen} are counted; there are others in {', '.join(others)}."
        )
    counted = [row for row in found if row.window == 1 and (row.currency or main) == chosen]
    warnings += _gaps(connection, window, chosen, counted)
    purchases = sum(row.purchases for row in counted)
    if {name for counts in windows.values() for name in counts} != {chosen}:
        lines = lines.of_currency(chosen, with_unnamed=chosen == main)
    return Coverage(lines, chosen, purchases > 0, warnings)


def _main_currency(connection: Connection, found: Sequence[AnyRow]) -> str | None:
    """The shop's main currency, in which a line counts that names none; only looked for if there is one."""
    if all(row.currency is not None for row in found):
        return None
    named: Counter[str | None] = Counter()
    for row in found:
        if row.currency is not None:
            named[row.currency] += row.purchases + row.refunds
    return catalogue_currency(connection) or _most_frequent(named)


def _most_frequent(counts: Counter[str | None]) -> str | None:
    return min(counts, key=lambda name: (-counts[name], name or ""), default=None)


def _gaps(connection: Connection, window: Window, currency: str | None, counted: list[AnyRow]) -> list[str]:
    purchases, refunds, unpriced, unpriced_refunds, anonymous = (
        sum(getattr(row, name) for row in counted)
        for name in ("purchases", "refunds", "unpriced_purchases", "unpriced_refunds", "anonymous")
    )
    if not purchases:
        among = f" in {currency}" if currency else ""
        return [
            f"Not enough data, needs purchases: there are none{among} "
            f"from {rfc3339(window.since)} to {rfc3339(window.until)}."
        ]
    found = []
    if unpriced:
        found.append(
            f"Purchases without a price: {unpriced} of {purchases}. They count as orders and units, "
            "not in money."
        )
    if unpriced_refunds:
        found.append(f"Refunds without a price: {unpriced_refunds} of {refunds}. They are not deducted.")
    if anonymous:
        found.append(
            f"Purchases of sessions without a user: {anonymous} of {purchases}. They are not counted "
            "among the customers."
        )
    earliest = earliest_time(connection)
    if earliest is not None and earliest > 2 * window.since - window.until:
        found.append(
            f"The window before reaches back before the shop's first event, {rfc3339(earliest)}: it holds "
            "less than a window's worth, so that changes say little."
        )
    return found
