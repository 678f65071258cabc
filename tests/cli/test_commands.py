"""migrate, import, train, keys: what they do, what they say, how they end."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.db.session import Database
from app.services.audit import list_entries
from app.simulation.shop import simulate
from tests.cli.command import Ended, vitrine
from tests.readers.test_movielens import _ml_100k as write_ml_100k
from tests.readers.test_online_retail import _ROWS as RETAIL_ROWS
from tests.readers.test_online_retail import _write as write_retail
from tests.training.shops import SMALL, ingest, ingest_shop, views


def count(database: Database, table: str) -> int:
    with database.read() as connection:
        found: int = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
    return found


def counts(found: Ended, kind: str) -> tuple[int, int, int] | None:
    """Accepted, duplicate and rejected, from the summary's table."""
    row = re.search(rf"│ {kind}\s*│\s*([\d,]+)\s*│\s*([\d,]+)\s*│\s*([\d,]+)\s*│", found.out)
    return None if row is None else tuple(int(text.replace(",", "")) for text in row.groups())  # type: ignore[return-value]


def test_migrate_up_and_down(database_url: str, database: Database, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": database_url}
    down = vitrine(tmp_path, "migrate", "--to", "base", **settings)
    assert (down.status, down.err) == (0, "")
    assert "The schema is at nothing (it was at 0007" in down.out
    behind = vitrine(tmp_path, "migrate", "--check", **settings)
    assert behind.status == 1
    assert behind.error_lines == ["vitrine: Migration: Target database is not up to date."]
    up = vitrine(tmp_path, "migrate", **settings)
    assert up.status == 0
    assert "(it was at nothing)" in up.out
    check = vitrine(tmp_path, "migrate", "--check", **settings)
    assert check.status == 0
    assert check.out.endswith("The migrations make exactly the tables of the code.\n")
    unknown = vitrine(tmp_path, "migrate", "--to", "9999", **settings)
    assert unknown.status == 1
    assert len(unknown.error_lines) == 1
    assert "9999" in unknown.err


def test_import_ndjson_twice(database_url: str, database: Database, tmp_path: Path) -> None:
    good: list[dict[str, Any]] = [
        {"kind": "user", "user_id": "ana"},
        {"kind": "item", "item_id": "mug", "title": "Mug", "price": 9.5},
        *({"kind": "interaction", **row} for row in views(4, 4)),
    ]
    bad = ["{broken", json.dumps({"kind": "item", "item_id": ""}), json.dumps({"kind": "robot"})]
    lines = [json.dumps(row) for row in good] + bad
    file = tmp_path / "shop.ndjson.gz"
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    first = vitrine(tmp_path, "import", "ndjson", str(file), DATABASE_URL=database_url)
    assert first.status == 0, first.err
    assert counts(first, "interactions") == (24, 0, 0)
    assert counts(first, "users") == (1, 0, 0)
    assert counts(first, "items") == (1, 0, 1)
    assert "bad_json 1" in first.out
    assert "unknown_kind 1" in first.out
    assert "line 27: " in first.out
    assert "line 28: /item_id: " in first.out
    again = vitrine(tmp_path, "import", "ndjson", str(file), DATABASE_URL=database_url)
    assert again.status == 0
    assert counts(again, "interactions") == (0, 24, 0)
    assert (count(database, "interactions"), count(database, "users")) == (24, 5)


def test_import_of_nothing_good_is_a_failure(tmp_path: Path) -> None:
    file = tmp_path / "bad.ndjson"
    file.write_text('{"item_id": ""}\n[]\n')
    found = vitrine(tmp_path, "import", "ndjson", "--kind", "items", str(file))
    assert found.status == 1
    assert found.error_lines[-1] == "vitrine: nothing was imported"
    assert "not_an_object 1" in found.out


def test_import_movielens(database_url: str, database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "ml"
    folder.mkdir()
    write_ml_100k(folder)
    first = vitrine(tmp_path, "import", "movielens", str(folder), DATABASE_URL=database_url)
    assert first.status == 0, first.err
    assert counts(first, "items") == (3, 0, 0)
    assert counts(first, "interactions") == (2, 0, 0)
    again = vitrine(tmp_path, "import", "movielens", str(folder), DATABASE_URL=database_url)
    assert counts(again, "interactions") == (0, 2, 0)


def test_import_online_retail(database_url: str, database: Database, tmp_path: Path) -> None:
    file = tmp_path / "retail.csv.gz"
    file.write_bytes(gzip.compress(write_retail(tmp_path / "retail.csv", RETAIL_ROWS).read_bytes()))
    first = vitrine(tmp_path, "import", "online-retail", str(file), DATABASE_URL=database_url)
    assert first.status == 0, first.err
    stored = counts(first, "interactions")
    assert stored is not None
    assert stored[0] == count(database, "interactions") > 0
    assert stored[1:] == (0, 0)
    again = vitrine(tmp_path, "import", "online-retail", str(file), DATABASE_URL=database_url)
    assert counts(again, "interactions") == (0, stored[0], 0)


def test_import_csv(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("Who;What;When\nana;mug;2026-10-01\nbo;;2026-10-02\nana;cup;never\n")
    mapping = ["--map", "user_id=Who", "--map", "item_id=What", "--map", "occurred_at=When"]
    arguments = ["import", "csv", str(file), "--kind", "interactions", *mapping, "--set", "event=purchase"]
    first = vitrine(tmp_path, *arguments)
    assert first.status == 0, first.err
    assert counts(first, "interactions") is not None
    assert counts(first, "interactions")[0] == 1  # type: ignore[index]
    again = vitrine(tmp_path, *arguments)
    assert counts(again, "interactions")[:2] == (0, 1)  # type: ignore[index]
    wrong = vitrine(tmp_path, *arguments, "--map", "colour=Who")
    assert wrong.status != 0
    assert "Traceback" not in wrong.err
    assert "colour" in wrong.err


def test_import_of_a_folder_that_is_no_data_set(tmp_path: Path) -> None:
    found = vitrine(tmp_path, "import", "movielens", str(tmp_path))
    assert found.status == 1
    assert found.error_lines[-1].startswith("vitrine: ")
    assert "Traceback" not in found.err


def test_train_shows_what_it_found(database_url: str, database: Database, tmp_path: Path) -> None:
    ingest_shop(database, simulate(SMALL))
    found = vitrine(tmp_path, "train", DATABASE_URL=database_url, ARTIFACTS=str(tmp_path / "artifacts"))
    assert found.status == 0, found.err
    (version,) = [path.name for path in (tmp_path / "artifacts").iterdir()]
    assert f"Model version {version} is active." in found.out
    assert "ndcg" in found.out.lower()
    assert "popularity" in found.out
    assert "Ratings: RMSE" in found.out


def test_train_fails_with_the_reason(database_url: str, database: Database, tmp_path: Path) -> None:
    found = vitrine(tmp_path, "train", DATABASE_URL=database_url)
    assert found.status == 1
    assert found.error_lines[-1] == (
        "vitrine: Training run 1 failed: training needs at least 10 interactions with items, there are 0"
    )


def test_train_without_waiting_only_queues(database_url: str, database: Database, tmp_path: Path) -> None:
    ingest(database, interactions=views(4, 4))
    found = vitrine(tmp_path, "train", "--no-wait", DATABASE_URL=database_url)
    assert (found.status, found.out.strip()) == (0, "Training run 1 is queued for the next free trainer.")


@pytest.mark.parametrize("name", ["web shop", "[bold]shop[/bold]", "[/x]"])
def test_keys_are_made_listed_and_revoked(tmp_path: Path, name: str) -> None:
    assert "There are no keys." in vitrine(tmp_path, "keys", "list").out
    made = vitrine(tmp_path, "keys", "create", name, "--scope", "query", "--scope", "track")
    assert made.status == 0, made.err
    key_id = re.search(r"key_[0-9a-f]{16}", made.out)
    assert key_id is not None
    assert re.search(r"^vt_[\w-]{43}$", made.out, re.MULTILINE)
    listed = vitrine(tmp_path, "keys", "list")
    assert key_id[0] in listed.out
    assert "vt_" not in listed.out
    revoked = vitrine(tmp_path, "keys", "revoke", key_id[0])
    assert (revoked.status, revoked.out.strip()) == (0, f"Key {key_id[0]} is revoked.")
    again = vitrine(tmp_path, "keys", "revoke", key_id[0])
    assert again.status == 1
    assert len(again.error_lines) == 1


def test_keys_are_rotated_and_it_is_written_down(tmp_path: Path) -> None:
    made = vitrine(tmp_path, "keys", "create", "web", "--scope", "query").out
    key_id = made.split()[1]
    rotated = vitrine(tmp_path, "keys", "rotate", key_id, "--overlap-seconds", "60")
    assert rotated.status == 0, rotated.err
    assert re.search(r"^vt_[\w-]{43}$", rotated.out, re.MULTILINE)
    successor = next(found for found in re.findall(r"key_[0-9a-f]{16}", rotated.out) if found != key_id)
    again = vitrine(tmp_path, "keys", "rotate", key_id)
    assert (again.status, again.error_lines) == (
        1,
        [f"vitrine: Key '{key_id}' was rotated: its successor is '{successor}'."],
    )
    database = Database(f"sqlite:///{tmp_path / 'var' / 'vitrine.db'}")
    with database.read() as connection:
        entries = list_entries(connection, None, 10)["entries"]
    database.close()
    assert [(entry["actor"], entry["action"], entry["target"]) for entry in entries] == [
        ("cli", "key.rotated", key_id),
        ("cli", "key.created", key_id),
    ]


def test_a_key_with_an_unknown_scope_is_not_made(tmp_path: Path) -> None:
    found = vitrine(tmp_path, "keys", "create", "web", "--scope", "everything")
    assert found.status == 2
    assert len(found.error_lines) == 1
    assert "scopes" in found.err
    assert "There are no keys." in vitrine(tmp_path, "keys", "list").out
