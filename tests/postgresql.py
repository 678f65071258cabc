"""A PostgreSQL server for the tests: the one that is given or running here, else one of our own."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql

GIVEN = "VITRINE_TEST_POSTGRESQL"
"""Environment variable with the address of a server on which the tests may create databases."""
RUNNING_HERE = "postgresql://postgres@127.0.0.1:5432/postgres"


@contextmanager
def server() -> Iterator[str | None]:
    """Address of a server's maintenance database; None where there is none to be had."""
    for address in (os.environ.get(GIVEN), RUNNING_HERE):
        if address is not None and _answers(address):
            yield address
            return
    binaries = server_binaries()
    if binaries is None:
        yield None
        return
    with _own_server(binaries) as address:
        yield address


@contextmanager
def new_database(address: str, name: str, template: str | None = None) -> Iterator[str]:
    """Create a database (as a copy of a template) and drop it at the end; its address."""
    with psycopg.connect(address, autocommit=True) as connection:
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        connection.execute(statement)
    base, _, options = address.partition("?")
    try:
        yield base.rpartition("/")[0] + "/" + name + ("?" + options if options else "")
    finally:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _answers(address: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(address, connect_timeout=3):
        return True
    return False


def server_binaries() -> Path | None:
    """Folder of PostgreSQL's programs; None where it is not installed."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return places[-1] if places and (places[-1] / "initdb").exists() else None


@contextmanager
def _own_server(binaries: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="vitrine-pg-") as folder:
        # PostgreSQL refuses to run as root: then its own user does.
        user = "postgres" if os.geteuid() == 0 else None
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        data = str(Path(folder) / "data")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        _run(user, [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"])
        _run(user, [binaries / "pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start"])
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            _run(user, [binaries / "pg_ctl", "-D", data, "-m", "immediate", "stop"])


def _run(user: str | None, command: list[Path | str]) -> None:
    subprocess.run(command, check=True, capture_output=True, user=user, cwd="/")
