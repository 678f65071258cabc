"""What was acknowledged is there once, whatever was killed: a few rounds; `make faults` plays hundreds."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.cluster import Cluster, cluster
from tests.faults.rounds import Rounds
from tests.faults.service import prepare
from tests.faults.warm import WarmService

pytestmark = pytest.mark.processes


@pytest.fixture(params=["sqlite", "postgresql"])
def played(request: pytest.FixtureRequest) -> Iterator[Rounds]:
    """Rounds on a service of one API process, without a trainer: `test_training.py` kills those."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vitrine-faults-")))
        server: Cluster | None = None
        url = f"sqlite:///{folder}/vitrine.db"
        if request.param == "postgresql":
            server = stack.enter_context(cluster())
            url = server.url
        prepare(url, plain=True)
        service = WarmService(folder, url)
        stack.callback(service.close)
        service.wait_ready()
        yield Rounds(service, server, seed=5)


def test_what_was_acknowledged_is_there_once(played: Rounds) -> None:
    on_a_server = played.url.startswith("postgresql")
    for fault in ("server", "backend") if on_a_server else ("api", "api"):
        played.play(fault)
    assert played.figures.failures == []
    assert played.figures.acknowledged > 0
    assert played.figures.found == played.figures.sent
