"""Clients that send events with ids of their own, and know of each what they were told."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
from sqlalchemy import text

from app.db.session import Database
from tests.faults.background import Background

BATCH = 20
LINES = 3
"""Of an order."""


@dataclass
class Sent:
    """One call: a single event, a batch or an order."""

    path: str
    body: dict[str, Any]
    events: dict[str, float]
    """The `value` of each event (of an order: the price of each line) by its name here."""
    acknowledged: bool = False


@dataclass
class Told:
    """What all clients sent and were told."""

    sent: list[Sent] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Clients(Background):
    """Some clients, each in a thread, from the beginning of a block to its end."""

    def __init__(self, addresses: list[str], name: str, seed: int, count: int = 3) -> None:
        super().__init__(count)
        self.told = Told()
        self._addresses = addresses
        self._name = name
        self._seed = seed

    def work(self, number: int) -> None:
        with httpx2.Client(timeout=20) as client:
            self._go_on(f"{self._name}-{number}", random.Random(self._seed * 97 + number), client)

    def _go_on(self, name: str, chance: random.Random, client: httpx2.Client) -> None:
        number = 0
        while not self.is_over:
            number += 1
            sent = _made(f"{name}-{number}", chance)
            self.told.sent.append(sent)
            if not self.ask(client, sent, chance.choice(self._addresses)):
                time.sleep(0.1)
            elif chance.random() < 0.2:
                self.ask(client, sent, chance.choice(self._addresses))

    def ask(self, client: httpx2.Client, sent: Sent, address: str) -> bool:
        """Send a call, again if it was sent before; whether it was acknowledged."""
        told = self.told
        try:
            answer = client.post(f"{address}{sent.path}", json=sent.body)
        except httpx2.TransportError as error:
            told.answers[type(error).__name__] += 1
            return False
        told.answers[str(answer.status_code)] += 1
        if answer.status_code == 503:
            if "retry-after" not in answer.headers:
                told.failures.append("503 without Retry-After")
            return False
        if answer.status_code not in (200, 201):
            told.failures.append(f"{sent.path}: {answer.status_code} {answer.text[:200]}")
            return False
        new = _new(answer.json())
        if sent.acknowledged and new:
            told.failures.append(f"{sent.path}: {new} of a repeat are new: {answer.text[:200]}")
        sent.acknowledged = True
        return True


def settle(clients: Clients, addresses: list[str], wait: Callable[[], None]) -> None:
    """Send again what was not acknowledged, as a client does, until it is; then all of it once more."""
    open_ones = [sent for sent in clients.told.sent if not sent.acknowledged]
    with httpx2.Client(timeout=20) as client:
        for sent in open_ones:
            for _ in range(40):
                if clients.ask(client, sent, addresses[0]):
                    break
                wait()
            else:
                clients.told.failures.append(f"{sent.path} was never acknowledged")
        for sent in open_ones:
            clients.ask(client, sent, addresses[0])


def stored(database: Database, after: int) -> tuple[Counter[str], dict[str, float]]:
    """How often each event was stored since a key, and its value."""
    statement = text(
        "SELECT coalesce(interactions.event_id, order_id || '/' || external_id) AS name, value, "
        "interactions.price FROM interactions JOIN items ON items.id = item_id WHERE interactions.id > :after"
    )
    counts: Counter[str] = Counter()
    values: dict[str, float] = {}
    with database.read() as connection:
        for row in connection.execute(statement, {"after": after}):
            counts[row.name] += 1
            values[row.name] = row.price if row.value is None else row.value
    return counts, values


def check_stored(told: Told, counts: Counter[str], values: dict[str, float]) -> list[str]:
    """What is wrong: lost, stored twice, half, altered, or never sent."""
    wrong = []
    known: set[str] = set()
    for sent in told.sent:
        known |= sent.events.keys()
        there = [name for name in sent.events if counts[name]]
        if sent.acknowledged and len(there) < len(sent.events):
            wrong.append(f"lost: {sorted(set(sent.events) - set(there))[:3]}")
        if 0 < len(there) < len(sent.events):
            wrong.append(f"half of {sent.path}: {len(there)} of {len(sent.events)}")
        wrong += [f"stored {counts[name]} times: {name}" for name in there if counts[name] > 1]
        wrong += [f"altered: {name}" for name in there if values[name] != sent.events[name]]
    wrong += [f"never sent: {name}" for name in counts.keys() - known]
    return wrong


def _made(name: str, chance: random.Random) -> Sent:
    kind = chance.random()
    user = f"faulty-{chance.randrange(30)}"
    if kind < 0.1:
        lines = [
            {"item_id": f"thing-{place}", "quantity": 1, "price": chance.randrange(1, 99)}
            for place in range(LINES)
        ]
        body = {"order_id": name, "user_id": user, "items": lines, "currency": "EUR"}
        return Sent("/v1/orders", body, {f"{name}/{line['item_id']}": line["price"] for line in lines})  # type: ignore[misc]
    events = [
        {
            "user_id": user,
            "item_id": f"thing-{chance.randrange(40)}",
            "event": "view_item",
            "event_id": f"{name}-{place}",
            "value": float(chance.randrange(10_000)),
        }
        for place in range(1 if kind < 0.6 else BATCH)
    ]
    values = {str(event["event_id"]): float(str(event["value"])) for event in events}
    if len(events) == 1:
        return Sent("/v1/interactions", events[0], values)
    return Sent("/v1/interactions/batch", {"interactions": events}, values)


def _new(answer: dict[str, Any]) -> int:
    """How many events an answer calls new."""
    if "accepted" in answer:
        return int(answer["accepted"])
    return int(answer.get("status") == "accepted")
