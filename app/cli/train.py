"""`vitrine train`"""

import threading
import time
from typing import Annotated, Any

import typer

from app.cli.console import fail, open_database, out, progress_bar
from app.cli.reports import show_evaluation
from app.core.settings import Settings
from app.db.session import Database
from app.services import training_runs
from app.trainer import options_of
from app.training.worker import Trainer

_ENDED = ("succeeded", "rejected", "failed", "cancelled")


def train(
    wait: Annotated[bool, typer.Option(help="Wait for the end and show the result")] = True,
) -> None:
    """Train on the data of the database: here, unless another trainer takes the run first."""
    settings = Settings()
    database = open_database(settings)
    with database.write() as connection:
        run_id = training_runs.queue_run(connection, "cli")["run_id"]
    if not wait:
        out.print(f"Training run {run_id} is queued for the next free trainer.")
        return
    trainer = Trainer(database, options_of(settings))
    thread = threading.Thread(target=trainer.work, args=(0.5,), daemon=True)
    thread.start()
    try:
        run = _watch(database, run_id)
    except KeyboardInterrupt:
        with database.write() as connection:
            training_runs.cancel_run(connection, run_id)
        run = _watch(database, run_id)
    trainer.stop()
    thread.join(timeout=30)
    if run["state"] != "succeeded":
        fail(f"Training run {run_id} {run['state']}: {run['error'] or 'no reason given'}")
    out.print(f"Model version {run['model_version']} is active.")
    show_evaluation(run["metrics"])


def _watch(database: Database, run_id: str) -> dict[str, Any]:
    """Show a run's progress until it ends."""
    with progress_bar() as bar:
        task = bar.add_task("queued", total=1.0)
        while True:
            with database.read() as connection:
                run = training_runs.get_run(connection, run_id)
            bar.update(task, description=f"{run['stage'] or run['state']:<9}", completed=run["progress"])
            if run["state"] in _ENDED:
                return run
            time.sleep(0.3)
