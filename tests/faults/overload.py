"""Ten times as many calls as the service can answer, for a while, and what becomes of them."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2

from app.db.queries import interactions
from app.db.session import Database
from tests.e2e.processes import wait_for
from tests.faults.cluster import cluster
from tests.faults.flood import Order, Result, flood
from tests.faults.ingesting import stored
from tests.faults.service import Service, prepare
from tests.faults.watch import Health, Sample, Watch
from tests.training.shops import SMALL

TIMES = 10
CONNECTIONS = 3_000
"""That the crowd opens at most: more than the service listens to."""
MOST_MORE_MIB = 150.0
"""That a process may take more while it is overloaded than before."""
GROWTH_MIB = 25.0
"""That it may take more in the second half of the time than in the first."""
HEALTH_SECONDS = 2.0
"""For nine of ten health checks; all of them within three times as long."""
ANSWER_SECONDS = 4.0
"""For 99 of 100 calls that are answered with a 2xx while the crowd is there."""
RECOVERY_SECONDS = 5.0


@dataclass
class Overload:
    """A service that is overloaded, on one database."""

    service: Service
    seconds: float
    calm_seconds: float = 4.0
    """How long it is measured before that."""
    users: int = SMALL.users
    items: int = SMALL.items
    patience: float = 1.0
    """Times the bounds of all waiting."""

    def run(self) -> tuple[list[str], list[str]]:
        """A summary, and what was wrong."""
        service = self.service
        database = Database(service.url)
        try:
            with database.read() as connection:
                before = interactions.highest_key(connection)
            warm(service)
            calm = self._order("calm", self.calm_seconds, None, 16)
            usual = flood(calm)
            order = self._order("crowd", self.seconds, TIMES * usual.rate(calm), CONNECTIONS)
            watch = Watch(lambda: [process.pid for process in service.apis])
            with Health(service.address()) as health, watch:
                began = time.monotonic()
                crowd = flood(order)
                offering = time.monotonic() - began
            recovered, last = self._recover(usual.rate(calm) / 2)
            counts, _ = stored(database, before)
        finally:
            database.close()
        wrong = [f"an answer: {said}" for said in (*usual.wrong[:5], *crowd.wrong[:5], *last.wrong[:5])]
        wrong += judge_answers(crowd, self.patience)
        wrong += judge_memory(watch)
        wrong += [f"health: {said}" for said in health.wrong[:5]]
        bound = HEALTH_SECONDS * self.patience
        if health.quantile(0.9) > bound or max(health.took) > 3 * bound:
            wrong.append(f"health took {health.quantile(0.9):.1f} s, at most {max(health.took):.1f} s")
        told = [name for result in (usual, crowd, last) for name in result.acknowledged]
        wrong += [f"lost: {name}" for name in told if not counts[name]][:5]
        wrong += [f"stored {count} times: {name}" for name, count in counts.items() if count > 1][:5]
        if recovered is None:
            wrong.append(
                f"not as before in {RECOVERY_SECONDS * self.patience:g} s: {last.quantile(0.5):.2f} s"
            )
        answers = ", ".join(f"{name}: {count}" for name, count in sorted(crowd.answers.items()))
        refused = sorted(crowd.refused_seconds) or [0.0]
        lines = [
            f"sustained {usual.rate(calm):.0f} answers a second, half within {usual.quantile(0.5):.3f} s",
            f"offered {crowd.offered / self.seconds:.0f} a second for {self.seconds:g} s "
            f"({crowd.held_back} held back, {crowd.most_open} connections); with a 2xx "
            f"{crowd.rate(order):.0f} a second; last answer {max(0.0, offering - self.seconds):.1f} s later",
            f"answers: {answers}",
            f"2xx within {crowd.quantile(0.5):.2f} s (half), {crowd.quantile(0.99):.2f} s (99 of 100); "
            f"refused within {refused[len(refused) // 2]:.2f} s, {refused[int(len(refused) * 0.99)]:.2f} s",
            f"health within {health.quantile(0.5):.2f} s (half), at most {max(health.took):.2f} s "
            f"({len(health.took)} checks)",
            *memory_lines(watch),
            f"events acknowledged {len(told)}, found {len(counts)}; as before {recovered} s after the crowd",
        ]
        return lines, wrong

    def _recover(self, rate: float) -> tuple[float | None, Result]:
        """After how many seconds calls at half of the sustained rate are answered promptly again."""
        began = time.monotonic()
        number = 0
        while True:
            number += 1
            last = flood(self._order(f"after-{number}", 1.0, rate, 200))
            passed = time.monotonic() - began
            if set(last.answers) <= {"list: 200", "event: 201"} and last.quantile(0.5) < 1.0:
                return round(passed, 1), last
            if passed > RECOVERY_SECONDS * self.patience:
                return None, last

    def _order(self, name: str, seconds: float, rate: float | None, connections: int) -> Order:
        return Order(self.service.ports[0], seconds, rate, connections, self.users, name, self.items)


def warm(service: Service, calls: int = 160, at_once: int = 16) -> None:
    """Ask until every worker has the model and has answered some calls of each kind.

    Many at once: what comes one by one may all be answered by one worker.
    """
    asked = {"user_id": "u000001", "n": 5, "filter": "not tags has 'none'", "explain": True}

    def ask(number: int) -> bool:
        with httpx2.Client(base_url=service.address(), timeout=60) as client:
            answers = [
                client.post("/v1/recommendations", json=asked),
                client.get(f"/v1/users/u{number:06d}/recommendations"),
            ]
        return all(answer.status_code == 200 and answer.json()["model_version"] for answer in answers)

    def ready() -> bool:
        with ThreadPoolExecutor(at_once) as pool:
            return all(list(pool.map(ask, range(calls))))

    wait_for("the model in all workers", ready, 60)


def judge_answers(crowd: Result, patience: float) -> list[str]:
    """What is wrong with the answers: only lists, acknowledged events, and refusals are right."""
    right = {f"{kind}: {status}" for kind in ("list", "event") for status in (200, 201, 429, 503)}
    wrong = [f"{said}: {count} times" for said, count in crowd.answers.items() if said not in right]
    if not any(said.endswith(("503", "429")) for said in crowd.answers):
        wrong.append("nothing was refused")
    if crowd.quantile(0.99) > ANSWER_SECONDS * patience:
        wrong.append(f"one of 100 calls with a 2xx took {crowd.quantile(0.99):.1f} s")
    return wrong


def judge_memory(watch: Watch) -> list[str]:
    """Which processes took too much, or more and more."""
    wrong = []
    for (name, pid), samples in watch.by_process().items():
        if max(_memory(samples)) > samples[0].pss + MOST_MORE_MIB:
            wrong.append(f"{name} {pid} took {max(_memory(samples)):.0f} MiB, {samples[0].pss:.0f} before")
        # The first third fills what is then full: buffers, connections, the allocator's arenas.
        later = _memory(samples[len(samples) // 3 :])
        half = len(later) // 2
        if half and max(later[half:]) > max(later[:half]) + GROWTH_MIB:
            wrong.append(f"{name} {pid} grew from {max(later[:half]):.0f} to {max(later[half:]):.0f} MiB")
    return wrong


def memory_lines(watch: Watch) -> list[str]:
    return [
        f"{name}: {samples[0].pss:.0f} MiB before, at most {max(_memory(samples)):.0f}, "
        f"{samples[-1].pss:.0f} at the end"
        for (name, _), samples in sorted(watch.by_process().items())
        if name != "tracker"
    ]


def _memory(samples: list[Sample]) -> list[float]:
    return [sample.pss for sample in samples]


def overload(folder: Path, seconds: float, workers: int = 2) -> tuple[list[str], int]:
    """Both databases in turn: a summary, how much was wrong."""
    lines: list[str] = []
    failures = 0
    for engine in ("sqlite", "postgresql"):
        with ExitStack() as stack:
            place = folder / engine
            place.mkdir()
            embedded = f"sqlite:///{place}/vitrine.db"
            url = embedded if engine == "sqlite" else stack.enter_context(cluster()).url
            prepare(url)
            service = Service(place, url, workers=workers)
            stack.callback(service.close)
            service.wait_ready()
            service.wait_trained(service.train())
            said, wrong = Overload(service, seconds).run()
        lines += [f"{engine}, {workers} workers", *(f"  {line}" for line in said)]
        lines += [f"  failures {len(wrong)}", *(f"    {one}" for one in wrong)]
        failures += len(wrong)
    return lines, failures
