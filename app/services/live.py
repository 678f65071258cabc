"""The model version that this process serves, swapped while requests run.

A request takes one reference (`live.current`) and keeps it to its end. Another version is opened beside
the old one, in a thread, and put in its place by one assignment.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog
from anyio import to_thread
from sqlalchemy.exc import SQLAlchemyError
from threadpoolctl import threadpool_limits

from app.core.memory import keep_freed_memory
from app.core.telemetry import MODEL_FAILING, MODEL_FAILURES, MODEL_LOADED
from app.db.migrate import require_head
from app.db.queries.models import active_version, served_before
from app.db.session import Database
from app.learning.artifacts import ArtifactError, is_stored
from app.services.catalogue import Catalogue
from app.services.first_answer import when_reached
from app.services.live_model import LiveModel
from app.services.scenario_settings import ScenariosInForce

log = structlog.get_logger(__name__)

RETRY_SECONDS = 15.0
"""Between two attempts to open a version that cannot be served; each reads all of it."""
ADVICE = "Train again ('vitrine train' or POST /v1/training-runs), or activate another version."
MOST_FORMER = 5
"""Versions that are tried in the place of one that cannot be served."""


class Live:
    """What this process serves from: the current model (None before the first training) and the catalogue."""

    def __init__(self, database: Database, artifacts: Path, event_weights: dict[str, float]) -> None:
        self.catalogue = Catalogue()
        self.scenarios = ScenariosInForce()
        self.current: LiveModel | None = None
        self.event_weights = event_weights
        self.failing: str | None = None
        """Why the active version is not the one served, if so."""
        self._failed: str | None = None
        self._failed_at = 0.0
        self._database = database
        self.artifacts = artifacts

    @asynccontextmanager
    async def following(self, poll_seconds: float) -> AsyncIterator[None]:
        """Load what is active, and follow changes until the block ends."""
        threadpool_limits(1)  # requests are small: more BLAS threads only take the cores from other workers
        keep_freed_memory()
        await when_reached(self.start)
        ended = asyncio.Event()
        task = asyncio.create_task(self._follow(poll_seconds, ended))
        try:
            yield
        finally:
            # Not cancelled: its thread would go on with a connection of a pool that is closed next.
            ended.set()
            await task

    @property
    def lack(self) -> str:
        """Why there is no model to ask, as answers begin to say it."""
        if self.failing is None:
            return "No model is trained yet"
        return "The active model version cannot be served (see /health/ready)"

    def start(self) -> None:
        """Load the catalogue and the active version; raises OtherSchema if the schema is another one."""
        require_head(self._database)
        with self._database.read() as connection:
            self.catalogue.refresh(connection)
        self.follow_once()

    def follow_once(self, retry: bool = True) -> None:
        """Open the active version if it is not the one served; a version that cannot be opened is not.

        The one before it serves on; where there is none, as after a start, the last that can be opened does.
        Without `retry` one that failed before is passed over.
        """
        try:
            self._follow_active(retry)
        finally:
            MODEL_FAILING.set(0 if self.failing is None else 1)

    def _follow_active(self, retry: bool) -> None:
        with self._database.read() as connection:
            name = active_version(connection)
        serving = self.current.name if self.current else None
        if name is None:
            self.current = None  # the one that was served is withdrawn
        if name is None or name == serving:
            gone = name is not None and not is_stored(self.artifacts, name)
            self.failing = None
            if gone:
                self.failing = f"The files of the active version {name} are gone; it serves on. {ADVICE}"
            return
        if name == self._failed and not retry:
            return
        try:
            opened = LiveModel.open(self.artifacts, name)
        except (ArtifactError, OSError) as error:
            if self.failing is None or name not in self.failing:
                log.error("model_not_loaded", version=name, serving=serving, error=str(error), advice=ADVICE)
                MODEL_FAILURES.inc()
            self.failing = f"The active version {name} cannot be served: {error}. {ADVICE}"
            self._failed, self._failed_at = name, time.monotonic()
            if self.current is None:
                self._serve_former(name)
            return
        self._put_in_place(opened)
        self.failing, self._failed = None, None

    def _serve_former(self, failing: str) -> None:
        """Serve the last version before one that cannot be served."""
        with self._database.read() as connection:
            names = [name for name in served_before(connection) if name != failing]
        for name in names[:MOST_FORMER]:
            try:
                opened = LiveModel.open(self.artifacts, name)
            except (ArtifactError, OSError) as error:
                log.warning("former_model_not_loaded", version=name, error=str(error))
                continue
            self._put_in_place(opened)
            return

    def _put_in_place(self, opened: LiveModel) -> None:
        # The version may know items that came since this process answered last.
        with self._database.read() as connection:
            self.catalogue.refresh(connection)
        opened.indexes(self.catalogue)
        before, self.current = self.current, opened
        MODEL_LOADED.set_to_current_time()
        log.info("model_loaded", version=opened.name, before=before.name if before else None)

    async def _follow(self, poll_seconds: float, ended: asyncio.Event) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), poll_seconds)
                return
            try:
                retry = time.monotonic() - self._failed_at >= RETRY_SECONDS
                await to_thread.run_sync(self.follow_once, retry)
            except SQLAlchemyError as error:
                log.warning("model_not_followed", error=str(error))
            except Exception:
                log.exception("model_not_followed")
