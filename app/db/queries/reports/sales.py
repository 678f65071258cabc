"""Sales by period, and of a whole window beside the one before."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    union_all,
)

from app.db.queries.reports.customers import first_purchases
from app.db.queries.reports.lines import (
    Lines,
    amount,
    is_purchase,
    is_refund,
    order_columns,
    order_key,
    units,
    who,
)
from app.db.queries.reports.periods import By, day_number, period_number
from app.db.rows import AnyRow
from app.db.tables import interactions

_Figures: TypeAlias = Select[*tuple[Any, ...]]


@dataclass(frozen=True)
class Spans:
    """Rows of figures by the span of time that they are about; one in which nothing happened is missing."""

    windows: dict[int, AnyRow]
    """1: the window; 0: the window before."""
    periods: dict[int, AnyRow]
    """Those of the window, by their numbers (see `period_number`)."""


def sales(connection: Connection, lines: Lines, by: By) -> Spans:
    """Money, units, orders and customers.

    A row has gross, refunds, units, orders, priced_orders (with a price on some line), customers,
    new_customers (whose first purchase ever lies in the span) and returning_customers (who bought anything
    on a day before that of their last purchase in it).
    """
    parts = _parts_of_orders(connection, lines, by)
    buyers = select(parts.c.user_id).where(parts.c.user_id.is_not(None), parts.c.purchases > 0).distinct()
    firsts = first_purchases(buyers.subquery("buyers"))
    in_window = firsts.c.first >= case((parts.c.window == 1, lines.since), else_=lines.before)
    in_period = and_(firsts.c.first >= lines.since, period_number(firsts.c.first, by) == parts.c.period)
    return _spans(
        connection,
        _figures(parts, firsts, parts.c.window, in_window, parts.c.window >= 0),
        _figures(parts, firsts, parts.c.period, in_period, parts.c.window == 1),
    )


def visitors(connection: Connection, lines: Lines, by: By) -> Spans:
    """Users and sessions with any event.

    A row has visitors, buyers, and onlookers (who did other things than to buy and to return).
    """
    seen = (
        select(
            lines.window().label("window"),
            period_number(interactions.c.occurred_at, by).label("period"),
            who.label("who"),
            case((is_purchase, 1), else_=0).label("buys"),
            case((or_(is_purchase, is_refund), 0), else_=1).label("looks"),
        )
        .where(lines.any_event(connection))
        .subquery()
    )
    keys = (seen.c.window, seen.c.period, seen.c.who)
    people = (
        select(*keys, func.max(seen.c.buys).label("buys"), func.max(seen.c.looks).label("looks"))
        .group_by(*keys)
        .cte("people")
    )

    def counted(number: ColumnElement[int]) -> _Figures:
        columns: list[ColumnElement[Any]] = [
            number.label("number"),
            func.count(people.c.who.distinct()).label("visitors"),
            func.count(case((people.c.buys == 1, people.c.who)).distinct()).label("buyers"),
            func.count(case((people.c.looks == 1, people.c.who)).distinct()).label("onlookers"),
        ]
        return select(*columns).group_by(number)

    return _spans(connection, counted(people.c.window), counted(people.c.period).where(people.c.window == 1))


def _parts_of_orders(connection: Connection, lines: Lines, by: By) -> CTE:
    """A row for what one person bought and returned of one order within one period: far fewer than lines."""
    row = (
        select(
            lines.window().label("window"),
            period_number(interactions.c.occurred_at, by).label("period"),
            interactions.c.user_id,
            *order_columns(),
            interactions.c.occurred_at,
            case((is_purchase, 1), else_=0).label("is_purchase"),
            case((interactions.c.price.is_not(None), 1), else_=0).label("is_priced"),
            amount.label("amount"),
            units.label("units"),
        )
        .where(lines.condition(connection))
        .subquery()
    )
    bought = row.c.is_purchase == 1
    keys = (row.c.window, row.c.period, row.c.user_id, row.c.order_id, row.c.order_owner, row.c.order_day)
    return (
        select(
            *keys,
            func.sum(case((bought, row.c.amount), else_=0.0)).label("gross"),
            func.sum(case((bought, 0.0), else_=row.c.amount)).label("refunds"),
            func.sum(case((bought, row.c.units), else_=0.0)).label("units"),
            func.sum(row.c.is_purchase).label("purchases"),
            func.sum(row.c.is_purchase * row.c.is_priced).label("priced"),
            func.max(case((bought, row.c.occurred_at))).label("latest"),
        )
        .group_by(*keys)
        .cte("parts")
    )


def _figures(
    parts: CTE,
    firsts: CTE,
    number: ColumnElement[int],
    is_new: ColumnElement[bool],
    where: ColumnElement[bool],
) -> _Figures:
    """All figures of a row for each `number`, a column of `parts`; `is_new` tells new customers."""
    totals = ("gross", "refunds", "units")
    money = (
        select(
            number.label("number"),
            *(func.sum(parts.c[name]).label(name) for name in totals),
            func.count(case((parts.c.purchases > 0, order_key(parts))).distinct()).label("orders"),
            func.count(case((parts.c.priced > 0, order_key(parts))).distinct()).label("priced_orders"),
        )
        .where(where)
        .group_by(number)
        .subquery()
    )
    person = (
        select(
            number.label("number"),
            func.max(case((is_new, 1), else_=0)).label("is_new"),
            case(
                (day_number(func.max(parts.c.latest)) > day_number(func.max(firsts.c.first)), 1), else_=0
            ).label("returns"),
        )
        .join(firsts, firsts.c.user_id == parts.c.user_id)
        .where(where, parts.c.purchases > 0)
        .group_by(number, parts.c.user_id)
        .subquery()
    )
    people = (
        select(
            person.c.number,
            func.count().label("customers"),
            func.sum(person.c.is_new).label("new_customers"),
            func.sum(person.c.returns).label("returning_customers"),
        )
        .group_by(person.c.number)
        .subquery()
    )
    counted = ("customers", "new_customers", "returning_customers")
    counts = (func.coalesce(people.c[name], 0).label(name) for name in counted)
    return select(*money.c, *counts).outerjoin_from(money, people, people.c.number == money.c.number)


def _spans(connection: Connection, of_windows: _Figures, of_periods: _Figures) -> Spans:
    windows, periods = of_windows.subquery(), of_periods.subquery()
    both = union_all(
        select(literal(1).label("is_window"), *windows.c), select(literal(0).label("is_window"), *periods.c)
    )
    found = connection.execute(both).all()
    return Spans(
        {row.number: row for row in found if row.is_window},
        {row.number: row for row in found if not row.is_window},
    )
