"""vitrine evaluate: its table, its JSON, its errors."""

import json
from pathlib import Path

import pytest

from app.db.session import Database
from app.simulation.shop import simulate
from tests.cli.command import vitrine
from tests.training.shops import SMALL, ingest, ingest_shop, views


def test_the_shop_itself(database_url: str, database: Database, tmp_path: Path) -> None:
    ingest_shop(database, simulate(SMALL))
    ended = vitrine(tmp_path, "evaluate", "--families", "--json", "figures.json", DATABASE_URL=database_url)
    assert ended.status == 0, ended.err
    assert "Traceback" not in ended.err
    assert "Lists of 10, time protocol" in ended.out
    assert "Why this protocol" in ended.out
    figures = json.loads((tmp_path / "figures.json").read_text())
    for name in ("automatic choice", "popularity", "item neighbours"):
        assert name in ended.out
    assert f"{figures['models']['automatic']['ndcg']:.4f}" in ended.out
    assert f"{figures['models']['item_neighbours']['novelty']:.4f}" in ended.out
    assert "nDCG over popularity: +" in ended.out
    assert "RMSE" in ended.out
    assert "sampled" not in ended.out
    # Nothing was published and no run was queued.
    with database.read() as connection:
        for table in ("models", "training_runs"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() == 0


def test_a_file_by_way_of_a_database_of_its_own(tmp_path: Path) -> None:
    lines = [json.dumps({"kind": "interaction", **row}) for row in views(40, 12)]
    file = tmp_path / "shop.ndjson"
    file.write_text("\n".join([*lines, "{broken"]))
    ended = vitrine(
        tmp_path, "evaluate", "--ndjson", str(file), "--protocol", "random", "--folds", "3",
        "--fold-limit", "1", "--n", "5", "--users", "20", "--sampled-negatives", "5", "--no-repeats",
        "--seed", "3", "--search-seconds", "0",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    assert "Rows left out: bad_json 1" in ended.out
    assert "240 interactions of 40 users with 12 items" in ended.out
    assert "Lists of 5, random protocol (1 of 3 folds), 20 users, sampled from 40" in " ".join(
        ended.out.split()
    )
    assert "sampled nDCG" in ended.out
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (
            ["--protocol", "magic"],
            2,
            "--protocol is one of time, leave-last, random, strong, sessions, not 'magic'",
        ),
        (["--fold-limit", "6"], 2, "--fold-limit 6 is more than the 5 folds"),
        (["--json", "no/such/figures.json"], 2, "--json: there is no folder"),
        (["--movielens", ".", "--ndjson", "few.ndjson"], 2, "give one source of data, not several"),
        (["--movielens", "."], 1, "has no MovieLens ratings"),
        (["--ndjson", "few.ndjson", "--protocol", "strong"], 1, "needs at least 10 users"),
        (["--ndjson", "empty.ndjson"], 1, "there are no interactions with items to evaluate on"),
    ],
)
def test_errors_are_one_line(tmp_path: Path, options: list[str], status: int, message: str) -> None:
    lines = [json.dumps({"kind": "interaction", **row}) for row in views(5, 8)]
    (tmp_path / "few.ndjson").write_text("\n".join(lines))
    (tmp_path / "empty.ndjson").write_text("")
    ended = vitrine(tmp_path, "evaluate", *options)
    assert ended.status == status
    said = [line for line in ended.error_lines if line.startswith("vitrine: ")]
    assert len(said) == 1
    assert message in said[0]
    assert "Traceback" not in ended.err


def test_a_shop_that_is_too_small(database_url: str, database: Database, tmp_path: Path) -> None:
    ingest(database, interactions=views(4, 6))
    ended = vitrine(tmp_path, "evaluate", DATABASE_URL=database_url)
    assert ended.status == 1
    assert "needs at least 10 users" in ended.err
    assert "leaves 4" in ended.err
