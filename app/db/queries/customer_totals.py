"""What one user's events add up to: the latest ones, so that the cost is bounded."""

from collections.abc import Sequence

from sqlalchemy import CTE, Connection, Text, case, cast, distinct, func, select

from app.core.events import CONTACT
from app.db.queries.reports.periods import day_number
from app.db.rows import AnyRow
from app.db.tables import event_names, interactions, items


def latest_of_user(user_key: int, limit: int) -> CTE:
    """A user's latest events, for the queries below."""
    return (
        select(
            interactions.c.item_id,
            event_names.c.name,
            interactions.c.quantity,
            interactions.c.price,
            interactions.c.currency,
            interactions.c.order_id,
            interactions.c.occurred_at,
            interactions.c.context,
        )
        .join(event_names, event_names.c.id == interactions.c.event)
        .where(interactions.c.user_id == user_key)
        .order_by(interactions.c.occurred_at.desc(), interactions.c.id.desc())
        .limit(limit)
        .cte("latest")
    )


def activity(connection: Connection, events: CTE) -> AnyRow:
    """One row: events, orders (by the shop's id, else by UTC day), purchases, refunds, first, last."""
    bought = events.c.name == "purchase"
    day = cast(day_number(events.c.occurred_at), Text)
    order = case((bought, func.coalesce("o" + events.c.order_id, "d" + day)))
    return connection.execute(
        select(
            func.count().label("events"),
            func.count(distinct(order)).label("orders"),
            func.count(case((bought, 1))).label("purchases"),
            func.count(case((events.c.name == "refund", 1))).label("refunds"),
            func.min(events.c.occurred_at).label("first"),
            func.max(events.c.occurred_at).label("last"),
        )
    ).one()


def money_by_currency(connection: Connection, events: CTE) -> Sequence[AnyRow]:
    """Of each currency (None: not said): spent, refunded, and lines without a price; by its name."""
    amount = func.coalesce(events.c.price * func.coalesce(events.c.quantity, 1.0), 0.0)
    bought = events.c.name == "purchase"
    statement = (
        select(
            events.c.currency,
            func.sum(case((bought, amount), else_=0.0)).label("spent"),
            func.sum(case((bought, 0.0), else_=amount)).label("refunded"),
            func.count(case((events.c.price.is_(None), 1))).label("without_price"),
        )
        .where(events.c.name.in_(("purchase", "refund")))
        .group_by(events.c.currency)
    )
    return sorted(connection.execute(statement), key=lambda row: (row.currency is None, row.currency or ""))


def items_turned_to(connection: Connection, events: CTE) -> Sequence[AnyRow]:
    """Of each item: its category paths, the user's purchases of it, and events with it."""
    of_item = (
        select(
            events.c.item_id,
            func.count(case((events.c.name == "purchase", 1))).label("purchases"),
            func.count().label("events"),
        )
        .where(events.c.item_id.is_not(None))
        .group_by(events.c.item_id)
        .subquery()
    )
    return connection.execute(
        select(items.c.categories, of_item.c.purchases, of_item.c.events).join(
            of_item, of_item.c.item_id == items.c.id
        )
    ).all()


def contacts_by_type(connection: Connection, events: CTE) -> Sequence[AnyRow]:
    """Of each type (None: not said) of contact with the service: how many, and the latest."""
    contacts = (
        select(events.c.context["type"].as_string().label("type"), events.c.occurred_at)
        .where(events.c.name == CONTACT)
        .subquery()
    )
    return connection.execute(
        select(
            contacts.c.type, func.count().label("contacts"), func.max(contacts.c.occurred_at).label("latest")
        ).group_by(contacts.c.type)
    ).all()
