"""vitrine export of what was learned: the figures and lists that HTTP answers."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.db.session import Database
from app.services import segment_rules
from app.services.users import erase_user
from app.simulation.shop import simulate
from tests.api.conftest import ENGINES, new_database
from tests.api.own_shops import event
from tests.api.serving import pages, serving
from tests.cli.command import Ended, vitrine
from tests.training.shops import SMALL, ingest, ingest_shop, queue, run_row, trainer, views

Row = dict[str, Any]


@dataclass(frozen=True)
class Learned:
    """A trained shop, served, and where it lies; nothing is changed."""

    client: TestClient
    url: str
    artifacts: Path

    def export(self, folder: Path, *arguments: str) -> Ended:
        return vitrine(folder, "export", *arguments, DATABASE_URL=self.url, ARTIFACTS=str(self.artifacts))

    def rows(self, folder: Path, *arguments: str) -> list[Row]:
        """An export as CSV, its cells read as JSON where they are numbers."""
        ended = self.export(folder, *arguments, "--out", "-", "--format", "csv")
        assert ended.status == 0, ended.err
        return table(ended.out)

    def lines(self, folder: Path, *arguments: str) -> list[Row]:
        ended = self.export(folder, *arguments, "--out", "-", "--format", "ndjson")
        assert ended.status == 0, ended.err
        return [json.loads(line) for line in ended.out.splitlines()]

    def csv(self, path: str, **params: Any) -> str:
        """What HTTP answers as a table."""
        response = self.client.get(path, params={"format": "csv", **params})
        assert response.status_code == 200, response.text
        return response.text

    def json(self, path: str) -> Row:
        response = self.client.get(path)
        assert response.status_code == 200, response.text
        body: Row = response.json()
        return body


@pytest.fixture(scope="module", params=ENGINES)
def learned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Learned]:
    """A simulated shop with a saved filter, a customer who was erased, and one who came after the training."""
    folder = tmp_path_factory.mktemp("learned")
    with new_database(request, request.param, folder, None) as url:
        database = Database(url)
        ingest_shop(database, simulate(SMALL))
        ingest(database, users=[{"user_id": "silent", "attributes": {"=size": "=1"}}])
        run = queue(database)
        trainer(database, folder / "artifacts").work_once()
        assert run_row(database, run).state == "succeeded"
        ingest(database, interactions=[event(0, 1, 0) | {"user_id": "late"}])
        with database.write() as connection:
            erase_user(connection, "u000007")
        database.close()
        with serving(url, folder / "artifacts") as client:
            for name, text in (("big", "monetary > 100"), ("all", "interactions > 0"), ("bad", "age > 3")):
                made = client.put(f"/v1/segment-rules/{name}", json={"name": f"Filter {name}", "filter": text})
                assert made.status_code == 201, made.text
            yield Learned(client, url, folder / "artifacts")


def table(text: str) -> list[Row]:
    return list(csv.DictReader(StringIO(text, newline="")))
