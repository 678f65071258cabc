"""A real trainer that kills or stops itself at a given place."""

import os
import signal
from collections.abc import Callable
from typing import Any

from app.core.settings import Settings
from app.db.queries import models
from app.db.session import Database
from app.learning import artifacts
from app.trainer import options_of, run_trainer
from app.training import pipeline, worker
from app.training.runs import Heartbeat

STAGES = ("snapshot", "analytics", "search", "gate", "fit", "publish")
"""As the trainer itself tells them."""
WRITES = ("writing", "written", "publishing", "published", "pruning")
"""Within the files of a version, before and inside the publishing transaction, after it, before pruning."""
PLACES = (*STAGES, *WRITES)


def arm(place: str, act: Callable[[], None]) -> None:
    """Have this process call `act` once it gets to the place for the first time."""
    fired: list[str] = []

    def once() -> None:
        if not fired:
            fired.append(place)
            act()

    def before(owner: Any, name: str) -> None:
        whole = getattr(owner, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            once()
            return whole(*arguments, **named)

        setattr(owner, name, wrapped)

    def after(owner: Any, name: str) -> None:
        whole = getattr(owner, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            result = whole(*arguments, **named)
            once()
            return result

        setattr(owner, name, wrapped)

    if place in STAGES:
        tell = Heartbeat.tell

        def telling(self: Heartbeat, stage: str, fraction: float) -> None:
            if stage == place:
                once()
            tell(self, stage, fraction)

        Heartbeat.tell = telling  # type: ignore[method-assign]
    elif place == "writing":
        after(artifacts, "_write_array")  # the first of many is there
    elif place == "written":
        after(pipeline, "write_version")
    elif place == "publishing":
        after(models, "activate")  # in the transaction, which does not come to its commit
    elif place == "published":
        after(worker.Trainer, "_publish")
    elif place == "pruning":
        before(worker, "delete_version")


def run(place: str, number: int, settings: Settings) -> None:
    """Train until the process has sent itself the signal; one that was stopped goes on and ends after it."""
    arm(place, lambda: os.kill(os.getpid(), number))
    if number == signal.SIGKILL:
        run_trainer(settings)
        return
    database = Database(settings.database_url)
    worker.Trainer(database, options_of(settings)).work_once()
    database.close()
