"""Many rows in one statement, on both engines.

SQLite runs a prepared statement over the rows inside the driver; PostgreSQL takes the columns as arrays
and unnests them. Either way the cost of a row is its storage, not a round trip or a compiled statement.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import orjson
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Connection,
    Double,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
)

Hold = Literal["FOR KEY SHARE", "FOR UPDATE"]
"""How a row is kept until the transaction ends: from being removed, or also from being held by others."""

_ARRAY_TYPES = (
    (JSON, "text[]", "::jsonb"),
    (SmallInteger, "smallint[]", ""),
    (BigInteger, "bigint[]", ""),
    (Integer, "bigint[]", ""),
    (Double, "double precision[]", ""),
    (LargeBinary, "bytea[]", ""),
    (Boolean, "boolean[]", ""),
)


def is_sqlite(connection: Connection) -> bool:
    """Whether the connection leads to SQLite (rather than PostgreSQL)."""
    return connection.dialect.name == "sqlite"


def insert_rows(
    connection: Connection,
    table: Table,
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    on_conflict: str = "DO NOTHING",
) -> int:
    """Insert rows (JSON columns as text); answer how many were inserted or updated.

    `on_conflict` is the clause after ON CONFLICT: `DO NOTHING`, or `(column) DO UPDATE SET …`. With an
    update, no two rows may share the conflicting key.
    """
    if not rows:
        return 0
    if is_sqlite(connection):
        statement = _sqlite_insert(table, columns, on_conflict)
        return connection.exec_driver_sql(statement, rows).rowcount
    statement = _postgresql_insert(table, columns, on_conflict)
    return connection.exec_driver_sql(
        statement, tuple(list(column) for column in zip(*rows, strict=True))
    ).rowcount


def keys_by_external_id(
    connection: Connection, table: Table, external_ids: Sequence[str], hold: Hold | None = None
) -> dict[str, int]:
    """The integer keys of those ids that exist; their rows are held in the order of the keys, if at all."""
    if not external_ids:
        return {}
    query = f"SELECT external_id, id FROM {table.name}"
    parameter: str | list[str] = list(external_ids)
    if is_sqlite(connection):  # one writer at a time: it holds all rows
        query += " WHERE external_id IN (SELECT value FROM json_each(?))"
        parameter = orjson.dumps(parameter).decode()
    else:
        # Joined: by `= ANY(…)` PostgreSQL compares each row of a table that it takes for small with each id.
        query += " JOIN unnest(%s::text[]) AS given(external_id) USING (external_id)"
        if hold is not None:
            query += f" ORDER BY id {hold} OF {table.name}"
    return {row.external_id: row.id for row in connection.exec_driver_sql(query, (parameter,))}


@lru_cache(maxsize=64)
def _sqlite_insert(table: Table, columns: tuple[str, ...], on_conflict: str) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks}) ON CONFLICT {on_conflict}"


@lru_cache(maxsize=64)
def _postgresql_insert(table: Table, columns: tuple[str, ...], on_conflict: str) -> str:
    arrays, selected = [], []
    for name in columns:
        array, cast = _array_type(table, name)
        arrays.append(f"%s::{array}")
        selected.append(f"{name}{cast}")
    return (
        f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {', '.join(selected)} "
        f"FROM unnest({', '.join(arrays)}) AS given({', '.join(columns)}) ON CONFLICT {on_conflict}"
    )


def _array_type(table: Table, column: str) -> tuple[str, str]:
    kind = table.c[column].type
    for known, array, cast in _ARRAY_TYPES:
        if isinstance(kind, known):
            return array, cast
    return "text[]", ""
