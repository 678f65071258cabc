"""From every earlier revision, with rows in all tables, to this release's: nothing lost, and it serves."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import MetaData, Table, func, insert, inspect, select, text, update
from sqlalchemy.exc import IntegrityError

from app.db import migrate
from app.db.session import Database
from tests import postgresql
from tests.api.serving import serving
from tests.cli.command import start
from tests.db.old_rows import SECRET, Rows, counters_at, rows_at

REVISIONS = migrate.revisions()
OWN = {"alembic_version", "revisions"}
NEW_COLUMNS: dict[tuple[str, str], Any] = {("api_keys", "successor"): None, ("models", "users_to"): None}
"""What a migration puts into columns that it adds to rows that are there."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database without tables, on each engine in turn."""
    if request.param == "sqlite":
        opened = Database(f"sqlite:///{tmp_path}/vitrine.db")
        yield opened
        opened.close()
        return
    server = request.getfixturevalue("postgresql_server")
    with postgresql.new_database(server, f"vitrine_{uuid4().hex[:12]}") as address:
        opened = Database(address)
        yield opened
        opened.close()


def url_of(database: Database) -> str:
    if database.embedded:
        return f"sqlite:///{database.url.database}"
    return database.url.set(drivername="postgresql").render_as_string(hide_password=False)


def tables_of(database: Database) -> dict[str, Table]:
    """The tables as they are in the database, whatever the code says."""
    found = MetaData()
    found.reflect(database.engine)
    return dict(found.tables)


def fill(database: Database, revision: str) -> Rows:
    """Put rows into every table, each with every column of the revision."""
    tables, rows = tables_of(database), rows_at(revision)
    assert set(rows) == set(tables) - OWN, f"tests/db/old_rows.py must have rows for each table of {revision}"
    with database.write() as connection:
        for name, some in rows.items():
            columns = set(tables[name].columns.keys())
            assert some
            assert all(set(row) == columns for row in some), name
            filled = {column for row in some for column, value in row.items() if value is not None}
            assert filled >= columns - {"error", "pruned_at"}, name
            connection.execute(insert(tables[name]), some)
            if not database.embedded and "id" in columns:
                # The rows were numbered by the database's own sequence.
                sequence = func.pg_get_serial_sequence(name, "id")
                connection.execute(select(func.setval(sequence, len(some))))
        for counter, value in counters_at(revision).items():
            revisions = tables["revisions"]
            changed = update(revisions).where(revisions.c.name == counter).values(value=value)
            assert connection.execute(changed).rowcount == 1
    return rows


def check_rows(database: Database, rows: Rows, revision: str) -> None:
    """Every row is there with its values, and what is new begins as it should."""
    tables = tables_of(database)
    with database.read() as connection:
        for name, table in tables.items():
            if name in OWN:
                continue
            order = [*table.primary_key.columns]
            found = [dict(row._mapping) for row in connection.execute(select(table).order_by(*order))]
            expected = []
            for row in rows.get(name, []):
                added = set(table.columns.keys()) - set(row)
                expected.append(row | {column: NEW_COLUMNS[name, column] for column in added})
            names = [column.name for column in order]
            expected.sort(key=lambda row: tuple(row[column] for column in names))
            assert found == expected, name
        counters = tables["revisions"]
        stored = {row.name: row.value for row in connection.execute(select(counters))}
    known = counters_at(migrate.current_revision(database) or "")
    assert stored == dict.fromkeys(known, 0) | {
        name: value for name, value in counters_at(revision).items() if name in known
    }


def schema_of(database: Database) -> dict[str, Any]:
    """Columns, keys, constraints and indexes, as the database has them."""
    found = inspect(database.engine)
    described: dict[str, Any] = {}
    for name in found.get_table_names():
        described[name] = {
            "columns": [{**column, "type": str(column["type"])} for column in found.get_columns(name)],
            "key": found.get_pk_constraint(name),
            "foreign": _sorted(found.get_foreign_keys(name)),
            "unique": _sorted(found.get_unique_constraints(name)),
            "checks": _sorted(found.get_check_constraints(name)),
            "indexes": [
                {**index, "dialect_options": {key: str(value) for key, value in options.items()}}
                for index in _sorted(found.get_indexes(name))
                for options in (index.get("dialect_options", {}),)
            ],
        }
    return described


def _sorted(parts: Any) -> list[Any]:
    return sorted(parts, key=lambda part: str(part["name"]))


