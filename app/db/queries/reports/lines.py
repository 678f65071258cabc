"""What all reports count: the purchases and refunds of a window and of the one before it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    FromClause,
    ScalarSelect,
    TableValuedAlias,
    Text,
    and_,
    case,
    cast,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.db.bulk import is_sqlite
from app.db.queries.reports.periods import Whole, day_number
from app.db.rows import AnyRow
from app.db.tables import event_names, interactions, items


def event_code(name: str) -> ScalarSelect[Any]:
    """The code of an event's name; NULL where the shop never used it."""
    return select(event_names.c.id).where(event_names.c.name == name).scalar_subquery()


is_purchase: ColumnElement[bool] = interactions.c.event == event_code("purchase")
is_refund: ColumnElement[bool] = interactions.c.event == event_code("refund")
units: ColumnElement[float] = func.coalesce(interactions.c.quantity, 1.0, type_=Double)
amount: ColumnElement[float] = func.coalesce(interactions.c.price * units, 0.0, type_=Double)
"""Money of a line: 0 where it has no price."""
who: Whole = func.coalesce(interactions.c.user_id, -interactions.c.session_id, type_=BigInteger)
"""Whose a row is: the user's key or, below 0, the session's where no user is named."""


@dataclass(frozen=True)
class Lines:
    """Which purchases and refunds count: of `[since, until)` and of the window of equal length before it.

    `paths` are category paths as they are stored, of which the item has one; None: any item. `currency` is
    that of the line itself, and `with_unnamed` lets lines without one count too; before `of_currency`, lines
    of all currencies count.
    """

    since: int
    until: int
    paths: tuple[str, ...] | None = None
    is_of_one_currency: bool = False
    currency: str | None = None
    with_unnamed: bool = True

    @property
    def before(self) -> int:
        """Where the window before begins."""
        return self.since - (self.until - self.since)

    def of_currency(self, currency: str | None, with_unnamed: bool) -> Self:
        """The same, of one currency alone; None: those without one."""
        return replace(self, currency=currency, with_unnamed=with_unnamed, is_of_one_currency=True)

    def window(self) -> Whole:
        """1 for a row of the window, 0 for one of the window before."""
        return case((interactions.c.occurred_at >= self.since, 1), else_=0)

    def condition(self, connection: Connection) -> ColumnElement[bool]:
        """What the rows of `interactions` that count fulfil."""
        found = [self.any_event(connection), or_(is_purchase, is_refund)]
        if self.is_of_one_currency:
            column = interactions.c.currency
            named = column == self.currency if self.currency is not None else column.is_(None)
            found.append(or_(named, column.is_(None)) if self.with_unnamed else named)
        return and_(*found)

    def any_event(self, connection: Connection) -> ColumnElement[bool]:
        """The same for events of every name, which have no currency."""
        found = [interactions.c.occurred_at >= self.before, interactions.c.occurred_at < self.until]
        if self.paths is not None:
            found.append(interactions.c.item_id.in_(_items_with(connection, self.paths)))
        return and_(*found)


def order_columns() -> tuple[ColumnElement[Any], ...]:
    """What tells orders apart: the shop's id, or else the person and the UTC day."""
    unnamed = interactions.c.order_id.is_(None)
    day = day_number(interactions.c.occurred_at)
    return (
        interactions.c.order_id.label("order_id"),
        case((unnamed, who)).label("order_owner"),
        case((unnamed, day)).label("order_day"),
    )


def order_key(rows: FromClause) -> ColumnElement[str]:
    """One text that tells orders apart, of rows that have the columns of `order_columns`."""
    owner, day = cast(rows.c.order_owner, Text), cast(rows.c.order_day, Text)
    return func.coalesce("o" + rows.c.order_id, "p" + owner + "/" + day)


def contents(connection: Connection, lines: Lines) -> Sequence[AnyRow]:
    """What lines there are, by window (1, or 0 for the one before) and currency (None: not said).

    A row has window, currency, purchases, refunds, unpriced_purchases, unpriced_refunds and anonymous
    (purchases without a user).
    """
    row = (
        select(
            lines.window().label("window"),
            interactions.c.currency,
            case((is_purchase, 1), else_=0).label("buys"),
            case((interactions.c.price.is_(None), 1), else_=0).label("unpriced"),
            case((interactions.c.user_id.is_(None), 1), else_=0).label("anonymous"),
        )
        .where(lines.condition(connection))
        .subquery()
    )
    statement = select(
        row.c.window,
        row.c.currency,
        func.sum(row.c.buys).label("purchases"),
        func.sum(1 - row.c.buys).label("refunds"),
        func.sum(row.c.buys * row.c.unpriced).label("unpriced_purchases"),
        func.sum((1 - row.c.buys) * row.c.unpriced).label("unpriced_refunds"),
        func.sum(row.c.buys * row.c.anonymous).label("anonymous"),
    ).group_by(row.c.window, row.c.currency)
    return connection.execute(statement).all()


def earliest_time(connection: Connection) -> int | None:
    """Time of the shop's first event; None without any."""
    earliest: int | None = connection.execute(select(func.min(interactions.c.occurred_at))).scalar_one()
    return earliest


def catalogue_currency(connection: Connection) -> str | None:
    """The currency that most items are priced in (ties: the first by name); None if none is named."""
    statement = (
        select(items.c.currency)
        .where(items.c.currency.is_not(None))
        .group_by(items.c.currency)
        .order_by(func.count().desc(), items.c.currency)
        .limit(1)
    )
    found: str | None = connection.execute(statement).scalar()
    return found


def category_paths(connection: Connection) -> list[str]:
    """All category paths of items, deleted ones included, as they are stored."""
    paths = elements(connection, items.c.categories)
    statement = select(paths.c.value).select_from(items).join(paths, true()).distinct()
    return list(connection.execute(statement).scalars())


def elements(connection: Connection, array: Any) -> TableValuedAlias:
    """The texts of a JSON array as rows with one column, `value`."""
    function = func.json_each if is_sqlite(connection) else func.jsonb_array_elements_text
    return function(array).table_valued("value", joins_implicitly=True)


def _items_with(connection: Connection, paths: tuple[str, ...]) -> Any:
    if is_sqlite(connection):
        wanted = elements(connection, orjson.dumps(paths).decode())
    else:
        wanted = elements(connection, cast(list(paths), JSONB))
    theirs = elements(connection, items.c.categories)
    return (
        select(items.c.id)
        .select_from(items)
        .join(theirs, true())
        .where(theirs.c.value.in_(select(wanted.c.value)))
    )
