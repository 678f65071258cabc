"""Shops made by hand, trained once for each engine, served from copies."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.db.session import Database
from tests.api.conftest import new_database
from tests.api.serving import serving
from tests.training.shops import ingest, queue, run_row, trainer

Rows = Iterable[dict[str, Any]]


@dataclass(frozen=True)
class Handmade:
    """A trained shop; to be copied, not changed."""

    request: pytest.FixtureRequest
    engine: str
    source: str
    artifacts: Path

    @contextmanager
    def opened(self, folder: Path) -> Iterator[TestClient]:
        """The shop, served from a copy of its own."""
        with (
            new_database(self.request, self.engine, folder, self.source) as url,
            serving(url, self.artifacts) as client,
        ):
            yield client


@contextmanager
def handmade(
    request: pytest.FixtureRequest, engine: str, folder: Path, items: Rows, interactions: Rows
) -> Iterator[Handmade]:
    """Store these data and learn from them."""
    with new_database(request, engine, folder, None) as url:
        with closing(Database(url)) as database:
            ingest(database, items=items, interactions=interactions)
            run = queue(database)
            assert trainer(database, folder / "artifacts").work_once()
            row = run_row(database, run)
            assert row.state == "succeeded", row
            if engine == "sqlite":
                with database.engine.connect() as connection:
                    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        source = url.removeprefix("sqlite:///") if engine == "sqlite" else url.rpartition("/")[2]
        yield Handmade(request, engine, source.partition("?")[0], folder / "artifacts")
