"""Batch ingest over HTTP beside a raw `executemany` of the same rows into the same schema.

The raw side gets the rows as the service stores them (ids resolved, keys digested), in one transaction of
the same pragmas; the HTTP side is a process with one worker, and parses, checks, resolves and answers.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import httpx2
import orjson
import psycopg
from psycopg import sql
from sqlalchemy import insert, select

from app.db import migrate
from app.db.queries.interactions import COLUMNS
from app.db.session import Database
from app.db.tables import event_names, interactions, items, sessions, users
from app.schemas.interactions import Interaction
from app.services.interactions import record
from app.simulation.config import ShopConfig
from app.simulation.shop import Shop, simulate
from benchmarks import processes
from benchmarks.machine import goal, say, show, spread
from benchmarks.options import Options

GOAL = 0.4
_POSTGRESQL = "postgresql://postgres@127.0.0.1:5432/"
_SINGLE = 200
"""Calls of one interaction each, in a round."""


@dataclass(frozen=True)
class _Load:
    """The same interactions in both forms, one entry for each round."""

    bodies: list[bytes]
    raw: list[list[tuple[Any, ...]]]
    parents: list[tuple[Any, list[dict[str, Any]]]]
    """Rows of the tables that interactions refer to."""


def run(options: Options) -> None:
    """Measure on SQLite and, where a server answers on this machine, on PostgreSQL."""
    largest = max(options.batches)
    shop = simulate(
        ShopConfig(users=5_000, items=2_000, interactions=round(1.1 * options.rounds * largest) + 2_000)
    )
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as folder:
        loads = {size: _prepare(Path(folder), shop, size, options.rounds) for size in options.batches}
        for engine, database in (("SQLite", _sqlite), ("PostgreSQL", _postgresql)):
            for size, load in loads.items():
                with database(Path(folder)) as urls:
                    if urls is None:
                        say(f"{engine}: no server answers on 127.0.0.1:5432.")
                        break
                    _compare(engine, size, load, shop, urls, Path(folder))


def _prepare(folder: Path, shop: Shop, size: int, rounds: int) -> _Load:
    """Let the service's own code resolve the rows, in a database that is not used any further."""
    database = Database(f"sqlite:///{folder / f'prepare-{size}.db'}")
    migrate.upgrade(database)
    wire = shop.interactions()
    batches = [list(islice(wire, size)) for _ in range(rounds)]
    for batch in batches:
        with database.write() as connection:
            record(connection, [Interaction.model_validate_json(orjson.dumps(row)) for row in batch])
    with database.read() as connection:
        columns = [interactions.c[name] for name in COLUMNS]
        stored = [tuple(row) for row in connection.execute(select(*columns).order_by(interactions.c.id))]
        needed = {
            users: ("id", "external_id", "created_at", "updated_at"),
            items: ("id", "external_id", "created_at", "updated_at", "revision"),
            sessions: ("id", "external_id"),
            event_names: ("id", "name"),
        }
        parents = [
            (table, [dict(row._mapping) for row in connection.execute(select(*(table.c[n] for n in names)))])
            for table, names in needed.items()
        ]
    database.close()
    starts = range(0, rounds * size, size)
    bodies = [orjson.dumps({"interactions": batch}) for batch in batches]
    return _Load(bodies, [stored[start : start + size] for start in starts], parents)


@contextmanager
def _sqlite(folder: Path) -> Iterator[tuple[str, str] | None]:
    """Addresses of a database for the service and of one for the raw rows."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        yield f"sqlite:///{place}/service.db", f"sqlite:///{place}/raw.db"


@contextmanager
def _postgresql(_folder: Path) -> Iterator[tuple[str, str] | None]:
    try:
        server = psycopg.connect(_POSTGRESQL + "postgres", autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        yield None
        return
    names = [f"vitrine_bench_{uuid4().hex[:12]}" for _ in range(2)]
    with server:
        try:
            for name in names:
                server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            yield _POSTGRESQL + names[0], _POSTGRESQL + names[1]
        finally:
            for name in names:
                drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
                server.execute(drop.format(sql.Identifier(name)))


def _compare(engine: str, size: int, load: _Load, shop: Shop, urls: tuple[str, str], folder: Path) -> None:
    ours, raw = (Database(url) for url in urls)
    for database in (ours, raw):
        migrate.upgrade(database)
    with raw.write() as connection:
        for table, parents in load.parents:
            connection.execute(insert(table), parents)
    with processes.service(folder, urls[0]) as client:
        _fill(client, shop)
        http_seconds: list[float] = []
        raw_seconds: list[float] = []
        for number, (body, rows) in enumerate(zip(load.bodies, load.raw, strict=True)):
            sides = (
                (http_seconds, partial(_post, client, body, size)),
                (raw_seconds, partial(_insert, raw, rows)),
            )
            for seconds, act in sides if number % 2 == 0 else sides[::-1]:
                seconds.append(_timed(act))
        singles = _singles(client)
    ours.close()
    raw.close()
    ratios = [theirs / mine for mine, theirs in zip(http_seconds, raw_seconds, strict=True)]
    show(
        f"{engine}, batches of {size:,}, {len(ratios)} alternating rounds: median (range)",
        ("", "rows/s"),
        [
            ("over HTTP", spread([size / seconds for seconds in http_seconds], 0)),
            ("raw executemany + commit", spread([size / seconds for seconds in raw_seconds], 0)),
            ("ratio", spread(ratios, 2)),
            ("one at a time, one client", f"{singles:,.0f}"),
        ],
    )
    goal(f"ratio ≥ {GOAL} on {engine}", median(ratios) >= GOAL)


def _fill(client: httpx2.Client, shop: Shop) -> None:
    """Users and items are there before their interactions, as in a shop."""
    for kind, entries in (("users", shop.users()), ("items", shop.items())):
        client.post(f"/v1/{kind}/batch", json={kind: list(entries)}).raise_for_status()


def _post(client: httpx2.Client, body: bytes, size: int) -> None:
    answer = client.post(
        "/v1/interactions/batch", content=body, headers={"content-type": "application/json"}
    ).raise_for_status()
    assert answer.json()["accepted"] == size, answer.text[:300]


def _insert(database: Database, rows: list[tuple[Any, ...]]) -> None:
    mark = "?" if database.embedded else "%s"
    statement = f"INSERT INTO interactions ({', '.join(COLUMNS)}) VALUES ({', '.join([mark] * len(COLUMNS))})"
    with database.write() as connection:
        # The driver's own cursor: nothing between the rows and the database.
        cursor = connection.connection.cursor()
        cursor.executemany(statement, rows)
        cursor.close()


def _singles(client: httpx2.Client) -> float:
    started = time.perf_counter()
    for number in range(_SINGLE):
        body = {"user_id": f"u{number:06d}", "item_id": f"i{number:06d}", "event": "view_item"}
        client.post("/v1/interactions", json=body).raise_for_status()
    return _SINGLE / (time.perf_counter() - started)


def _timed(act: Callable[[], None]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started
