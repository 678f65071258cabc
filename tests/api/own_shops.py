"""Shops of a test's own: ingested, trained and served."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from app.db.session import Database
from tests.api.serving import serving
from tests.training.shops import ingest, queue, run_row, trainer

START = datetime(2026, 6, 1, tzinfo=UTC)
Rows = list[dict[str, Any]]


@contextmanager
def serving_own(url: str, folder: Path, **rows: Any) -> Iterator[TestClient]:
    """A client of a shop with these users, items and interactions, after one training."""
    database = Database(url)
    ingest(database, **rows)
    run = queue(database)
    trainer(database, folder / "artifacts").work_once()
    ended = run_row(database, run)
    assert ended.state == "succeeded", ended.error
    database.close()
    with serving(url, folder / "artifacts") as client:
        yield client


def event(user: int, item: int, day: float, name: str = "purchase", **fields: Any) -> dict[str, Any]:
    """An interaction, `day` days after `START`."""
    at = (START + timedelta(days=day)).isoformat()
    return {"user_id": f"u{user}", "item_id": f"i{item}", "event": name, "occurred_at": at, **fields}


def only_views() -> Rows:
    """Nobody buys; some customers come until the end, others stay away from the middle on."""
    chance = random.Random(3)
    last = [90 if user % 2 else 45 for user in range(120)]
    return [
        event(u, chance.randrange(12), chance.random() * last[u], "view_item")
        for u in range(120)
        for _ in range(9)
    ]


def one_customer() -> Rows:
    return [event(0, step % 6, step * 5, price=9.5) for step in range(20)]


def identical_customers() -> Rows:
    return [event(user, step, step * 20, price=9.5) for user in range(50) for step in range(6)]


def a_single_day() -> Rows:
    return [event(user, (user + step) % 9, user / 100, price=5.0) for user in range(50) for step in range(3)]


def without_prices() -> Rows:
    return _bought(None)


def free_of_charge() -> Rows:
    """Prices are 0, and what comes back is worth more than what was paid."""
    rows = _bought(0.0)
    return rows + [row | {"event": "refund", "price": 3.0, "order_id": "back"} for row in rows[::4]]


def _bought(price: float | None) -> Rows:
    chance = random.Random(5)
    fields: dict[str, Any] = {} if price is None else {"price": price}
    return [
        event(user, chance.randrange(12), chance.random() * 110, **fields)
        for user in range(150)
        for _ in range(1 + user % 7)
    ]


THIN = {
    made.__name__: made
    for made in (
        only_views,
        one_customer,
        identical_customers,
        a_single_day,
        without_prices,
        free_of_charge,
    )
}
"""Shops that have too little of something, by name."""
