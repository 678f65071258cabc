"""Customers by their first purchase, and which of them came back when."""

from sqlalchemy import CTE, Connection, FromClause, func, select

from app.db.queries.reports.lines import event_code, is_purchase
from app.db.queries.reports.periods import By, period_number
from app.db.tables import interactions


def first_purchases(buyers: FromClause) -> CTE:
    """`(user_id, first)`: the time of the first purchase ever, of any item, of each user of `buyers`."""
    past = interactions.alias("past")
    # One step along the index of the user's events for each of those before the purchase, and no more.
    first = (
        select(past.c.occurred_at)
        .where(past.c.user_id == buyers.c.user_id, past.c.event == event_code("purchase"))
        .order_by(past.c.occurred_at, past.c.id)
        .limit(1)
        .scalar_subquery()
    )
    # Kept as rows: the arithmetic of months names the time many times, and must not search for it each time.
    return select(buyers.c.user_id, first.label("first")).cte("firsts").prefix_with("MATERIALIZED")


def cohorts(connection: Connection, since: int, until: int, by: By) -> list[tuple[int, int, int]]:
    """`(period of the first purchase, period of a purchase, users)` where the first is not before `since`.

    Periods are numbered as in `period_number`; purchases up to `until`, exclusive, count.
    """
    purchases = (
        select(interactions.c.user_id, period_number(interactions.c.occurred_at, by).label("period"))
        .where(
            is_purchase,
            interactions.c.user_id.is_not(None),
            interactions.c.occurred_at >= since,
            interactions.c.occurred_at < until,
        )
        .distinct()
        .cte("purchases")
    )
    firsts = first_purchases(select(purchases.c.user_id).distinct().subquery("buyers"))
    active = (
        select(period_number(firsts.c.first, by).label("cohort"), purchases.c.period)
        .join(firsts, firsts.c.user_id == purchases.c.user_id)
        .where(firsts.c.first >= since)
        .subquery()
    )
    statement = select(active.c.cohort, active.c.period, func.count()).group_by(*active.c)
    return [(cohort, period, users) for cohort, period, users in connection.execute(statement)]
