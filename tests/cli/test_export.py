"""vitrine export: what was ingested comes back, and spreadsheets show it."""

import csv
import json
from collections.abc import Iterator
from contextlib import ExitStack
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from app.db.session import Database
from app.schemas.interactions import Order
from app.services.interactions import record_order
from app.services.items import delete_item
from app.services.privacy import erase_user
from app.simulation.shop import simulate
from tests.api.conftest import ENGINES, new_database
from tests.cli.command import vitrine
from tests.cli.test_commands import counts
from tests.training.shops import SMALL, ingest, ingest_shop

KINDS = ("users", "items", "interactions")
USERS: list[dict[str, Any]] = [
    {"user_id": "=1+1", "created_at": "1955-02-03T04:05:06.789Z", "attributes": {"b": True, "a": [1, "x"]}},
    {"user_id": "Ä 😀,\"'", "attributes": {"deep": {"z": 1e300, "y": None, "x": -1.5}, "a": "=cmd"}},
    {"user_id": "plain"},
    {"user_id": "gone"},
]
ITEMS: list[dict[str, Any]] = [
    {
        "item_id": "full",
        "title": 'A "title",\nof two lines',
        "description": "<b>ü</b>",
        "brand": "B",
        "categories": ["A > B", "C"],
        "tags": ["x", "y"],
        "price": 9.5,
        "cost": 0,
        "currency": "EUR",
        "image_url": "https://a/b.png",
        "url": "https://a",
        "availability": "preorder",
        "group_id": "g",
        "available_from": "2026-01-01T00:00:00Z",
        "expires_at": "2026-02-01T00:00:00.001Z",
        "attributes": {"size": 42, "sizes": {"eu": 42}},
    },
    {"item_id": "bought, then deleted", "title": "Old", "attributes": {"size": 1}},
    {"item_id": "deleted"},
]
INTERACTIONS: list[dict[str, Any]] = [
    {"user_id": "=1+1", "item_id": "full", "event": "view_item", "occurred_at": "2026-10-01T00:00:00.123Z"},
    {"session_id": "s 1", "item_id": "only named", "event": "click", "event_id": "e1", "value": -2},
    {"user_id": "plain", "item_id": "full", "event": "rate", "value": 4.5, "event_id": "e2"},
    # Without a time or an id, these are three events.
    *[{"user_id": "plain", "item_id": "bought, then deleted", "event": "purchase", "price": 3.0}] * 3,
    {"user_id": "plain", "event": "search", "context": {"q": "mugs", "n": {"b": 1, "a": [2]}}},
    {"user_id": "new", "session_id": "s 1", "event": "my_own", "occurred_at": "1970-01-01T00:00:00Z"},
    {"user_id": "gone", "item_id": "full", "event": "purchase", "quantity": 2, "currency": "EUR"},
]
ORDER: dict[str, Any] = {
    "order_id": "o1",
    "user_id": "plain",
    "items": [{"item_id": "full", "quantity": 1, "price": 9.5}, {"item_id": "full", "quantity": 2}],
    "recommendation_id": "r1",
}


@pytest.fixture
def odd_shop(database_url: str, database: Database) -> str:
    """Address of a shop in which everything occurs once."""
    ingest(database, USERS, ITEMS, INTERACTIONS)
    with database.write() as connection:
        record_order(connection, Order.model_validate_json(json.dumps(ORDER)))
        delete_item(connection, "bought, then deleted")
        delete_item(connection, "deleted")
        erase_user(connection, "gone", 7)
    return database_url


@pytest.fixture
def empty_databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    """One on each engine, to import into."""
    with ExitStack() as stack:
        yield [stack.enter_context(new_database(request, engine, tmp_path, None)) for engine in ENGINES]


def exported(folder: Path, url: str, what: str, name: str, *options: str) -> bytes:
    """What an export wrote; nothing is said beside it but how much it was."""
    ended = vitrine(folder, "export", what, "--out", name, *options, DATABASE_URL=url)
    assert ended.status == 0, ended.err
    assert ended.out.endswith(f" {what} in {name}.\n")
    assert "\x1b" not in ended.err
    assert "━" not in ended.err
    return (folder / name).read_bytes()


def lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def round_trip(folder: Path, source: str, targets: list[str]) -> dict[str, bytes]:
    """Export, import into empty databases, export again: the same; the first export."""
    first = {what: exported(folder, source, what, f"{what}.ndjson") for what in KINDS}
    for number, target in enumerate(targets):
        for what in KINDS:
            taken = vitrine(folder, "import", "ndjson", f"{what}.ndjson", DATABASE_URL=target)
            assert taken.status == 0, taken.err
            assert counts(taken, what) == (len(first[what].splitlines()), 0, 0)
            assert "Rejected" not in taken.out
        for what in KINDS:
            assert exported(folder, target, what, f"{what}-{number}.ndjson") == first[what], what
    return first