@pytest.fixture(scope="module")
def fresh(
    request: pytest.FixtureRequest, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[bool, dict[str, Any]]:
    """The schema of a database that was made by this release, by whether it is embedded."""
    embedded = Database(f"sqlite:///{sqlite_template}")
    found = {True: schema_of(embedded)}
    embedded.close()
    server = request.getfixturevalue("postgresql_server")
    template = request.getfixturevalue("postgresql_template")
    with postgresql.new_database(server, f"vitrine_{uuid4().hex[:12]}", template) as address:
        database = Database(address)
        found[False] = schema_of(database)
        database.close()
    return found


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_revision_comes_up_with_its_data(
    database: Database, fresh: dict[bool, dict[str, Any]], revision: str, tmp_path: Path
) -> None:
    migrate.upgrade(database, revision)
    rows = fill(database, revision)
    for _ in range(2):  # the second time there is nothing to do
        migrate.upgrade(database)
        assert migrate.current_revision(database) == migrate.head_revision()
    check_rows(database, rows, revision)
    assert schema_of(database) == fresh[database.embedded]
    migrate.check(database)
    _check_that_the_constraints_hold(database)
    _check_that_it_serves(database, tmp_path / "artifacts", revision)


def _check_that_the_constraints_hold(database: Database) -> None:
    tables = tables_of(database)
    for name, wrong in (("users", {"external_id": "ana"}), ("models", {"version": "v", "active": True})):
        with database.read() as connection:
            last = select(tables[name]).order_by(tables[name].c[next(iter(wrong))].desc()).limit(1)
            row = dict(connection.execute(last).one()._mapping)
        row |= wrong | ({"id": 99} if "id" in row else {})
        with pytest.raises(IntegrityError), database.write() as connection:
            connection.execute(insert(tables[name]), [row])


def _check_that_it_serves(database: Database, artifacts: Path, revision: str) -> None:
    """A shop that goes on with the new release: its key, its people, its events, its rules."""
    with serving(url_of(database), artifacts) as client:
        assert client.get("/v1/users/ana").status_code == 401
        client.headers["X-API-Key"] = SECRET
        ready = client.get("/health/ready").json()
        assert (ready["status"], ready["database"]) == ("degraded", "ok")
        assert "Train again" in ready["model_problem"]
        assert client.get("/v1/users/ana").json()["attributes"] == {"city": "Graz", "plan": {"tier": 2}}
        listed = client.get("/v1/users/ana/recommendations", params={"n": 5, "exclude_seen": False}).json()
        assert {item["item_id"] for item in listed["items"]} == {"mug", "tea", "pot"}
        event = {"user_id": "ana", "session_id": "s-9", "item_id": "pot", "event": "purchase"}
        assert client.post("/v1/interactions", json=event).json()["status"] == "accepted"
        assert client.put("/v1/users/new", json={}).status_code in (200, 201)
        names = {scenario["name"] for scenario in client.get("/v1/scenarios").json()["scenarios"]}
        assert ("landing" in names) == (revision >= "0005")
        keys = {key["key_id"]: key for key in client.get("/v1/keys").json()["keys"]}
        assert set(keys) == {"key_shop", "key_lost"}
        assert keys["key_lost"]["revoked_at"] is not None
        rules = client.get("/v1/segment-rules").json()["segment_rules"]
        assert [rule["segment"] for rule in rules] == ["big-spenders"] * (revision >= "0002")
        person = client.get("/v1/users/ana/export")
        assert person.status_code == 200
        assert len(person.json()["interactions"]) == 3
        assert len(person.json()["corrections"]) == (revision >= "0003")
        assert len(person.json()["shown_recommendations"]) >= (revision >= "0004")
        assert client.get("/v1/models").json()["models"][0]["active"]
        assert client.delete("/v1/users/ana").status_code in (200, 202, 204)


def test_down_to_every_revision_and_up_again(database: Database) -> None:
    migrate.upgrade(database)
    head = migrate.head_revision()
    fill(database, head)
    for revision in reversed(REVISIONS[:-1]):
        migrate.downgrade(database, revision)
        kept = rows_at(revision)
        assert set(tables_of(database)) - OWN == set(kept)
        check_rows(database, kept, revision)
    migrate.upgrade(database)
    check_rows(database, rows_at(REVISIONS[0]), REVISIONS[0])


def test_a_database_of_a_later_release_is_refused(database: Database, tmp_path: Path) -> None:
    migrate.upgrade(database)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    said = (
        "The database's schema is at 9999, which this release does not know "
        f"(its newest is {migrate.head_revision()}): a later release has migrated it."
    )
    commands = [["migrate"], ["keys", "list"]]
    running = [start(tmp_path, *command, DATABASE_URL=url_of(database)) for command in commands]
    for process in running:
        found = process.ended()
        assert found.status == 1
        (line,) = found.error_lines
        assert line.startswith(f"vitrine: {said}")
    with (
        pytest.raises(migrate.OtherSchema, match="a later release has migrated it"),
        serving(url_of(database), tmp_path / "artifacts"),
    ):
        pass
    assert migrate.current_revision(database) == "9999"
