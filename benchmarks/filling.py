"""`python -m benchmarks.filling N [USERS ITEMS]`: write a simulated shop of N interactions straight into the
database.

A process of its own, so that its memory does not count for what comes after.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from app.core.settings import Settings
from app.db import migrate
from app.db.bulk import insert_rows
from app.db.session import Database
from app.db.tables import event_names, interactions, sessions, users
from app.schemas.items import ItemEntry
from app.services.batches import ITEMS, Tally
from app.simulation.config import ShopConfig
from app.simulation.customers import user_id
from app.simulation.log import EVENTS
from app.simulation.shop import Shop, simulate

_PAGE = 50_000
_COLUMNS = (
    *("event_key", "user_id", "session_id", "item_id", "event"),
    *("value", "quantity", "price", "occurred_at", "received_at"),
)


def config(interactions: int) -> ShopConfig:
    """Customers grow with the shop, the catalogue more slowly."""
    share = interactions / 100_000
    return ShopConfig(
        users=max(50, round(2_000 * share)),
        items=max(50, round(1_000 * share**0.6)),
        interactions=interactions,
        friends=0,
    )


def fill(database: Database, shop: Shop) -> None:
    """Keys are the indexes plus one: the tables are new, and rows are written in order."""
    columns, at = shop.columns, shop.config.end_ms
    entries = shop.items()
    with database.write() as connection:
        while chunk := list(islice(entries, 5_000)):
            parsed = [ItemEntry.model_validate_json(orjson.dumps(item)) for item in chunk]
            ITEMS.store(connection, parsed, Tally())
        names = [(user_id(number), at, at) for number in range(shop.config.users)]
        insert_rows(connection, users, ("external_id", "created_at", "updated_at"), names)
        visits = [(f"s{number}",) for number in range(int(columns.session.max()) + 1)]
        insert_rows(connection, sessions, ("external_id",), visits)
        insert_rows(connection, event_names, ("name",), [(name,) for name in EVENTS])
    for first in range(0, len(columns), _PAGE):
        with database.write() as connection:
            insert_rows(connection, interactions, _COLUMNS, list(_rows(shop, first, at)))


def _rows(shop: Shop, first: int, received_at: int) -> Iterator[tuple[Any, ...]]:
    columns, part = shop.columns, slice(first, first + _PAGE)
    page = zip(
        _keys(columns.user[part]),
        _keys(columns.session[part]),
        (columns.item[part] + 1).tolist(),
        (columns.event[part] + 1).tolist(),
        _numbers(columns.value[part]),
        [number or None for number in columns.quantity[part].tolist()],
        _numbers(columns.price[part]),
        columns.occurred_at[part].tolist(),
        strict=True,
    )
    for number, row in enumerate(page, first):
        yield (number.to_bytes(16, "big"), *row, received_at)


def _keys(indexes: NDArray[np.int32]) -> list[int | None]:
    return [index + 1 if index >= 0 else None for index in indexes.tolist()]


def _numbers(values: NDArray[Any]) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]


def main() -> None:
    database = Database(Settings().database_url)
    migrate.upgrade(database)
    interactions, *sizes = (int(argument) for argument in sys.argv[1:])
    usual = config(interactions)
    fill(database, simulate(replace(usual, users=sizes[0], items=sizes[1]) if sizes else usual))
    database.close()


if __name__ == "__main__":
    main()
