"""The database goes away under load, or hangs, and comes back."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx2

from app.core.clock import now_ms
from app.db.session import Database
from app.schemas.keys import KeyRequest
from app.services.keys import create_key
from tests.faults.background import Background
from tests.faults.cluster import cluster
from tests.faults.service import Service, prepare

LONGEST_SECONDS = 12.0
"""That an answer may take while the database hangs: a short read has 10. It is much less once that has been
found out."""
HEALED_SECONDS = 10.0


class Load(Background):
    """Clients that ask and send without end, and what they were answered since `begin`."""

    def __init__(self, address: str, key: str, count: int = 4) -> None:
        super().__init__(count)
        self._address = address
        self._headers = {"X-API-Key": key}
        self.begin()

    def begin(self) -> None:
        self.answers: Counter[str] = Counter()
        self.seconds: list[float] = []

    def work(self, number: int) -> None:
        with httpx2.Client(base_url=self._address, headers=self._headers, timeout=60) as client:
            done = 0
            while not self.is_over:
                done += 1
                event = {"user_id": f"u{number}", "item_id": "i1", "event": "view_item"}
                began = time.monotonic()
                try:
                    if done % 4:
                        said = _list(client.get(f"/v1/users/u{done % 30}/recommendations?n=5"))
                    else:
                        answer = client.post("/v1/interactions", json=event)
                        again = answer.status_code == 503 and "retry-after" in answer.headers
                        said = "event: try again" if again else f"event: {answer.status_code}"
                except httpx2.TransportError as error:
                    said = type(error).__name__
                self.seconds.append(time.monotonic() - began)
                self.answers[said] += 1
                time.sleep(0.01)


def _list(answer: httpx2.Response) -> str:
    if answer.status_code != 200:
        return f"list: {answer.status_code}"
    away = any("database does not answer in time" in said for said in answer.json()["warnings"])
    return f"list: {'without the database' if away else 'whole'}"


def outage(stack: ExitStack, folder: Path, seconds: float) -> tuple[list[str], int]:
    """The server is killed and then stopped for so long, under load: a summary, how much was wrong."""
    server = stack.enter_context(cluster())
    prepare(server.url)
    database = Database(server.url)
    with database.write() as connection:
        wanted = KeyRequest.model_validate({"name": "load", "scopes": ["admin"]})
        key: str = create_key(connection, wanted)["key"]
    database.close()
    service = Service(folder, server.url, workers=1)
    service.key = key
    stack.callback(service.close)
    service.wait_ready()
    service.wait_trained(service.train())
    lines: list[str] = []
    wrong: list[str] = []
    with Load(service.address(), key) as load:
        time.sleep(3)
        for name, away, back in (
            ("killed", server.kill, server.start),
            ("hanging", server.freeze, server.thaw),
        ):
            said, failures = _away(load, name, away, back, seconds)
            lines += said
            wrong += failures
    return [*lines, f"failures {len(wrong)}", *(f"  {said}" for said in wrong)], len(wrong)


def _away(
    load: Load, name: str, away: Callable[[], None], back: Callable[[], None], seconds: float
) -> tuple[list[str], list[str]]:
    load.begin()
    away()
    began = now_ms()
    time.sleep(seconds)
    answers, times = load.answers, sorted(load.seconds)
    allowed = {"list: without the database", "list: whole", "event: try again", "event: 201"}
    wrong = [f"{name}: {said} {count} times" for said, count in answers.items() if said not in allowed]
    if not answers["list: without the database"] or not answers["event: try again"]:
        wrong.append(f"{name}: {dict(answers)}")
    if times[-1] > LONGEST_SECONDS:
        wrong.append(f"{name}: an answer took {times[-1]:.1f} s")
    back()
    healed = time.monotonic()
    while True:
        load.begin()
        time.sleep(0.5)
        if set(load.answers) == {"list: whole", "event: 201"}:
            break
        if time.monotonic() - healed > HEALED_SECONDS:
            wrong.append(f"{name}: not healed: {dict(load.answers)}")
            break
    listed = ", ".join(f"{said}: {count}" for said, count in sorted(answers.items()))
    return [
        f"{name} for {(now_ms() - began) / 1000:.0f} s: {listed}; half of the answers within "
        f"{times[len(times) // 2] * 1000:.0f} ms, the slowest {times[-1]:.1f} s; "
        f"healed within {time.monotonic() - healed:.1f} s"
    ], wrong
