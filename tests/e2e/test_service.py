"""The main job, by the real processes: ingest, train, ask, ingest more, retrain while customers ask."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from prometheus_client.multiprocess import MultiProcessCollector

from app.simulation.config import ShopConfig
from app.simulation.shop import Shop, simulate
from tests.e2e.processes import Process, free_port, metric, running, wait_for, wait_ready, without_identity
from tests.faults.background import Background

pytestmark = pytest.mark.processes
RECOMMENDATIONS = "/v1/users/{user_id}/recommendations"


@pytest.fixture(scope="module")
def shop() -> Shop:
    return simulate(ShopConfig(users=200, items=120, interactions=8_000, days=120))


class Service:
    """A service with two workers, and its trainer."""

    def __init__(self, folder: Path, database_url: str, stack: ExitStack) -> None:
        embedded = database_url.startswith("sqlite")
        port = free_port()
        settings = {
            "DATABASE_URL": database_url,
            "ARTIFACTS": str(folder / "artifacts"),
            "METRICS_DIR": str(folder / "metrics"),
            "MODEL_POLL_SECONDS": "0.2",
            "LEASE_SECONDS": "2",
        }
        serve = ["serve", "--workers", "2", "--port", str(port)]
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self.api = stack.enter_context(
            running(folder, "serve", *serve, *([] if embedded else ["--no-trainer"]), **settings)
        )
        if not embedded:
            self.trainer: Process = stack.enter_context(running(folder, "trainer", "trainer", **settings))
        self.client = stack.enter_context(httpx2.Client(base_url=self.url, timeout=30))
        wait_ready(self.client, self.api)

    def post(self, path: str, rows: list[dict[str, Any]], key: str) -> None:
        """Send rows in batches; all of them must be accepted."""
        for start in range(0, len(rows), 3_000):
            answer = self.client.post(path, content=orjson.dumps({key: rows[start : start + 3_000]}))
            assert answer.status_code == 200, answer.text
            assert answer.json()["rejected"] == 0, answer.text

    def ingest(self, shop: Shop, part: slice) -> None:
        """Send a part of the shop's interactions (and users and items with the first of them)."""
        if not part.start:
            self.post("/v1/users/batch", list(shop.users()), "users")
            self.post("/v1/items/batch", list(shop.items()), "items")
        self.post("/v1/interactions/batch", list(shop.interactions())[part], "interactions")

    def train(self) -> str | None:
        """Train; the new version, None if the gate kept it back."""
        answer = self.client.post("/v1/training-runs")
        assert answer.status_code == 202, answer.text
        address = answer.headers["location"]
        ended = ("succeeded", "failed", "rejected", "cancelled")
        wait_for("the end of the run", lambda: self.client.get(address).json()["state"] in ended, 240)
        run = self.client.get(address).json()
        assert run["state"] in ("succeeded", "rejected"), run
        version: str | None = run["model_version"]
        return version

    def recommend(self, user: str) -> httpx2.Response:
        """Ask over a connection of its own, which either worker may take."""
        return httpx2.get(f"{self.url}/v1/users/{user}/recommendations?n=10", timeout=30, verify=False)

    def served_versions(self) -> set[str]:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(self.recommend, ["nobody"] * 24))
        return {answer.json()["model_version"] for answer in answers}

    def requests_by_worker(self) -> list[float]:
        """Recommendations that each worker has answered, from the files in which it counts."""
        counts = []
        for file in (self.folder / "metrics").glob("*/counter_*.db"):
            metrics = MultiProcessCollector.merge([str(file)])  # type: ignore[no-untyped-call]
            samples = [
                sample.value
                for family in metrics
                for sample in family.samples
                if sample.name == "vitrine_http_requests_total" and sample.labels["route"] == RECOMMENDATIONS
            ]
            counts.append(sum(samples))
        return counts


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def service(database_url: str, tmp_path: Path, stack: ExitStack) -> Service:
    return Service(tmp_path, database_url, stack)


