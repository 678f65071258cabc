"""Lists that were shown in a window of time, and what people did with them."""

from collections.abc import Generator, Sequence
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, func, select

from app.db.queries.reports.lines import is_purchase, is_refund
from app.db.queries.reports.periods import day_number
from app.db.rows import AnyRow
from app.db.tables import event_names, interactions, shown_recommendations

Dimension = Literal["scenario", "source", "model_version", "day"]

_AT_ONCE = 5_000
_shown = shown_recommendations


def exposures(
    connection: Connection, since: int, until: int, by: Sequence[Dimension]
) -> Generator[tuple[dict[str, Any], AnyRow]]:
    """How many lists were shown: the values of `by` (see `values_of`), and a row with `lists` and `sources`.

    Lists are counted together where all of that is the same.
    """
    names = [name for name in by if name != "source"]
    row = (
        select(*(_column(name) for name in names), _shown.c.sources).where(_between(since, until)).subquery()
    )
    statement = select(*row.c, func.count().label("lists")).group_by(*row.c)
    with connection.execute(statement, execution_options={"yield_per": _AT_ONCE}) as rows:
        for found in rows:
            yield values_of(found, by), found


def responses(connection: Connection, since: int, until: int) -> Generator[AnyRow]:
    """All events that carry the id of a list that was shown in the window, list by list.

    A row has the list's id, scenario, model_version, day, n, sources, item_keys and item_sources, and the
    event's item_id, name, price, quantity and currency.
    """
    statement = (
        select(
            *(_shown.c[name] for name in ("id", "scenario", "model_version", "n")),
            *(_shown.c[name] for name in ("sources", "item_keys", "item_sources")),
            _column("day"),
            interactions.c.item_id,
            event_names.c.name,
            *(interactions.c[name] for name in ("price", "quantity", "currency")),
        )
        .join(interactions, interactions.c.recommendation_id == _shown.c.recommendation_id)
        .join(event_names, event_names.c.id == interactions.c.event)
        .where(_between(since, until))
        .order_by(_shown.c.id)
    )
    with connection.execute(statement, execution_options={"yield_per": _AT_ONCE}) as rows:
        yield from rows


def currencies(connection: Connection, since: int, until: int) -> dict[str | None, int]:
    """In which currencies (None: not said) things were bought and returned that come from such lists."""
    statement = (
        select(interactions.c.currency, func.count())
        .join(_shown, interactions.c.recommendation_id == _shown.c.recommendation_id)
        .where(_between(since, until), is_purchase | is_refund)
        .group_by(interactions.c.currency)
    )
    return dict(connection.execute(statement).all())


def of_unknown_lists(connection: Connection, since: int, until: int) -> int:
    """Events of the window with a `recommendation_id` under which no list is recorded."""
    recorded = select(_shown.c.id).where(_shown.c.recommendation_id == interactions.c.recommendation_id)
    statement = (
        select(func.count())
        .select_from(interactions)
        .where(
            interactions.c.recommendation_id.is_not(None),
            interactions.c.occurred_at >= since,
            interactions.c.occurred_at < until,
            ~recorded.exists(),
        )
    )
    return int(connection.execute(statement).scalar_one())


def values_of(row: AnyRow, by: Sequence[Dimension]) -> dict[str, Any]:
    """By what a list is counted, from its row; `day` is a number, and `source` is of its items."""
    return {name: getattr(row, name) for name in by if name != "source"}


def _column(name: Dimension) -> ColumnElement[Any]:
    return day_number(_shown.c.shown_at).label("day") if name == "day" else _shown.c[name]


def _between(since: int, until: int) -> ColumnElement[bool]:
    return (_shown.c.shown_at >= since) & (_shown.c.shown_at < until)
