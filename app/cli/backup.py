"""`vitrine backup`"""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from app.cli.console import connect, fail, first_line, out
from app.core.settings import Settings
from app.core.telemetry import set_up_logs
from app.db.backup import BackupFailed, back_up
from app.db.session import Database


def backup(
    file: Annotated[Path, typer.Argument(help="Where the copy goes; its folder must be there")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if there is one")] = False,
) -> None:
    """Copy the embedded database to a file, while the service runs."""
    set_up_logs("warning", "console")
    settings = Settings()
    database = _embedded(settings)
    target = file.resolve()
    if not target.parent.is_dir():
        fail(f"There is no folder {target.parent}", 2)
    if target.is_dir() or target == Path(str(database.url.database)).resolve():
        fail(f"{file} cannot be the copy: it is {'a folder' if target.is_dir() else 'the database'}", 2)
    if target.exists() and not force:
        fail(f"{file} is there already; --force replaces it", 2)
    try:
        made = back_up(database, target)
    except (BackupFailed, OSError) as error:
        fail(str(error))
    except DBAPIError as error:
        fail(f"The database was not copied: {first_line(error)}")
    finally:
        database.close()
    out.print(
        f"The database (schema {made.revision or 'none'}, {made.bytes / 2**20:.1f} MiB) is in {file}.",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if made.active_version is not None:
        out.print(
            f"Now copy the artifacts, if you keep them: version {made.active_version} is the active one.",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _embedded(settings: Settings) -> Database:
    """The database as it is: nothing is made and nothing migrated for a backup."""
    with suppress(ArgumentError):  # what is no address at all is told below
        url = make_url(settings.database_url)
        if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).is_file():
            fail(f"There is no database {url.database}")
    database = connect(settings)
    if not database.embedded:
        fail("PostgreSQL has its own means: pg_dump --format custom (docs/operations.md, Backup and restore)")
    return database
