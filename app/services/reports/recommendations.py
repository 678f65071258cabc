"""What recommendations led to: clicks, conversions and revenue of the lists that were shown in a window."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection

from app.core.clock import from_ms, rfc3339
from app.core.errors import InputError, InvalidInput
from app.db.queries.reports import recommendations as queries
from app.db.queries.reports.lines import catalogue_currency
from app.db.queries.reports.periods import DAY_MS
from app.db.queries.reports.recommendations import Dimension
from app.db.queries.shown import latest_shown, mix, oldest_shown, sourced
from app.db.rows import AnyRow
from app.services.reports.figures import money
from app.services.reports.intervals import Clustered, mean
from app.services.reports.windows import Window, present, window_of

MAX_GROUPS: Final = 5_000
NO_CLICKS: Final = frozenset(
    ("view_item_list", "view_promotion", "search", "remove_from_cart", "service_contact")
)
"""Events that do not say that somebody turned to the item: it was shown, or let go."""
_RATES: Final = ("ctr", "conversion_rate", "revenue_per_1000_lists")
_FIGURES: Final = (
    *("lists", "shown", "clicks", "ctr", "ctr_low", "ctr_high"),
    *("conversions", "conversion_rate", "conversion_rate_low", "conversion_rate_high"),
    *("gross", "refunds", "revenue"),
    *("revenue_per_1000_lists", "revenue_per_1000_lists_low", "revenue_per_1000_lists_high"),
)


@dataclass
class _Tally:
    """Sums over lists, or over the parts of them that come from one source."""

    clicks: Clustered = field(default_factory=Clustered)
    conversions: Clustered = field(default_factory=Clustered)
    gross: float = 0.0
    refunds: float = 0.0
    revenue_squares: float = 0.0

    def show(self, n: int, lists: int) -> None:
        for each in (self.clicks, self.conversions):
            each.add_clusters(n, lists)

    def respond(self, n: int, response: "_Response") -> None:
        self.clicks.add_hits(n, len(response.clicked))
        self.conversions.add_hits(n, len(response.bought))
        self.gross += response.gross
        self.refunds += response.refunds
        self.revenue_squares += (response.gross - response.refunds) ** 2

    def figures(self) -> dict[str, Any]:
        lists, revenue = self.clicks.clusters, self.gross - self.refunds
        return {
            "lists": lists,
            "shown": self.clicks.units,
            "clicks": self.clicks.hits,
            "ctr": self.clicks.rate(),
            "conversions": self.conversions.hits,
            "conversion_rate": self.conversions.rate(),
            "gross": money(self.gross),
            "refunds": money(self.refunds),
            "revenue": money(revenue),
            "revenue_per_1000_lists": mean(lists, revenue, self.revenue_squares, 1_000, 4),
        }


@dataclass
class _Response:
    """What came of one list, or of its items from one source."""

    clicked: set[int] = field(default_factory=set)
    bought: set[int] = field(default_factory=set)
    gross: float = 0.0
    refunds: float = 0.0


@dataclass
class _Gaps:
    """Events that could not be counted, or not in money."""

    not_in_list: int = 0
    purchases: int = 0
    unpriced: int = 0


@dataclass(frozen=True)
class _Currency:
    """The one in which amounts are counted; what names none is in the main one."""

    chosen: str | None
    main: str | None
    others: list[str]

    def counts(self, named: str | None) -> bool:
        return (named or self.main) == self.chosen


def report_recommendations(
    connection: Connection,
    since: int | None,
    until: int | None,
    by: Sequence[Dimension],
    currency: str | None,
) -> dict[str, Any]:
    """Figures of the lists that were shown in a window, in all and by `by`; raises InvalidInput.

    What people did counts whenever they did it, for the list whose id the event carries.
    """
    by = list(dict.fromkeys(by))
    window = _window(connection, since, until)
    money_of = _currency(connection, window, currency)
    total, groups = _Tally(), defaultdict[tuple[Any, ...], _Tally](_Tally)
    _count_shown(connection, window, by, total, groups)
    gaps = _count_responses(connection, window, by, money_of, total, groups)
    unknown = queries.of_unknown_lists(connection, window.since, window.until)
    warnings = _warnings(connection, window, since, total, gaps, unknown)
    if money_of.others and currency is None:
        warnings.append(
            f"Only purchases and refunds in {money_of.chosen} are counted in money; there are others in "
            f"{', '.join(money_of.others)}."
        )
    return {
        **window.head(),
        "by": by,
        "currency": money_of.chosen,
        "totals": total.figures(),
        "groups": [
            {**dict(zip(by, map(_shown_as, by, key), strict=True)), **groups[key].figures()}
            for key in sorted(groups, key=lambda key: [(value is not None, value) for value in key])
        ],
        "uncounted": {"unknown_list": unknown, "not_in_list": gaps.not_in_list},
        "warnings": warnings,
    }


def columns(by: Sequence[Dimension]) -> tuple[str, ...]:
    """Of the groups as a table."""
    return (*dict.fromkeys(by), "currency", *_FIGURES)


def group_rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The groups as rows of `columns`."""
    rows = []
    for group in report["groups"]:
        row = {**group, "currency": report["currency"]}
        for name in _RATES:
            row |= {name: group[name]["value"], f"{name}_low": group[name]["low"]}
            row[f"{name}_high"] = group[name]["high"]
        rows.append(row)
    return rows


