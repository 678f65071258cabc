"""Periods by arithmetic in SQL, and the categories of items: the same on both engines as in Python."""

from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, literal, select

from app.core.clock import from_ms, rfc3339, to_ms
from app.db.queries.reports.lines import Lines, catalogue_currency, category_paths
from app.db.queries.reports.periods import DAY_MS, By, number_of, period_number, start_of
from app.db.queries.reports.products import by_category
from app.db.session import Database
from app.schemas.interactions import Interaction
from app.schemas.items import ItemEntry
from app.services.interactions import record
from app.services.items import delete_item, put_items

END = to_ms(datetime(2100, 2, 28, 23, 59, 59, tzinfo=UTC))
TIMES = st.integers(0, END)
EDGES = [
    *("1970-01-01", "1972-02-29", "1999-12-31", "2000-01-01", "2000-02-29", "2000-03-01", "2001-03-01"),
    *("2024-02-28", "2024-02-29", "2024-03-01", "2024-12-31", "2025-01-05", "2025-01-06", "2100-02-28"),
]


def numbered(database: Database, times: list[int], by: By) -> list[int]:
    columns = [period_number(literal(time, BigInteger), by).label(f"c{at}") for at, time in enumerate(times)]
    with database.read() as connection:
        return list(connection.execute(select(*columns)).one())


@pytest.mark.parametrize("by", get_args(By))
def test_edges_of_periods(database: Database, by: By) -> None:
    midnights = [to_ms(datetime.fromisoformat(date).replace(tzinfo=UTC)) for date in EDGES]
    times = [
        *midnights,
        *(time + DAY_MS - 1 for time in midnights),
        *(time - 1 for time in midnights if time),
    ]
    assert numbered(database, times, by) == [number_of(time, by) for time in times]


@pytest.mark.parametrize("by", get_args(By))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(times=st.lists(TIMES, min_size=1, max_size=50))
def test_periods_in_sql_are_those_in_python(database: Database, by: By, times: list[int]) -> None:
    assert numbered(database, times, by) == [number_of(time, by) for time in times]


@given(st.integers(-DAY_MS * 20_000, END), st.sampled_from(get_args(By)))
def test_a_time_lies_in_its_period(time: int, by: By) -> None:
    number = number_of(time, by)
    begins, ends = start_of(number, by), start_of(number + 1, by)
    assert begins <= time < ends
    first = from_ms(begins)
    assert (first.hour, first.minute, first.second, first.microsecond) == (0, 0, 0, 0)
    if by == "week":
        assert first.isocalendar()[:2] == from_ms(time).isocalendar()[:2]
        assert first.isoweekday() == 1
    if by == "month":
        assert (first.year, first.month, first.day) == (from_ms(time).year, from_ms(time).month, 1)


def test_top_level_categories(database: Database) -> None:
    categories: dict[str, list[str]] = {
        "twice": ["A > x", " A>y", "A"],
        "spaced": ["\t B \u00a0> z"],
        "both": ["A", "B > A"],
        "blank": ["", " > x"],
        "none": [],
        "quoted": ["C\"'> \\"],
    }
    with database.write() as connection:
        entries = [ItemEntry(item_id=name, categories=paths) for name, paths in categories.items()]
        put_items(connection, entries)
        line = {"user_id": "u", "event": "purchase", "occurred_at": rfc3339(DAY_MS)}
        sold = [line | {"item_id": name, "price": 2.0**at} for at, name in enumerate(categories)]
        record(connection, [Interaction.model_validate(entry) for entry in sold])
        delete_item(connection, "spaced")
    with database.read() as connection:
        rows = by_category(connection, Lines(DAY_MS, 2 * DAY_MS), 10)
        assert {row.key: (row.gross, row.orders) for row in rows} == {
            "A": (1 + 4, 1),
            "B": (2 + 4, 1),
            "C\"'": (32, 1),
            None: (8 + 16, 1),
        }
        assert [row.key for row in by_category(connection, Lines(DAY_MS, 2 * DAY_MS), 2)] == ["C\"'", None]
        assert set(category_paths(connection)) == {path for paths in categories.values() for path in paths}


def test_currency_of_the_catalogue(database: Database) -> None:
    with database.write() as connection:
        assert catalogue_currency(connection) is None
        put_items(connection, [ItemEntry(item_id="a"), ItemEntry(item_id="b", currency="USD")])
        assert catalogue_currency(connection) == "USD"
        put_items(connection, [ItemEntry(item_id="c", currency="EUR")])
        assert catalogue_currency(connection) == "EUR", "the first by name of equally many"
        put_items(connection, [ItemEntry(item_id="d", currency="USD")])
        assert catalogue_currency(connection) == "USD"