def test_odd_things_come_back(odd_shop: str, empty_databases: list[str], tmp_path: Path) -> None:
    found = {
        what: lines(content) for what, content in round_trip(tmp_path, odd_shop, empty_databases).items()
    }
    users = {row.pop("user_id"): row for row in found["users"]}
    assert list(users) == ["=1+1", "new", "plain", "Ä 😀,\"'"]
    assert {"user_id": "=1+1", **users["=1+1"]} == {"kind": "user", **USERS[0]}
    assert users["Ä 😀,\"'"]["attributes"] == USERS[1]["attributes"]
    items = {row.pop("item_id"): row for row in found["items"]}
    assert list(items) == ["bought, then deleted", "full", "only named"]
    assert {"item_id": "full", **items["full"]} == ITEMS[0] | {
        "kind": "item",
        "available_from": "2026-01-01T00:00:00.000Z",
    }
    old = {"kind": "item", "title": "Old", "availability": "out_of_stock", "attributes": {"size": 1}}
    assert items["bought, then deleted"] == old
    events = found["interactions"]
    assert [row["event"] for row in events].count("purchase") == 5
    assert events[0] == {"kind": "interaction", **INTERACTIONS[0]}
    assert events[1]["event"] == "select_item"
    assert events[6]["context"] == INTERACTIONS[6]["context"]
    assert [row.get("quantity") for row in events if row.get("order_id") == "o1"] == [1.0, 2.0]
    # What shares its facts with others got an id of its own.
    assert len({row["event_id"] for row in events if row["event"] == "purchase"}) == 5
    assert "event_id" not in events[0]


def test_a_shop_larger_than_a_chunk_comes_back(
    database_url: str, database: Database, empty_databases: list[str], tmp_path: Path
) -> None:
    shop = simulate(SMALL)
    ingest_shop(database, shop)
    found = round_trip(tmp_path, database_url, empty_databases)
    sent = list(shop.interactions())
    assert [row["event_id"] for row in lines(found["interactions"])] == [row["event_id"] for row in sent]
    assert len(sent) > 5_000


def test_what_is_imported_where_it_came_from_changes_nothing(odd_shop: str, tmp_path: Path) -> None:
    """But for events that have neither an id nor facts of their own: those get an id by the export."""
    first = exported(tmp_path, odd_shop, "interactions", "events.ndjson")
    own = [line for line in first.splitlines() if b"purchase" not in line and b"search" not in line]
    (tmp_path / "own.ndjson").write_bytes(b"\n".join(own))
    again = vitrine(tmp_path, "import", "ndjson", "own.ndjson", DATABASE_URL=odd_shop)
    assert counts(again, "interactions") == (0, len(own), 0)
    assert len(own) == 4


def test_lines_for_http_say_no_kind(odd_shop: str, tmp_path: Path) -> None:
    assert all("kind" not in row for row in lines(exported(tmp_path, odd_shop, "users", "u", "--no-kind")))
    taken = vitrine(tmp_path, "import", "ndjson", "--kind", "users", "u", DATABASE_URL=odd_shop)
    assert counts(taken, "users") == (4, 0, 0)


def test_a_spreadsheet_shows_texts_and_runs_nothing(odd_shop: str, tmp_path: Path) -> None:
    users = table(exported(tmp_path, odd_shop, "users", "users.csv"))
    assert list(users[0]) == ["user_id", "created_at", *(f"attribute.{name}" for name in ("a", "b", "deep"))]
    assert [row["user_id"] for row in users] == ["'=1+1", "new", "plain", "Ä 😀,\"'"]
    assert (users[0]["attribute.a"], users[0]["attribute.b"]) == ('[1,"x"]', "true")
    assert users[3]["attribute.a"] == "'=cmd"
    assert json.loads(users[3]["attribute.deep"]) == USERS[1]["attributes"]["deep"]
    items = {row["item_id"]: row for row in table(exported(tmp_path, odd_shop, "items", "items.csv"))}
    full = items["full"]
    assert (full["categories"], full["tags"], full["title"]) == ("A > B|C", "x|y", ITEMS[0]["title"])
    assert (full["attribute.size"], full["attribute.sizes"]) == ("42", '{"eu":42}')
    events = table(exported(tmp_path, odd_shop, "interactions", "events.csv"))
    assert (len(events), events[1]["session_id"], events[1]["value"]) == (10, "s 1", "-2.0")
    assert json.loads(events[6]["context"]) == INTERACTIONS[6]["context"]


def test_only_frequent_attributes_get_a_column(database_url: str, database: Database, tmp_path: Path) -> None:
    names = [f"n{number:03}" for number in range(120)]
    both = [{"user_id": f"u{n}", "attributes": dict.fromkeys(names[n * 15 :], n)} for n in range(3)]
    ingest(database, both)
    ended = vitrine(tmp_path, "export", "users", "--out", "users.csv", DATABASE_URL=database_url)
    assert (ended.status, len(ended.error_lines)) == (0, 1)
    assert ended.err.startswith("Only the 100 most frequent attributes have a column")
    (row, *_) = table((tmp_path / "users.csv").read_bytes())
    # 90 names are those of all three users, 15 of two of them: the first ten of those are taken.
    assert list(row)[2:] == [f"attribute.{name}" for name in names[20 - 5 : 25] + names[30:]]


def test_nothing_is_a_table_without_rows(database_url: str, database: Database, tmp_path: Path) -> None:
    assert exported(tmp_path, database_url, "users", "users.csv") == b"user_id,created_at\r\n"
    assert exported(tmp_path, database_url, "users", "users.ndjson") == b""
    assert exported(tmp_path, database_url, "items", "items.csv").count(b"\n") == 1


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(content.decode(), newline="")))
