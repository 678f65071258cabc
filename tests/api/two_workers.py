"""Two API processes on one database of a trained shop, each on a port of its own, so that it is known which
one answers."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.api.conftest import TrainedShop, new_database
from tests.e2e.processes import free_port, running, wait_ready

ADMIN = "an operator's key that nobody guesses"


class Way(NamedTuple):
    """Who writes, who is asked, and a name that no other test has."""

    write: httpx2.Client
    ask: httpx2.Client
    name: str


@pytest.fixture(scope="module")
def workers(
    trained: TrainedShop, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[httpx2.Client]]:
    folder = tmp_path_factory.mktemp("fresh")
    with ExitStack() as stack:
        url = stack.enter_context(new_database(request, trained.engine, folder, trained.source))
        settings = {"DATABASE_URL": url, "ARTIFACTS": str(trained.artifacts), "ADMIN_KEY": ADMIN}
        started = []
        for name in ("one", "two"):
            port = str(free_port())
            serve = ("serve", "--no-trainer", "--workers", "1", "--port", port)
            process = stack.enter_context(running(folder, name, *serve, **settings))
            headers = {"Authorization": f"Bearer {ADMIN}"}
            client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, headers=headers)
            started.append((stack.enter_context(client), process))
        for client, process in started:
            wait_ready(client, process)
        yield [client for client, _ in started]


@pytest.fixture(params=["there", "back"])
def way(workers: list[httpx2.Client], request: pytest.FixtureRequest) -> Way:
    write, ask = workers if request.param == "there" else workers[::-1]
    return Way(write, ask, request.node.name.replace("[", "-").replace("]", ""))


def got(client: httpx2.Client, path: str, **params: Any) -> dict[str, Any]:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def sent(client: httpx2.Client, path: str, method: str = "POST", **body: Any) -> dict[str, Any]:
    answer = client.request(method, path, json=body or None)
    assert answer.status_code in (200, 201, 204), answer.text
    said: dict[str, Any] = answer.json() if answer.content else {}
    return said


def event(client: httpx2.Client, name: str, item_id: str, **who: Any) -> None:
    sent(client, "/v1/interactions", event=name, item_id=item_id, **who)


def listed(client: httpx2.Client, **wanted: Any) -> dict[str, Any]:
    return sent(client, "/v1/recommendations", **wanted)


def scores(client: httpx2.Client, items: list[str], **who: Any) -> dict[str, float]:
    ranked = sent(client, "/v1/rankings", item_ids=items, **who)["items"]
    return {row["item_id"]: row["score"] for row in ranked}


def catalogue(client: httpx2.Client) -> list[str]:
    """Items of the shop that can be bought, those of these tests left out."""
    rows = got(client, "/v1/items", limit=1000)["items"]
    return [
        row["item_id"]
        for row in rows
        if row["availability"] == "in_stock" and row["item_id"].startswith("i0")
    ]
