"""A copy of an embedded database, taken while others read and write it."""

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from app.core.files import sync
from app.db.session import Database


class BackupFailed(RuntimeError):
    """The copy is not whole and was removed; the message says what is wrong, in one line."""


@dataclass(frozen=True)
class Backup:
    """What was copied."""

    bytes: int
    revision: str | None
    """Of the schema; None before the first migration."""
    active_version: str | None
    """The model version whose artifacts belong to it; None without any."""


def back_up(database: Database, target: Path) -> Backup:
    """Write everything that is committed now into a file of its own, checked and on the disk.

    The copy is one moment of the database: SQLite reads it in one transaction, and nobody who writes waits
    for it. It holds no free pages, so nothing that was deleted is in it. It stands in the target's place
    only when it is whole. Raises OSError and BackupFailed.
    """
    beside = target.with_name(f".{target.name[:100]}.{uuid4().hex[:12]}.part")
    # Only its owner may read it: it holds all of the shop's data.
    os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with closing(database.engine.raw_connection()) as connection:
            # On the driver's own connection: this cannot be done within a transaction.
            connection.cursor().execute("VACUUM INTO ?", (str(beside),))
        found = _checked(beside)
        sync(beside)
        beside.replace(target)
        sync(target.parent)
    except sqlite3.Error as error:
        raise BackupFailed(f"The database was not copied: {error}") from error
    finally:
        beside.unlink(missing_ok=True)
    return found


def _checked(path: Path) -> Backup:
    with closing(sqlite3.connect(path)) as connection:
        (first, *_) = connection.execute("PRAGMA integrity_check").fetchall()
        if first != ("ok",):
            raise BackupFailed(f"The copy is damaged, as the database may be: {first[0]}")
        orphan = connection.execute("PRAGMA foreign_key_check").fetchone()
        if orphan is not None:
            raise BackupFailed(f"A row of {orphan[0]} refers to one of {orphan[2]} that is not there")
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        revision = active = None
        if "alembic_version" in tables:
            revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        if "models" in tables:
            active = connection.execute("SELECT version FROM models WHERE active").fetchone()
    size = path.stat().st_size
    return Backup(size, revision and revision[0], active and active[0])
