"""Start and end of the application."""

import time
from pathlib import Path

import pytest

from app.services.live import Live
from tests.api.serving import serving


def test_the_end_waits_for_what_still_uses_the_database(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[int] = []
    ended: list[int] = []

    def slow(_live: Live, _retry: bool) -> None:
        began.append(1)
        time.sleep(0.3)
        ended.append(1)

    with serving(database_url, tmp_path / "artifacts", model_poll_seconds=0.01) as client:
        monkeypatch.setattr(Live, "follow_once", slow)
        deadline = time.monotonic() + 10
        while not began and time.monotonic() < deadline:
            assert client.get("/health/live").status_code == 200
    assert began
    assert len(ended) == len(began)
