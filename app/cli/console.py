"""What the commands share: settings, the database, the console, one-line failures."""

import sys
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text
from sqlalchemy.exc import ArgumentError, DBAPIError

from app.core.pseudonyms import use_key
from app.core.settings import Settings
from app.core.telemetry import escaped, set_up_logs
from app.db import migrate
from app.db.session import Database
from app.services import pseudonyms


class _Terminal(Console):
    """A console whose terminal is not steered by what a text of the shop says."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str("\n".join(escaped(line) for line in text.split("\n")), **options)


out = _Terminal()
err = _Terminal(stderr=True)


def fail(message: str, status: int = 1) -> NoReturn:
    """End with one line on standard error."""
    print(f"vitrine: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(status)


def open_database(settings: Settings) -> Database:
    """The database with its schema at head: the embedded one is migrated, a server's must be."""
    set_up_logs("warning", "console")
    database = connect(settings)
    try:
        if database.embedded:
            migrate.upgrade(database)
        else:
            migrate.require_head(database)
        pseudonyms.check_key(database, settings.pseudonyms_by)
    except DBAPIError as error:
        fail(f"The database cannot be reached: {first_line(error)}")
    except (migrate.OtherSchema, pseudonyms.WrongPseudonymKey) as error:
        fail(str(error))
    use_key(settings.pseudonyms_by)
    return database


def connect(settings: Settings) -> Database:
    """The database of the settings, whatever its schema."""
    try:
        return Database(settings.database_url, pool_size=settings.database_pool)
    except ModuleNotFoundError as error:
        fail(f"{error.name} is not installed: pip install 'vitrine[postgresql]'")
    except (ValueError, OSError, ArgumentError) as error:
        fail(f"VITRINE_DATABASE_URL: {error}")


def first_line(error: DBAPIError) -> str:
    """What the database said, without the statement."""
    return str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error).__name__


def progress_bar() -> Progress:
    """A bar on standard error: on a terminal it moves, elsewhere nothing is drawn."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        console=err,
        transient=False,
    )
