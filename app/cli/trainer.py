"""`vitrine trainer`"""

from typing import Annotated

import typer

from app.cli.console import open_database
from app.core.settings import Settings
from app.trainer import run_trainer


def trainer(
    parent: Annotated[int | None, typer.Option(hidden=True, help="End when this process is gone")] = None,
) -> None:
    """Run a trainer: it takes queued training runs, one at a time over all trainers."""
    settings = Settings()
    open_database(settings).close()  # says in one line what is wrong with it
    run_trainer(settings, parent)
