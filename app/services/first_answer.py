"""A start that waits for a database which is away for a while."""

import time
from collections.abc import Callable
from typing import Final

import anyio
import structlog
from anyio import to_thread
from sqlalchemy.exc import OperationalError

log = structlog.get_logger(__name__)

START_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 0.5


async def when_reached(work: Callable[[], None], seconds: float = START_SECONDS) -> None:
    """Do the work in a thread, again while the database is away; raises OperationalError after so long.

    A worker that takes the place of one that died must not fail for it: the server would end all others.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            await to_thread.run_sync(work)
        except OperationalError as error:
            if time.monotonic() > until:
                raise
            log.warning("database_awaited", error=str(error.orig))
            await anyio.sleep(PAUSE_SECONDS)
        else:
            return
