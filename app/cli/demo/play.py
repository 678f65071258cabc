"""Play a simulated shop against the service, as a storefront and its back office would, and train."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import orjson
from rich.progress import Progress, TaskID

from app.cli.console import progress_bar
from app.cli.demo.folder import DemoError
from app.cli.demo.service import Service
from app.simulation.config import DAY_MS
from app.simulation.shop import Shop

Entry = TypeVar("Entry")

BATCH_DAYS = 3
"""The last days, which come in as they would in a live shop: in small batches …"""
MAX_SINGLE = 300
"""… and, at the very end, one call for each event."""
_BATCH = 100
_LINES = 5_000
"""Of the history in one stream: an answer to each tells how far the service is, not how far the wire is."""
_SWAP_SECONDS = 30.0


@dataclass
class Played:
    """What was sent."""

    relations: int = 0
    streamed: int = 0
    batched: int = 0
    single: int = 0
    orders: int = 0


def play(service: Service, shop: Shop) -> Played:
    """Send the whole shop; raises DemoError if the service refuses anything."""
    played = Played()
    with progress_bar() as bar:
        for kind, entries, count in (
            ("items", shop.items(), shop.config.items),
            ("users", shop.users(), shop.config.users),
        ):
            task = _task(bar, f"{kind} in batches", count)
            for chunk in _chunks(entries, _BATCH):
                _accepted(service.post(f"/v1/{kind}/batch", {kind: chunk}))
                bar.advance(task, len(chunk))
        task = _task(bar, "ties between friends", len(shop.ties))
        for tie in shop.relations():
            path = f"/v1/users/{tie['user_id']}/relations/{tie['other_id']}"
            service.put(path, {"kind": tie["kind"], "weight": tie["weight"]})
            bar.advance(task)
            played.relations += 1
        rows = shop.interactions()
        old, recent = _parts(shop)
        _stream_history(service, bar, islice(rows, old), old)
        task = _task(bar, "last days in batches", recent)
        for chunk in _chunks(islice(rows, recent), _BATCH):
            _accepted(service.post("/v1/interactions/batch", {"interactions": chunk}))
            bar.advance(task, len(chunk))
        played.streamed, played.batched = old, recent
        last = list(rows)
        task = _task(bar, "last hours one by one", len(last))
        for body in _calls(last):
            if "items" in body:
                service.post("/v1/orders", body)
                played.orders += 1
                bar.advance(task, len(body["items"]))
            else:
                service.post("/v1/interactions", body)
                played.single += 1
                bar.advance(task)
    return played


def train(service: Service) -> dict[str, Any]:
    """Train, wait until the new version is served, and answer the run; raises DemoError if it fails."""
    run = service.post("/v1/training-runs")
    with progress_bar() as bar:
        task = _task(bar, "train: queued", 1)
        while run["state"] in ("queued", "running"):
            time.sleep(0.2)
            service.check()
            run = service.get(f"/v1/training-runs/{run['run_id']}")
            bar.update(
                task, description=_padded(f"train: {run['stage'] or run['state']}"), completed=run["progress"]
            )
        bar.update(task, description=_padded(f"train: {run['state']}"))
    if run["state"] != "succeeded":
        raise DemoError(f"the training {run['state']}: {run['error'] or 'no reason given'}")
    patience = time.monotonic() + _SWAP_SECONDS
    while service.get("/health/ready")["model_version"] != run["model_version"]:
        if time.monotonic() > patience:
            raise DemoError(f"version {run['model_version']} is not served; see {service.log}")
        time.sleep(0.1)
    return dict(run)


def _parts(shop: Shop) -> tuple[int, int]:
    """How many interactions are history, and how many of the rest come in batches."""
    at = shop.columns.occurred_at
    old = int(np.searchsorted(at, shop.config.end_ms - BATCH_DAYS * DAY_MS))
    today = int(np.searchsorted(at, shop.config.end_ms - DAY_MS))
    single_from = max(today, len(at) - MAX_SINGLE)
    return old, max(0, single_from - old)


def _stream_history(service: Service, bar: Progress, rows: Iterable[dict[str, Any]], count: int) -> None:
    task = _task(bar, "history in streams", count)
    for chunk in _chunks(rows, _LINES):
        lines = (orjson.dumps(row) + b"\n" for row in chunk)
        _accepted(service.stream("/v1/import/interactions", lines))
        bar.advance(task, len(chunk))


def _calls(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Interactions one by one; the lines of an order as one order, when its first one comes."""
    orders: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["event"] == "purchase":
            orders.setdefault(row["order_id"], []).append(row)
    for row in rows:
        if row["event"] != "purchase":
            yield row
        elif lines := orders.pop(row["order_id"], []):
            who = {name: row[name] for name in ("user_id", "session_id") if name in row}
            yield who | {
                "order_id": row["order_id"],
                "currency": row["currency"],
                "occurred_at": row["occurred_at"],
                "items": [{name: line[name] for name in ("item_id", "quantity", "price")} for line in lines],
            }


def _accepted(answer: dict[str, Any]) -> None:
    """Raise DemoError if an entry was refused: the shop sends nothing wrong."""
    if answer["rejected"]:
        raise DemoError(f"the service refused {answer['rejected']} entries: {answer['errors'][0]['detail']}")


def _chunks(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    iterator = iter(entries)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _task(bar: Progress, description: str, total: int) -> TaskID:
    return bar.add_task(_padded(description), total=max(1, total), completed=0 if total else 1)


def _padded(description: str) -> str:
    return f"{description:<22}"