def _window(connection: Connection, since: int | None, until: int | None) -> Window:
    """As of all reports, but what was shown after the latest event counts too."""
    as_of = max(present(connection), latest_shown(connection) or 0)
    window = window_of(connection, since, as_of + 1 if until is None else until)
    return replace(window, as_of=as_of)


def _count_shown(
    connection: Connection,
    window: Window,
    by: Sequence[Dimension],
    total: _Tally,
    groups: dict[tuple[Any, ...], _Tally],
) -> None:
    with closing(queries.exposures(connection, window.since, window.until, by)) as shown:
        for values, row in shown:
            counts = mix(row.sources)
            total.show(sum(counts.values()), row.lists)
            for key, n in _parts(by, values, counts):
                groups[key].show(n, row.lists)
            if len(groups) > MAX_GROUPS:
                detail = f"There are more than {MAX_GROUPS:,} groups; take a shorter window or fewer of `by`"
                raise InvalidInput(
                    "There are too many groups.", [InputError("/query/by", "too_many_groups", detail)]
                )


def _count_responses(
    connection: Connection,
    window: Window,
    by: Sequence[Dimension],
    currency: _Currency,
    total: _Tally,
    groups: dict[tuple[Any, ...], _Tally],
) -> _Gaps:
    gaps = _Gaps()
    rows = queries.responses(connection, window.since, window.until)
    for _, events in groupby(rows, key=lambda row: row.id):
        first = next(events)
        sources = dict(sourced(first))
        whole, parts = _Response(), defaultdict[str, _Response](_Response)
        for event in (first, *events):
            source = sources.get(event.item_id)
            if source is None:
                gaps.not_in_list += 1
                continue
            for response in (whole, parts[source]):
                _take(response, event, currency.counts(event.currency))
            if event.name == "purchase":
                gaps.purchases += 1
                gaps.unpriced += event.price is None
        total.respond(first.n, whole)
        values, counts = queries.values_of(first, by), mix(first.sources)
        for source, response in parts.items() if "source" in by else [(None, whole)]:
            key = tuple(source if name == "source" else values[name] for name in by)
            if key in groups:  # else it was recorded after the lists were counted
                groups[key].respond(first.n if source is None else counts[source], response)
    return gaps


def _take(response: _Response, event: AnyRow, in_currency: bool) -> None:
    """Count one event with an item of the list."""
    amount = (event.price or 0.0) * (1.0 if event.quantity is None else event.quantity)
    if event.name == "purchase":
        response.bought.add(event.item_id)
        response.gross += amount if in_currency else 0.0
    elif event.name == "refund":
        response.refunds += amount if in_currency else 0.0
    elif event.name not in NO_CLICKS:
        response.clicked.add(event.item_id)


def _parts(
    by: Sequence[Dimension], values: dict[str, Any], counts: dict[str, int]
) -> list[tuple[tuple[Any, ...], int]]:
    """Group and number of items, once for the list or once for each of its sources."""
    if "source" not in by:
        return [(tuple(values[name] for name in by), sum(counts.values()))]
    return [
        (tuple(source if name == "source" else values[name] for name in by), n)
        for source, n in counts.items()
    ]


def _currency(connection: Connection, window: Window, asked: str | None) -> _Currency:
    """The asked currency, or the most frequent one; the main one is that of most items of the catalogue."""
    named = queries.currencies(connection, window.since, window.until)
    main = catalogue_currency(connection) if None in named else None
    main = main or _most_frequent(Counter({name: n for name, n in named.items() if name is not None}))
    found = Counter[str | None]()
    for name, n in named.items():
        found[name or main] += n
    chosen = asked or _most_frequent(found)
    return _Currency(chosen, main, sorted({name for name in found if name} - {chosen}))


def _most_frequent(counts: Counter[str | None]) -> str | None:
    return min(counts, key=lambda name: (-counts[name], name or ""), default=None)


def _warnings(
    connection: Connection, window: Window, since: int | None, total: _Tally, gaps: _Gaps, unknown: int
) -> list[str]:
    found = []
    if not total.clicks.clusters:
        found.append(
            "Not enough data, needs recommendations: no list is recorded "
            f"from {rfc3339(window.since)} to {rfc3339(window.until)}."
        )
    oldest = oldest_shown(connection)
    if since is not None and oldest is not None and oldest > since + DAY_MS:
        found.append(f"The oldest list that is recorded was shown at {rfc3339(oldest)}.")
    if unknown:
        found.append(f"Events with the id of a list that is not recorded: {unknown}. They are not counted.")
    if gaps.not_in_list:
        found.append(
            f"Events with the id of a list that did not show their item: {gaps.not_in_list}. "
            "They are not counted."
        )
    if gaps.unpriced:
        found.append(
            f"Purchases without a price: {gaps.unpriced} of {gaps.purchases}. They count as conversions, "
            "not in money."
        )
    return found


def _shown_as(name: Dimension, value: Any) -> Any:
    return f"{from_ms(value * DAY_MS):%Y-%m-%d}" if name == "day" else value
