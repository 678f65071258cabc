"""Bulk statements: the same rows come out on both engines."""

from typing import Any

import orjson
import pytest
from sqlalchemy import insert, select

from app.db.bulk import insert_rows, keys_by_external_id
from app.db.queries.identities import user_keys
from app.db.session import Database
from app.db.tables import api_keys, event_names, interactions, items, users

AWKWARD = [
    "",
    "NULL",
    "null",
    "{}",
    '{"a"}',
    "a,b",
    'quo"te',
    "back\\slash",
    "it's",
    "%s",
    "?",
    ":x",
    "née 🛒\u2028",
]
"""Texts that arrays, parameters and quoting may trip over."""

JSON_VALUES: list[Any] = [
    {},
    [],
    {"a": [1, 2.5, None, True, "x"], "née": {"🛒": '"\\'}},
    ["{}", "NULL", "a,b"],
    {"large": 1e300, "small": 5e-324, "whole": 2**53},
]


def test_text_and_json_come_back_as_given(database: Database) -> None:
    names = [f"{number}:{text}" for number, text in enumerate(AWKWARD)]
    rows = [
        (name, text, orjson.dumps(JSON_VALUES[at % len(JSON_VALUES)]).decode(), at, at)
        for at, (name, text) in enumerate(zip(names, AWKWARD, strict=True))
    ]
    columns = ("external_id", "title", "attributes", "created_at", "updated_at", "revision")
    with database.write() as connection:
        assert insert_rows(connection, items, columns, [(*row, 1) for row in rows]) == len(rows)
    with database.read() as connection:
        found = connection.execute(select(items).order_by(items.c.id)).all()
    assert [(row.external_id, row.title) for row in found] == list(zip(names, AWKWARD, strict=True))
    expected = [JSON_VALUES[at % len(JSON_VALUES)] for at in range(len(rows))]
    assert [row.attributes for row in found] == expected
    assert {(row.availability, row.deleted_at) for row in found} == {("in_stock", None)}


def test_it_writes_what_a_plain_insert_writes(database: Database) -> None:
    columns = (
        "event_key",
        "user_id",
        "session_id",
        "event",
        "value",
        "context",
        "occurred_at",
        "received_at",
    )
    values: list[tuple[Any, ...]] = [
        (bytes(16), None, 0.5, {"a": None}, -(2**62)),
        (bytes(range(16)), None, -1e12, {"née": ["🛒"]}, 2**62),
        (b"\\x00\"'{},NULL....", "x", None, None, 0),
        (b"\xff" * 16, "%s", 1e300, {}, 1),
    ]
    with database.write() as connection:
        user = user_keys(connection, ["u"], 1)["u"]
        insert_rows(connection, event_names, ("name",), [("view_item",)])
        event = connection.execute(select(event_names.c.id)).scalar_one()
        rows = [
            (
                key,
                user,
                None,
                event,
                value,
                None if context is None else orjson.dumps(context).decode(),
                when,
                7,
            )
            for key, _, value, context, when in values
        ]
        assert insert_rows(connection, interactions, columns, rows) == len(rows)
        kept = [interactions.c[name] for name in (*columns, "event_id", "price")]
        bulk = connection.execute(select(*kept).order_by(interactions.c.id)).all()
        connection.execute(interactions.delete())
        for row, (_, _, _, context, _) in zip(rows, values, strict=True):
            one = dict(zip(columns, row, strict=True))
            if context is None:
                one.pop("context")
            connection.execute(
                insert(interactions).values(one | ({} if context is None else {"context": context}))
            )
        plain = connection.execute(select(*kept).order_by(interactions.c.id)).all()
    assert bulk == plain
    assert [bytes(row.event_key) for row in bulk] == [key for key, *_ in values]
    assert [row.context for row in bulk] == [context for _, _, _, context, _ in values]


def test_columns_of_nothing_but_null(database: Database) -> None:
    columns = ("key_id", "name", "secret_hash", "scopes", "created_at", "expires_at", "revoked_at")
    rows = [(f"k{n}", "n", bytes([n]) * 32, '["track"]', n, None, None) for n in range(3)]
    with database.write() as connection:
        assert insert_rows(connection, api_keys, columns, rows) == 3
        found = connection.execute(select(api_keys).order_by(api_keys.c.key_id)).all()
    assert [(bytes(r.secret_hash), r.scopes, r.expires_at) for r in found] == [
        (bytes([n]) * 32, ["track"], None) for n in range(3)
    ]


def test_no_rows_no_statement(database: Database) -> None:
    with database.write() as connection:
        assert insert_rows(connection, users, ("external_id", "created_at", "updated_at"), []) == 0
        assert keys_by_external_id(connection, users, []) == {}


@pytest.mark.parametrize("update", [False, True])
def test_on_conflict(database: Database, update: bool) -> None:
    columns = ("external_id", "attributes", "created_at", "updated_at")
    clause = "(external_id) DO UPDATE SET attributes = excluded.attributes" if update else "DO NOTHING"
    with database.write() as connection:
        insert_rows(connection, users, columns, [("a", '{"v":1}', 1, 1), ("b", '{"v":1}', 1, 1)])
        before = keys_by_external_id(connection, users, ["a", "b"])
        again = [("b", '{"v":2}', 2, 2), ("c", '{"v":2}', 2, 2)]
        assert insert_rows(connection, users, columns, again, clause) == (2 if update else 1)
        found = {row.external_id: row for row in connection.execute(select(users))}
    assert {name: row.attributes["v"] for name, row in found.items()} == {
        "a": 1,
        "b": 2 if update else 1,
        "c": 2,
    }
    assert found["b"].created_at == 1
    assert {name: found[name].id for name in before} == before


def test_keys_of_many_ids(database: Database) -> None:
    names = [f"{AWKWARD[number % len(AWKWARD)]}#{number}" for number in range(20_000)]
    with database.write() as connection:
        keys = user_keys(connection, names[::2], 1)
        assert len(set(keys.values())) == 10_000
        assert keys_by_external_id(connection, users, names) == keys
        assert keys_by_external_id(connection, users, [names[0], names[0], names[1]]) == {
            names[0]: keys[names[0]]
        }
