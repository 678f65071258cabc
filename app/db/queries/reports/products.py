"""Sales by item and by top-level category, in a window and in the one before it."""

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Double,
    Subquery,
    Text,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    true,
)

from app.db.bulk import is_sqlite
from app.db.queries.reports.lines import (
    Lines,
    amount,
    elements,
    is_purchase,
    order_columns,
    order_key,
    units,
    who,
)
from app.db.rows import AnyRow
from app.db.tables import interactions, items

Order = Literal["revenue", "units", "growth"]
FIGURES = ("gross", "refunds", "units", "orders", "buyers")
"""Columns of each row; with `_before` behind the name, of the window before."""

_SPACES = "".join(character for character in map(chr, range(0x3001)) if character.isspace())


def best_and_moved(
    connection: Connection, lines: Lines, order: Order, n: int, prior: float
) -> Sequence[AnyRow]:
    """The `n` best items by an order, the `n` that rose most and the `n` that fell most, in one list.

    A row has external_id, title, lines and FIGURES; `lines`, those of the window, may be 0 for one that only
    fell. `orders_of_all` and `orders_of_all_before` are sums over all items. `best`, `up` and `down` are
    ranks from 1; ties go by the item's key. Growth is `(x - m) / sqrt(m + prior)` of the orders `x` with the
    item, of which `m` were to be expected from its share of those before.
    """
    of_items = _figures(_rows(connection, lines, interactions.c.item_id)).subquery()
    summed = select(
        *of_items.c,
        cast(func.sum(of_items.c.orders).over(), Double).label("orders_of_all"),
        cast(func.sum(of_items.c.orders_before).over(), Double).label("orders_of_all_before"),
    ).subquery()
    everyone = summed.c.orders_of_all_before
    expected = case(
        (everyone > 0, summed.c.orders_before * summed.c.orders_of_all / everyone), else_=literal(0.0)
    )
    excess = summed.c.orders - expected
    # The order of the squares with their signs is that of the quotients, without a square root.
    growth = excess * func.abs(excess) / (expected + prior)
    wanted = {
        "revenue": summed.c.gross - summed.c.refunds,
        "units": summed.c.units,
        "growth": growth,
    }[order]
    # What only others bought before may be among those that fell, not among the best.
    counts = true() if order == "growth" else summed.c.lines > 0
    ranked = select(
        *summed.c,
        _rank(case((counts, 0), else_=1), wanted.desc(), summed.c.key).label("best"),
        _rank(growth.desc(), summed.c.key).label("up"),
        _rank(growth.asc(), summed.c.key).label("down"),
    ).subquery()
    statement = (
        select(*ranked.c, items.c.external_id, items.c.title)
        .join(items, items.c.id == ranked.c.key)
        .where(or_(ranked.c.best <= n, ranked.c.up <= n, ranked.c.down <= n))
        .order_by(ranked.c.best)
    )
    return connection.execute(statement).all()


def by_category(connection: Connection, lines: Lines, limit: int) -> Sequence[AnyRow]:
    """Rows with key (the top-level category; None: items in none), lines and FIGURES, most revenue first.

    An item in several categories counts in each of them.
    """
    memberships = _top_categories(connection)
    rows = _rows(connection, lines, memberships.c.category, memberships)
    found = _figures(rows).subquery()
    revenue = found.c.gross - found.c.refunds
    return connection.execute(
        select(found).order_by(revenue.desc(), found.c.units.desc(), found.c.key).limit(limit)
    ).all()


def _rank(*order: ColumnElement[Any]) -> ColumnElement[int]:
    return func.row_number().over(order_by=order)


def _rows(
    connection: Connection, lines: Lines, key: ColumnElement[Any], memberships: CTE | None = None
) -> Subquery:
    statement = select(
        key.label("key"),
        lines.window().label("window"),
        *order_columns(),
        who.label("who"),
        case((is_purchase, 1), else_=0).label("is_purchase"),
        amount.label("amount"),
        units.label("units"),
    ).where(lines.condition(connection))
    if memberships is not None:
        statement = statement.outerjoin_from(
            interactions, memberships, memberships.c.item_id == interactions.c.item_id
        )
    return statement.subquery()


def _figures(row: Subquery) -> Any:
    """FIGURES of both windows for each key of `_rows`."""
    columns: list[ColumnElement[Any]] = []
    for suffix, window in (("", 1), ("_before", 0)):
        inside = row.c.window == window
        bought = inside & (row.c.is_purchase == 1)
        returned = inside & (row.c.is_purchase == 0)
        columns += [
            func.sum(case((inside, 1), else_=0)).label("lines" + suffix),
            func.sum(case((bought, row.c.amount), else_=0.0)).label("gross" + suffix),
            func.sum(case((returned, row.c.amount), else_=0.0)).label("refunds" + suffix),
            func.sum(case((bought, row.c.units), else_=0.0)).label("units" + suffix),
            func.count(case((bought, order_key(row))).distinct()).label("orders" + suffix),
            func.count(case((bought, row.c.who)).distinct()).label("buyers" + suffix),
        ]
    return select(row.c.key, *columns).group_by(row.c.key)


def _top_categories(connection: Connection) -> CTE:
    """`(item_id, category)`: the first part of each of the item's paths, once."""
    paths = elements(connection, items.c.categories)
    place = func.instr if is_sqlite(connection) else func.strpos
    first = func.substr(paths.c.value, 1, place(paths.c.value + ">", ">") - 1)
    category = func.trim(first, _SPACES, type_=Text)
    return (
        select(items.c.id.label("item_id"), category.label("category"))
        .select_from(items)
        .join(paths, true())
        .where(category != "")
        .distinct()
        .cte("memberships")
    )
