"""Several replicas and two trainers on one PostgreSQL: one is killed, or asked to end, under load."""

import random
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2

from app.db.queries import interactions
from app.db.session import Database
from tests.faults.background import Background
from tests.faults.cluster import cluster
from tests.faults.ingesting import stored
from tests.faults.service import Service, prepare


class Customers(Background):
    """Clients that ask and send, and try a call that failed once more at another replica."""

    def __init__(self, addresses: list[str], count: int = 4) -> None:
        super().__init__(count)
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self.sent: set[str] = set()
        self.slowest = 0.0
        self._addresses = addresses

    def work(self, number: int) -> None:
        chance = random.Random(number)
        done = 0
        with httpx2.Client(timeout=20) as client:
            while not self.is_over:
                done += 1
                user = f"replicated-{chance.randrange(20)}"
                if done % 2:
                    name = f"customer-{number}-{done}"
                    event = {"user_id": user, "item_id": "thing-1", "event": "view_item", "event_id": name}
                    if self._twice(client, chance, "POST", "/v1/interactions", event):
                        self.sent.add(name)
                else:
                    self._twice(client, chance, "GET", f"/v1/users/{user}/recommendations?n=5", None)

    def _twice(self, client: httpx2.Client, chance: random.Random, method: str, path: str, body: Any) -> bool:
        first, second = chance.sample(self._addresses, 2)
        said = ""
        for attempt, address in enumerate((first, second)):
            began = time.monotonic()
            try:
                answer = client.request(method, address + path, json=body)
            except httpx2.TransportError as error:
                said = type(error).__name__
            else:
                said = str(answer.status_code)
                if answer.status_code in (200, 201):
                    self.answers[f"{said} at attempt {attempt + 1}"] += 1
                    self.slowest = max(self.slowest, time.monotonic() - began)
                    return True
            self.answers[said] += 1
        self.failures.append(f"{method} {path.split('?')[0]}: {said} at both")
        return False


def lose_replicas(stack: ExitStack, folder: Path, kills: int) -> tuple[list[str], int]:
    """Kill one of two replicas and one of two trainers, again and again: a summary, how much was wrong."""
    server = stack.enter_context(cluster())
    prepare(server.url)
    service = Service(folder, server.url, workers=1, replicas=2, trainers=2)
    stack.callback(service.close)
    service.wait_ready()
    database = Database(server.url)
    stack.callback(database.close)
    with database.read() as connection:
        before = interactions.highest_key(connection)
    runs = []
    with Customers([service.address(0), service.address(1)]) as customers:
        for number in range(kills):
            replica = number % 2
            runs.append(service.train())
            time.sleep(0.7)
            if number % 4 == 3:
                status = service.apis[replica].terminate()
                if status != 0:
                    customers.failures.append(f"a replica that was asked to end ended with {status}")
            else:
                service.stop_api(replica)
            service.kill_trainer()
            time.sleep(0.5)
            service.start_api(replica)
            service.wait_ready()
    states = Counter(str(service.wait_trained(run_id)["state"]) for run_id in dict.fromkeys(runs))
    counts, _ = stored(database, before)
    wrong = list(customers.failures)
    wrong += [f"lost: {name}" for name in customers.sent if not counts[name]]
    wrong += [f"stored {count} times: {name}" for name, count in counts.items() if count > 1]
    wrong += [f"a training ended as {name}" for name in states if name not in ("succeeded", "rejected")]
    answered = ", ".join(f"{name}: {count}" for name, count in sorted(customers.answers.items()))
    trained = ", ".join(f"{name} {count}" for name, count in sorted(states.items()))
    return [
        f"replicas and trainers killed or ended: {kills} each",
        f"answers: {answered}; the slowest {customers.slowest:.1f} s",
        f"events acknowledged {len(customers.sent)}, found {len(counts)}; trainings: {trained}",
        f"failures {len(wrong)}",
        *(f"  {said}" for said in wrong[:20]),
    ], len(wrong)
