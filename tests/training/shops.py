"""Shops in the database, and trainers to work on them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from app.core.clock import now_ms
from app.core.events import DEFAULT_WEIGHTS
from app.db.queries import training_runs
from app.db.rows import AnyRow
from app.db.session import Database
from app.schemas.parsing import LineParser
from app.services.batches import INTERACTIONS, ITEMS, USERS, Kind, Tally, store_checked
from app.simulation.config import ShopConfig
from app.simulation.shop import Shop
from app.training.pipeline import Recipe
from app.training.worker import Trainer, TrainerOptions

SMALL = ShopConfig(users=150, items=60, interactions=5_000, days=120, tastes=3)
"""A shop that trains within a second or two, and has something to find."""

Rows = Iterable[dict[str, Any]]


def ingest(database: Database, users: Rows = (), items: Rows = (), interactions: Rows = ()) -> None:
    """Store entries in the wire format, as a batch over HTTP would; all of them must be accepted."""
    tally = Tally()
    kinds: list[tuple[Kind[Any], Rows]] = [(USERS, users), (ITEMS, items), (INTERACTIONS, interactions)]
    with database.write() as connection:
        for kind, rows in kinds:
            lines = [orjson.dumps(row) for row in rows]
            store_checked(connection, kind, LineParser(kind.entry).parse(lines), tally)
    assert not tally.rejected, tally.errors[:3]


def ingest_shop(database: Database, shop: Shop) -> None:
    """Store a simulated shop."""
    ingest(database, shop.users(), shop.items(), shop.interactions())


def views(users: int, items: int, per_user: int = 6) -> list[dict[str, Any]]:
    """A plain shop: each user views some items, one a day."""
    return [
        {
            "user_id": f"u{user:02}",
            "item_id": f"i{(user + step * (1 + user % 3)) % items:02}",
            "event": "view_item",
            "occurred_at": f"2026-10-{1 + step:02}T{user % 24:02}:00:00Z",
        }
        for user in range(users)
        for step in range(per_user)
    ]


def trainer(database: Database, artifacts: Path, **changes: Any) -> Trainer:
    """A trainer that queues nothing by itself."""
    options: dict[str, Any] = {
        "artifacts": artifacts,
        "recipe": Recipe(event_weights=DEFAULT_WEIGHTS, seed=7, search_seconds=0),
        "lease_seconds": 30.0,
        "max_attempts": 3,
        "keep_versions": 5,
        "interval_hours": 0.0,
        "after_interactions": 0,
    }
    return Trainer(database, TrainerOptions(**(options | changes)))


def queue(database: Database) -> int:
    """Queue a run."""
    with database.write() as connection:
        run_id = training_runs.insert_queued(connection, "api", now_ms())
    assert run_id is not None
    return run_id


def run_row(database: Database, run_id: int) -> AnyRow:
    """A run as it is stored."""
    with database.read() as connection:
        row = training_runs.find_run(connection, run_id)
    assert row is not None
    return row
