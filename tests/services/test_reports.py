"""Sales of made-up shops against a naive calculation over the events themselves."""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.clock import rfc3339, to_ms
from app.db.queries.reports.periods import DAY_MS, By, number_of
from app.db.session import Database
from app.db.tables import interactions
from app.schemas.interactions import Interaction
from app.services.interactions import record
from app.services.reports.cohorts import report_cohorts
from app.services.reports.sales import report_sales

START = to_ms(datetime(2024, 2, 20, tzinfo=UTC))
"""A Tuesday; with 20 days, a leap day and the ends of two months and of several weeks."""
DAYS = 20
MOMENTS = st.integers(0, 4 * DAYS).map(lambda quarter: START + quarter * DAY_MS // 4)
PEOPLE = st.sampled_from(["ana", "bo", "cy", None])
EVENTS = st.fixed_dictionaries(
    {
        "user_id": PEOPLE,
        "session_id": st.sampled_from(["s", "t"]),
        "item_id": st.just("i"),
        "event": st.sampled_from(["purchase", "purchase", "purchase", "refund", "view_item"]),
        "order_id": st.sampled_from([None, None, "o1", "o2", "p1/1"]),
        # Exact in binary, so that sums do not depend on their order.
        "price": st.sampled_from([None, 0.0, 0.25, 10.5, 3.0]),
        "quantity": st.sampled_from([None, 0.5, 1.0, 2.0, 7.0]),
        "currency": st.sampled_from([None, "EUR", "EUR", "USD"]),
        "occurred_at": MOMENTS,
    }
)
HISTORIES = st.lists(EVENTS, max_size=5) | st.lists(EVENTS, min_size=20, max_size=40)
Event = dict[str, Any]


def store(database: Database, events: list[Event]) -> None:
    with database.write() as connection:
        connection.execute(interactions.delete())
        entries = [
            Interaction.model_validate(
                event | {"occurred_at": rfc3339(event["occurred_at"]), "event_id": str(number)}
            )
            for number, event in enumerate(events)
        ]
        record(connection, entries)


def main_currency(events: list[Event]) -> str | None:
    counts = Counter(event["currency"] for event in events if event["currency"] and is_line(event))
    return min(counts, key=lambda name: (-counts[name], name), default=None)


def is_line(event: Event) -> bool:
    return event["event"] in ("purchase", "refund")


def amount(event: Event) -> float:
    return float((event["price"] or 0.0) * (1.0 if event["quantity"] is None else event["quantity"]))


def who(event: Event) -> tuple[str, str]:
    return ("user", event["user_id"]) if event["user_id"] else ("session", event["session_id"])


def order(event: Event) -> Any:
    return event["order_id"] or (who(event), event["occurred_at"] // DAY_MS)


def share(part: float, whole: float) -> Any:
    return pytest.approx(part / whole, abs=1e-5) if whole else None


def naive(everything: list[Event], since: int, until: int, currency: str | None, main: str | None) -> Any:
    firsts: dict[str, int] = {}
    for event in sorted(everything, key=lambda event: event["occurred_at"]):
        if event["event"] == "purchase" and event["user_id"]:
            firsts.setdefault(event["user_id"], event["occurred_at"])
    seen = [event for event in everything if since <= event["occurred_at"] < until]
    lines = [event for event in seen if is_line(event) and (event["currency"] or main) == currency]
    bought = [event for event in lines if event["event"] == "purchase"]
    gross = sum(amount(event) for event in bought)
    refunds = sum(amount(event) for event in lines if event["event"] == "refund")
    units = sum(1.0 if event["quantity"] is None else event["quantity"] for event in bought)
    orders = {order(event) for event in bought}
    days = defaultdict(set)
    for event in bought:
        if event["user_id"]:
            days[event["user_id"]].add(event["occurred_at"] // DAY_MS)
    visitors = {who(event) for event in seen}
    buyers = {who(event) for event in seen if event["event"] == "purchase"}
    return {
        "gross": gross,
        "refunds": refunds,
        "revenue": gross - refunds,
        "orders": len(orders),
        "units": units,
        "customers": len(days),
        "new_customers": sum(since <= firsts[user] < until for user in days),
        "repeat_rate": share(sum(firsts[user] // DAY_MS < max(days[user]) for user in days), len(days)),
        "average_order_value": share(gross, len({order(e) for e in bought if e["price"] is not None})),
        "items_per_order": share(units, len(orders)),
        "visitors": len(visitors),
        "conversion": share(len(buyers), len(visitors) if not all(map(is_line, seen)) else 0),
    }


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=HISTORIES,
    window=st.lists(MOMENTS, min_size=2, max_size=2, unique=True),
    by=st.sampled_from(get_args(By)),
    asked=st.sampled_from([None, "EUR", "USD"]),
)
def test_sales_are_those_of_the_events(
    database: Database, events: list[Event], window: list[int], by: By, asked: str | None
) -> None:
    store(database, events)
    since, until = sorted(window)
    before = 2 * since - until
    with database.read() as connection:
        report = report_sales(connection, since, until, by, None, asked)
    lines = [event for event in events if is_line(event) and before <= event["occurred_at"] < until]
    main = main_currency(lines)
    chosen = report["currency"]
    within = Counter(event["currency"] or main for event in lines if event["occurred_at"] >= since)
    if asked:
        assert chosen == asked
    elif within:
        assert within[chosen] == max(within.values())
    assert {name: figure["value"] for name, figure in report["totals"].items()} == naive(
        events, since, until, chosen, main
    )
    assert {name: figure["before"] for name, figure in report["totals"].items()} == naive(
        events, before, since, chosen, main
    )
    edges = [since]
    for period in report["series"]:
        begins, ends = (to_ms(datetime.fromisoformat(period.pop(edge))) for edge in ("from", "to"))
        assert begins == edges[-1], "without a hole"
        assert number_of(begins, by) == number_of(ends - 1, by)
        assert ends == until or number_of(ends, by) == number_of(begins, by) + 1
        assert period == naive(events, begins, ends, chosen, main)
        edges.append(ends)
    assert edges[-1] == until


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=HISTORIES.filter(bool), by=st.sampled_from(["week", "month"]))
def test_cohorts_are_those_of_the_events(database: Database, events: list[Event], by: By) -> None:
    store(database, events)
    with database.read() as connection:
        report = report_cohorts(connection, by, 3)
    active = defaultdict(set)
    for event in events:
        if event["event"] == "purchase" and event["user_id"]:
            active[event["user_id"]].add(number_of(event["occurred_at"], by))
    last = number_of(max(event["occurred_at"] for event in events), by)
    for number, cohort in zip(range(last - 2, last + 1), report["cohorts"], strict=True):
        users = [user for user, periods in active.items() if min(periods) == number]
        assert cohort["size"] == len(users)
        came = [sum(later in active[user] for user in users) for later in range(number + 1, last + 1)]
        assert [after["customers"] for after in cohort["retention"]] == came
        assert [after["share"] for after in cohort["retention"]] == [share(c, len(users)) for c in came]
        assert [after["period"] for after in cohort["retention"]] == list(range(1, len(came) + 1))