class Clients(Background):
    """Customers who keep asking, each in a thread."""

    def __init__(self, service: Service, users: list[str], count: int = 4) -> None:
        super().__init__(count)
        self.versions: set[str] = set()
        self.answered: Counter[int] = Counter()
        self.errors: list[str] = []
        self._service = service
        self._users = users

    def work(self, number: int) -> None:
        with httpx2.Client(base_url=self._service.url, timeout=30) as kept:
            asked = 0
            while not self.wait(0.02):  # customers, not a flood: the trainer yields to the API
                user = self._users[(7 * asked + number) % len(self._users)]
                asked += 1
                try:
                    # Mostly over one connection, now and then over a new one.
                    fresh = asked % 5 == 0
                    answer = (
                        self._service.recommend(user)
                        if fresh
                        else kept.get(f"/v1/users/{user}/recommendations?n=10")
                    )
                except httpx2.HTTPError as error:
                    self.errors.append(repr(error))
                    continue
                self.answered[answer.status_code] += 1
                if answer.status_code != 200 or len(answer.json()["items"]) != 10:
                    self.errors.append(answer.text[:200])
                else:
                    self.versions.add(answer.json()["model_version"])


def test_the_main_job(service: Service, shop: Shop) -> None:
    users = [user["user_id"] for user in shop.users()]
    service.ingest(shop, slice(0, 5_000))
    before = service.client.get(f"/v1/users/{users[0]}/recommendations").json()
    assert before["model_version"] is None
    assert len(before["items"]) == 10
    first = service.train()
    assert first is not None
    wait_for("both workers on the first version", lambda: service.served_versions() == {first}, 15)

    with Clients(service, users) as clients:
        late = [{"item_id": f"late-{number}", "title": f"Late {number}"} for number in range(5)]
        service.post("/v1/items/batch", late, "items")
        second = None
        for start in (5_000, 6_000, 7_000):  # the gate may keep a version back; it gets three chances
            service.ingest(shop, slice(start, start + 1_000))
            second = second or service.train()
        assert second is not None
        wait_for("both workers on the second version", lambda: service.served_versions() == {second}, 15)
    assert clients.errors == []
    assert set(clients.answered) == {200}
    assert clients.answered[200] > 50
    assert clients.versions == {first, second}

    both_workers_answer_alike(service, users[:12])
    metrics_add_up(service, users[0])
    everything_else_answers(service, users[0])


def both_workers_answer_alike(service: Service, users: list[str]) -> None:
    counts = service.requests_by_worker()
    assert len([count for count in counts if count > 0]) == 2, counts
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(service.recommend, [user for user in users for _ in range(16)]))
    after = service.requests_by_worker()
    assert all(now > then for now, then in zip(sorted(after), sorted(counts), strict=True)), (counts, after)
    for start in range(0, len(answers), 16):
        first, *others = (without_identity(answer.json()) for answer in answers[start : start + 16])
        assert len(first["items"]) == 10
        assert all(other == first for other in others)


def metrics_add_up(service: Service, user: str) -> None:
    def asked() -> float:
        text = service.client.get("/metrics").text
        return metric(text, "vitrine_http_requests_total", route=RECOMMENDATIONS, method="GET", status="200")

    before = asked()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(service.recommend, [user] * 60))
    wait_for("the last request's count", lambda: asked() >= before + 60, 5)
    assert asked() == before + 60
    assert asked() == sum(service.requests_by_worker())
    loaded = metric(service.client.get("/metrics").text, "vitrine_model_loaded_timestamp_seconds")
    assert time.time() - 300 < loaded <= time.time()
    text = service.client.get("/metrics").text
    kept = len(list((service.folder / "metrics").glob("*/counter_*.db")))
    assert kept == 2
    assert metric(text, "vitrine_ingested_total", kind="users", verdict="accepted") == 200


def everything_else_answers(service: Service, user: str) -> None:
    item = service.client.get("/v1/items").json()["items"][0]["item_id"]
    for path in (
        f"/v1/items/{item}/similar",
        f"/v1/users/{user}/similar",
        "/v1/popular",
        "/v1/trending",
        "/v1/latest",
        "/v1/segments",
        "/v1/models",
        "/openapi.json",
        "/docs",
    ):
        assert service.client.get(path).status_code == 200, path
    rated = service.client.post("/v1/predictions/ratings", json={"user_id": user, "item_ids": [item]})
    assert rated.status_code == 200, rated.text
