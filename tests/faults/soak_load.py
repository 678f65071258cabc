"""Mixed load at a modest fixed rate: what a shop's servers, its pages and its people call."""

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx2
import orjson

from tests.faults.background import Background

Asked = tuple[str, str, Any]
"""Method, path and body."""


class Mixed(Background):
    """Calls of all kinds; of each event what was told, and of everything how it was answered."""

    def __init__(self, address: str, users: int, items: int, rate: float, threads: int = 3) -> None:
        super().__init__(threads)
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self.acknowledged: set[str] = set()
        self.trainings: list[str] = []
        self.slowest: dict[str, float] = {}
        self._address = address
        self._users = users
        self._items = items
        self._between = threads / rate

    def work(self, number: int) -> None:
        chance = random.Random(number)
        kinds = self._kinds(number, chance)
        weights = [weight for weight, _, _ in kinds]
        due = time.monotonic() + self._between * number / len(self._threads)
        with httpx2.Client(base_url=self._address, timeout=60) as client:
            while not self.wait(max(0.0, due - time.monotonic())):
                due = max(due + self._between, time.monotonic() - 5)
                _, kind, make = chance.choices(kinds, weights)[0]
                for asked in make():
                    self._call(client, kind, asked)

    def train(self) -> None:
        """Ask for a training."""
        with httpx2.Client(base_url=self._address, timeout=60) as client:
            answer = client.post("/v1/training-runs")
        self.answers[f"training: {answer.status_code}"] += 1
        if answer.status_code == 202:
            self.trainings.append(answer.json()["run_id"])

    def _call(self, client: httpx2.Client, kind: str, asked: Asked) -> None:
        method, path, body = asked
        content = body if isinstance(body, bytes) else None if body is None else orjson.dumps(body)
        began = time.monotonic()
        try:
            answer = client.request(method, path, content=content)
        except httpx2.TransportError as error:
            self.answers[f"{kind}: {type(error).__name__}"] += 1
            self.failures.append(f"{method} {path}: {error!r}")
            return
        self.slowest[kind] = max(self.slowest.get(kind, 0.0), time.monotonic() - began)
        self.answers[f"{kind}: {answer.status_code}"] += 1
        if answer.status_code >= 500 or answer.status_code in (400, 422, 429):
            self.failures.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        elif answer.status_code in (200, 201) and kind.startswith("ingest"):
            if orjson.loads(answer.content).get("rejected"):
                self.failures.append(f"{method} {path}: {answer.text[:200]}")
            else:
                self.acknowledged |= {event["event_id"] for event in _events(content or b"")}

    def _kinds(
        self, number: int, chance: random.Random
    ) -> list[tuple[float, str, Callable[[], list[Asked]]]]:
        counted = iter(range(10**9))

        def user() -> str:
            return f"u{chance.randrange(self._users):06d}"

        def item() -> str:
            return f"i{chance.randrange(self._items):06d}"

        def event(**more: Any) -> dict[str, Any]:
            kind = chance.choice(("view_item", "view_item", "add_to_cart", "purchase"))
            name = f"soak-{number}-{next(counted)}"
            return {"user_id": user(), "item_id": item(), "event": kind, "event_id": name} | more

        def rich(**more: Any) -> dict[str, Any]:
            return {"user_id": user(), "n": 10} | more

        def merge() -> list[Asked]:
            session = f"session-{number}-{next(counted)}"
            visit = {"user_id": None, "session_id": session}
            events = [{k: v for k, v in event(**visit).items() if v is not None} for _ in range(2)]
            return [
                *(("POST", "/v1/interactions", one) for one in events),
                ("POST", f"/v1/users/{user()}/merge", {"session_id": session}),
            ]

        def erase() -> list[Asked]:
            gone = f"gone-{number}-{next(counted)}"
            seen = {"user_id": gone, "item_id": item(), "event": "view_item"}
            return [("POST", "/v1/interactions", seen), ("DELETE", f"/v1/users/{gone}", None)]

        def one(make: Callable[[], Asked]) -> Callable[[], list[Asked]]:
            return lambda: [make()]

        filtered = ("price <= 30", "price > 10 and not tags has 'sale'", "availability == 'in_stock'")
        reports = ("sales?by=week", "cohorts?by=month", "items", "categories", "recommendations")
        asks = ("/v1/popular", "/v1/trending", "/v1/latest", "/v1/segments", "/v1/rules", "/metrics")
        batch = "/v1/recommendations/batch"
        return [
            (30, "ask", one(lambda: ("GET", f"/v1/users/{user()}/recommendations?n=10", None))),
            (8, "filter", one(lambda: ("POST", "/v1/recommendations", rich(filter=chance.choice(filtered))))),
            (
                5,
                "explain",
                one(lambda: ("POST", "/v1/recommendations", rich(explain=True, fields=["title"]))),
            ),
            (2, "batch", one(lambda: ("POST", batch, {"requests": [rich() for _ in range(10)]}))),
            (4, "similar", one(lambda: ("GET", f"/v1/items/{item()}/similar?n=5", None))),
            (4, "profile", one(lambda: ("GET", f"/v1/users/{user()}/profile", None))),
            (4, "lists", one(lambda: ("GET", chance.choice(asks), None))),
            (25, "ingest", one(lambda: ("POST", "/v1/interactions", event()))),
            (
                2,
                "ingest batch",
                one(
                    lambda: ("POST", "/v1/interactions/batch", {"interactions": [event() for _ in range(20)]})
                ),
            ),
            (
                1,
                "ingest stream",
                one(
                    lambda: (
                        "POST",
                        "/v1/import/interactions",
                        b"".join(orjson.dumps(event()) + b"\n" for _ in range(50)),
                    )
                ),
            ),
            (
                4,
                "item",
                one(lambda: ("PATCH", f"/v1/items/{item()}", {"price": chance.randrange(100, 9_000) / 100})),
            ),
            (2, "merge", merge),
            (1, "erase", erase),
            (
                0.5,
                "scenario",
                one(
                    lambda: (
                        "PUT",
                        f"/v1/scenarios/soak-{chance.randrange(5)}",
                        {"settings": {"n": chance.randrange(5, 20), "filter": chance.choice(filtered)}},
                    )
                ),
            ),
            (0.3, "report", one(lambda: ("GET", f"/v1/reports/{chance.choice(reports)}", None))),
        ]


def _events(content: bytes) -> list[dict[str, Any]]:
    if b"\n" in content:
        return [orjson.loads(line) for line in content.splitlines()]
    body = orjson.loads(content)
    found: list[dict[str, Any]] = body.get("interactions", [body])
    return found
