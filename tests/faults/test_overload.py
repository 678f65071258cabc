"""Ten times the sustainable load for some seconds; `make faults FAULT_ARGS=overload` offers it for longer."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.db import migrate
from app.db.session import Database
from tests.faults.overload import Overload
from tests.faults.warm import WarmService
from tests.training.shops import ingest, queue, trainer

USERS, ITEMS = 30, 40
pytestmark = pytest.mark.processes


@pytest.fixture
def service() -> Iterator[WarmService]:
    """One API process on SQLite with a trained model."""
    with tempfile.TemporaryDirectory(prefix="vitrine-faults-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder}/vitrine.db"
        database = Database(url)
        migrate.upgrade(database)
        ingest(database, interactions=[_view(number) for number in range(6 * USERS)])
        queue(database)
        assert trainer(database, folder / "artifacts").work_once()
        database.close()
        started = WarmService(folder, url)
        try:
            started.wait_ready()
            yield started
        finally:
            started.close()


def test_a_crowd_is_refused_early_and_forgotten_soon(service: WarmService) -> None:
    # Patience with machines that do other work too; what is refused, lost or held is no matter of patience.
    lines, wrong = Overload(
        service, seconds=3.0, calm_seconds=1.5, users=USERS, items=ITEMS, patience=4.0
    ).run()
    print("\n".join(lines))
    assert wrong == []


def _view(number: int) -> dict[str, Any]:
    user, step = divmod(number, 6)
    return {
        "user_id": f"u{user:06d}",
        "item_id": f"i{(user + step * (1 + user % 3)) % ITEMS:06d}",
        "event": "view_item",
        "occurred_at": f"2026-10-{1 + step:02}T{user % 24:02}:00:00Z",
    }
