"""Clients of the application: on an empty database, and on that of a shop with a trained model."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from app.core.settings import Settings
from app.db.session import Database
from app.schemas.interactions import Interaction
from app.schemas.items import ItemEntry
from app.schemas.users import UserEntry
from app.services import interactions, items, training_runs, users
from app.simulation.config import ShopConfig
from app.simulation.shop import Shop, simulate
from app.trainer import options_of
from app.training.worker import Trainer
from tests import postgresql
from tests.api.serving import serving

ENGINES = ["sqlite", "postgresql"]


@contextmanager
def new_database(
    request: pytest.FixtureRequest, engine: str, folder: Path, source: str | None
) -> Iterator[str]:
    """A copy of a database (default: an empty, migrated one)."""
    if engine == "sqlite":
        path = folder / f"{uuid4().hex}.db"
        shutil.copy(source or request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server = request.getfixturevalue("postgresql_server")
    template = source or request.getfixturevalue("postgresql_template")
    with postgresql.new_database(server, f"vitrine_{uuid4().hex[:12]}", template) as address:
        yield address


@pytest.fixture
def client(database_url: str, tmp_path: Path) -> Iterator[TestClient]:
    """On an empty database, on each engine in turn."""
    with serving(database_url, tmp_path / "artifacts") as opened:
        yield opened


@pytest.fixture(scope="module", params=ENGINES)
def steady(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """For tests that share a database, because each uses ids of its own or stores nothing."""
    folder = tmp_path_factory.mktemp("steady")
    with (
        new_database(request, request.param, folder, None) as url,
        serving(url, folder / "artifacts") as opened,
    ):
        yield opened


@dataclass(frozen=True)
class TrainedShop:
    """A simulated shop whose data are ingested and learned from; to be copied, not changed."""

    shop: Shop
    engine: str
    source: str
    artifacts: Path


@contextmanager
def _train_shop(
    request: pytest.FixtureRequest, engine: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TrainedShop]:
    folder = tmp_path_factory.mktemp("trained")
    with new_database(request, engine, folder, None) as url:
        settings = Settings(database_url=url, artifacts=folder / "artifacts")
        shop = simulate(ShopConfig(users=80, items=70, interactions=4_000, days=90))
        database = Database(url)
        with database.write() as connection:
            users.put_users(connection, [UserEntry.model_validate_json(json.dumps(u)) for u in shop.users()])
            items.put_items(connection, [ItemEntry.model_validate_json(json.dumps(i)) for i in shop.items()])
            entries = [Interaction.model_validate_json(json.dumps(e)) for e in shop.interactions()]
            interactions.record(connection, entries)
            training_runs.queue_run(connection, "api")
        Trainer(database, options_of(settings)).work_once()
        with database.read() as connection:
            run = training_runs.list_runs(connection, None, 1)["training_runs"][0]
        assert run["state"] == "succeeded", run
        if engine == "sqlite":
            with database.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        source = url.removeprefix("sqlite:///") if engine == "sqlite" else url.rpartition("/")[2]
        yield TrainedShop(shop, engine, source.partition("?")[0], settings.artifacts)


@pytest.fixture(scope="session")
def trained_on_sqlite(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TrainedShop]:
    with _train_shop(request, "sqlite", tmp_path_factory) as made:
        yield made


@pytest.fixture(scope="session")
def trained_on_postgresql(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TrainedShop]:
    with _train_shop(request, "postgresql", tmp_path_factory) as made:
        yield made


@pytest.fixture(scope="session", params=ENGINES)
def trained(request: pytest.FixtureRequest) -> TrainedShop:
    """A small shop, trained once for each engine.

    Pytest forgets a fixture when its parameter changes, so the two are fixtures of their own.
    """
    shop: TrainedShop = request.getfixturevalue(f"trained_on_{request.param}")
    return shop


@pytest.fixture(scope="module")
def open_shop(
    trained: TrainedShop, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """The trained shop, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("open_shop")
    with (
        new_database(request, trained.engine, folder, trained.source) as url,
        serving(url, trained.artifacts) as opened,
    ):
        yield opened


@pytest.fixture
def shop(trained: TrainedShop, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestClient]:
    """The trained shop on a copy of this test's own."""
    with (
        new_database(request, trained.engine, tmp_path, trained.source) as url,
        serving(url, trained.artifacts) as opened,
    ):
        yield opened
