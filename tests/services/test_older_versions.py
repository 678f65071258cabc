"""Versions of other releases: refused in one line that says what to do, while lists and trainings go on."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import update
from structlog.testing import CapturingLogger

from app.core.errors import Conflict
from app.db import migrate
from app.db.queries import models
from app.db.session import Database
from app.db.tables import models as models_table
from app.learning.artifacts import delete_version, read_version, write_version
from app.learning.version import FORMAT
from app.services.live import ADVICE
from app.services.models import activate_model
from tests.api.serving import serving
from tests.cli.command import vitrine
from tests.training.shops import ingest, queue, run_row, trainer, views


class Shop(NamedTuple):
    """A trained shop on disk."""

    file: Path
    artifacts: Path
    version: str

    @property
    def url(self) -> str:
        return f"sqlite:///{self.file}"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    database = Database(f"sqlite:///{folder}/vitrine.db")
    migrate.upgrade(database)
    ingest(database, interactions=views(30, 8))
    queue(database)
    trainer(database, folder / "artifacts").work_once()
    with database.read() as connection:
        version = models.active_version(connection)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    assert version is not None
    return Shop(folder / "vitrine.db", folder / "artifacts", version)


@pytest.fixture
def shop(trained: Shop, tmp_path: Path) -> Shop:
    shutil.copy(trained.file, tmp_path / "vitrine.db")
    shutil.copytree(trained.artifacts, tmp_path / "artifacts")
    return Shop(tmp_path / "vitrine.db", tmp_path / "artifacts", trained.version)


def _without_few(content: dict[str, Any]) -> None:
    del content["few"]


def _without_blends(content: dict[str, Any]) -> None:
    for name in ("idle_after", "may_repeat", "analytics"):
        del content[name]


def _with_a_former_setting(content: dict[str, Any]) -> None:
    content["families"]["popularity"]["recency"] = 365.0


def _of_tomorrow(content: dict[str, Any]) -> None:
    content["format"] = 99


WRITTEN = {
    "without lengths of newcomers": (_without_few, "it has no 'few'"),
    "without audiences": (_without_blends, "it has no "),
    "with a setting that is no more": (
        _with_a_former_setting,
        "PopularityConfig.recency: Extra inputs are not permitted",
    ),
    "by a later release": (_of_tomorrow, f"its content has format 99, this release reads up to {FORMAT}"),
}


def write_as(shop: Shop, change: Callable[[dict[str, Any]], None]) -> None:
    """Put the version in its place as another release would have written it, on disk and in the database."""
    content, arrays = read_version(shop.artifacts, shop.version, verify=False)
    copies = {name: array.copy() for name, array in arrays.items()}
    change(content)
    delete_version(shop.artifacts, shop.version)
    write_version(shop.artifacts, shop.version, content, copies)
    database = Database(shop.url)
    with database.write() as connection:
        row = models.find_model(connection, shop.version)
        assert row is not None
        kept = {name: value for name, value in row.content.items() if name in content}
        connection.execute(update(models_table).values(content=kept | {"families": content["families"]}))
    database.close()


@pytest.mark.parametrize("written", WRITTEN)
def test_a_version_of_another_release(shop: Shop, written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, reason = WRITTEN[written]
    log = CapturingLogger()
    monkeypatch.setattr("app.services.live.log", log)
    write_as(shop, change)
    said = f"version {shop.version} was written by another release, and this one cannot read it: {reason}"
    with serving(shop.url, shop.artifacts) as client:
        ready = client.get("/health/ready")
        assert ready.status_code == 200
        body = ready.json()
        assert (body["status"], body["model_version"]) == ("degraded", None)
        assert body["model_problem"].startswith(f"The active version {shop.version} cannot be served: {said}")
        assert body["model_problem"].endswith(f". {ADVICE}")
        assert "\n" not in body["model_problem"]
        listed = client.get("/v1/users/u01/recommendations", params={"n": 3}).json()
        assert (len(listed["items"]), listed["model_version"]) == (3, None)
        refused = client.post(f"/v1/models/{shop.version}/activate")
        assert refused.status_code == 409
        assert said in refused.json()["detail"]
    (call,) = [call for call in log.calls if call.args == ("model_not_loaded",)]
    assert (call.method_name, call.kwargs["advice"]) == ("error", ADVICE)
    assert said in call.kwargs["error"]


def test_the_next_training_begins_without_it(shop: Shop) -> None:
    write_as(shop, _without_blends)
    database = Database(shop.url)
    run_id = queue(database)
    trainer(database, shop.artifacts).work_once()
    row = run_row(database, run_id)
    database.close()
    assert (row.state, row.error) == ("succeeded", None)
    assert "active" not in row.metrics["top_n"]
    with serving(shop.url, shop.artifacts) as client:
        ready = client.get("/health/ready").json()
    assert (ready["status"], ready["model_version"]) == ("ready", row.model_version)


def test_a_command_that_needs_the_model_says_what_to_do(shop: Shop, tmp_path: Path) -> None:
    write_as(shop, _with_a_former_setting)
    settings = {"DATABASE_URL": shop.url, "ARTIFACTS": str(shop.artifacts)}
    found = vitrine(tmp_path, "export", "rules", "--out", "rules.csv", **settings)
    assert found.status == 1
    (line,) = found.error_lines
    assert line.startswith(f"vitrine: The active version {shop.version} cannot be served: ")
    assert line.endswith(ADVICE)


def test_only_what_this_release_can_serve_is_activated(shop: Shop) -> None:
    database = Database(shop.url)
    with database.write() as connection:
        assert activate_model(connection, shop.artifacts, shop.version)["active"]
    write_as(shop, _without_few)
    with (
        pytest.raises(Conflict, match="was written by another release"),
        database.write() as connection,
    ):
        activate_model(connection, shop.artifacts, shop.version)
    database.close()
