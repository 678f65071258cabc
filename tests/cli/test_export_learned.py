"""vitrine export of what was learned: the figures and lists that HTTP answers."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.db.queries.segment_rules import insert_rule
from app.db.session import Database
from app.services.privacy import erase_user
from app.simulation.shop import simulate
from tests.api.conftest import ENGINES, new_database
from tests.api.own_shops import event
from tests.api.serving import pages, serving
from tests.cli.command import Ended, vitrine
from tests.training.shops import SMALL, ingest, ingest_shop, queue, run_row, trainer, views

Row = dict[str, Any]
FILTERS = {"active": "interactions > 20", "big": "monetary > 100", "strange": "shoe_size > 3"}


@dataclass(frozen=True)
class Learned:
    """A trained shop, served, and where it lies; nothing is changed."""

    client: TestClient
    url: str
    artifacts: Path

    def export(self, folder: Path, *arguments: str) -> Ended:
        return vitrine(folder, "export", *arguments, DATABASE_URL=self.url, ARTIFACTS=str(self.artifacts))

    def rows(self, folder: Path, *arguments: str) -> list[Row]:
        """An export as CSV."""
        ended = self.export(folder, *arguments, "--out", "-", "--format", "csv")
        assert ended.status == 0, ended.err
        return table(ended.out)

    def lines(self, folder: Path, *arguments: str) -> list[Row]:
        ended = self.export(folder, *arguments, "--out", "-", "--format", "ndjson")
        assert ended.status == 0, ended.err
        return [json.loads(line) for line in ended.out.splitlines()]

    def csv(self, path: str, **params: Any) -> str:
        """What HTTP answers as a table."""
        response = self.client.get(path, params={"format": "csv", **params})
        assert response.status_code == 200, response.text
        return response.text

    def json(self, path: str) -> Row:
        response = self.client.get(path)
        assert response.status_code == 200, response.text
        body: Row = response.json()
        return body


@pytest.fixture(scope="module", params=ENGINES)
def learned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Learned]:
    """A simulated shop with saved filters, a customer who was erased, and one who came after the training."""
    folder = tmp_path_factory.mktemp("learned")
    with new_database(request, request.param, folder, None) as url:
        database = Database(url)
        ingest_shop(database, simulate(SMALL))
        ingest(database, users=[{"user_id": "silent", "attributes": {"=size": "=1"}}])
        run = queue(database)
        trainer(database, folder / "artifacts").work_once()
        assert run_row(database, run).state == "succeeded"
        ingest(database, interactions=[event(0, 1, 0) | {"user_id": "late"}])
        with database.write() as connection:
            erase_user(connection, "u000007", 7)
            for name, text in FILTERS.items():
                row = {"segment": name, "name": f"Filter {name}", "filter": text}
                insert_rule(connection, row | {"created_at": 0, "updated_at": 0})
        database.close()
        with serving(url, folder / "artifacts") as client:
            yield Learned(client, url, folder / "artifacts")


def table(text: str) -> list[Row]:
    return list(csv.DictReader(StringIO(text, newline="")))


def test_customers_are_those_of_the_version(learned: Learned, tmp_path: Path) -> None:
    ended = learned.export(tmp_path, "customers", "--out", "customers.csv")
    assert (ended.status, ended.out) == (0, "150 customers in customers.csv.\n")
    assert len(ended.error_lines) == 1
    assert ended.err.startswith("Segment 'rule-strange' is not there: ")
    rows = {row["user_id"]: row for row in table((tmp_path / "customers.csv").read_text())}
    assert len(rows) == 150
    assert "u000007" not in rows
    assert "late" not in rows
    silent = rows["silent"]
    assert silent["attribute.=size"] == "'=1"
    # Nothing was ever observed of somebody without events.
    assert {silent[name] for name in ("interactions", "monetary", "rfm_recency", "churn")} == {""}
    assert {row["as_of"] for row in rows.values()} == {learned.json("/v1/segments")["as_of"]}


def test_customers_have_the_figures_that_http_tells(learned: Learned, tmp_path: Path) -> None:
    rows = {row["user_id"]: row for row in learned.rows(tmp_path, "customers")}
    compared = 0
    for row in table(learned.csv("/v1/segments/rule-active/users")):
        same = {name: value for name, value in row.items() if not name.startswith("rfm_")}
        assert same.items() <= rows[row["user_id"]].items()
        compared += len(same)
    assert compared > 500
    told = table(learned.csv("/v1/predictions", name="churn"))
    assert told
    for row in told:
        for name, value in row.items():
            found = rows[row["user_id"]][name]
            assert found == value or float(found) == float(value), name


def test_customers_are_in_the_segments_that_http_tells(learned: Learned, tmp_path: Path) -> None:
    rows = learned.lines(tmp_path, "customers")
    segments = learned.json("/v1/segments")["segments"]
    kinds = {segment["kind"] for segment in segments}
    assert kinds >= {"kmeans", "taste", "rfm", "rule"}
    for segment in segments:
        kind, segment_id = segment["kind"], segment["segment_id"]
        path = f"/v1/segments/{segment_id}/users"
        named = {user for page in pages(learned.client, path, "users", 100) for user in page}
        if kind == "rule":
            found = {row["user_id"] for row in rows if segment_id in row["segment.rule.ids"]}
            names = {name for row in rows for name in row["segment.rule.names"]}
            assert segment["name"] in names
        else:
            theirs = [row for row in rows if row[f"segment.{kind}.id"] == segment_id]
            found = {row["user_id"] for row in theirs}
            assert {row[f"segment.{kind}.name"] for row in theirs} == {segment["name"]}
        assert found == named, segment_id
    scored = {row["user_id"]: row for row in rows if row["segment.rfm.id"] == "rfm-champions"}
    answer = learned.json("/v1/segments/rfm-champions/users?limit=1000")
    assert len(answer["scores"]) == len(scored) > 0
    for user, scores in answer["scores"].items():
        assert scores == {name: scored[user][f"rfm_{name}"] for name in scores}


def test_segments_are_those_of_http(learned: Learned, tmp_path: Path) -> None:
    told = learned.json("/v1/segments")["segments"]
    names = ("segment_id", "kind", "name", "size", "share", "sets_apart", "centre")
    lines = learned.lines(tmp_path, "segments")
    assert [{name: row[name] for name in names} for row in lines] == [
        {name: segment[name] for name in names} for segment in told
    ]
    for row, segment in zip(learned.rows(tmp_path, "segments"), told, strict=True):
        assert row["sets_apart"] == "|".join(segment["sets_apart"])
        given = {name: value for name, value in row.items() if name.startswith("centre.") and value}
        assert {name: float(value) for name, value in given.items()} == {
            f"centre.{name}": value for name, value in segment["centre"].items()
        }


@pytest.mark.parametrize(
    ("arguments", "path", "params"),
    [
        (["rules"], "/v1/rules", {}),
        (["forecasts"], "/v1/forecasts/sales", {}),
        (
            ["forecasts", "--of", "units", "--by", "week"],
            "/v1/forecasts/sales",
            {"measure": "units", "by": "week"},
        ),
        (["forecasts", "--of", "demand"], "/v1/forecasts/demand", {}),
    ],
)
def test_the_tables_of_http(
    learned: Learned, tmp_path: Path, arguments: list[str], path: str, params: Row
) -> None:
    ended = learned.export(tmp_path, *arguments, "--out", "found.csv")
    assert ended.status == 0, ended.err
    told = learned.csv(path, **params)
    assert (tmp_path / "found.csv").read_bytes() == told.encode()
    assert len(table(told)) > 5


def test_everybody_gets_the_list_that_http_answers(learned: Learned, tmp_path: Path) -> None:
    lists: dict[str, list[Row]] = {}
    for row in learned.lines(tmp_path, "recommendations"):
        lists.setdefault(row.pop("user_id"), []).append(row)
    assert len(lists) == 151
    assert {"silent", "late"} <= lists.keys()
    for user, found in lists.items():
        assert found == asked(learned, user, 10), user


def test_lists_for_some_of_a_length_of_their_own(learned: Learned, tmp_path: Path) -> None:
    some = ("--user", "u000003", "--user", "late", "--user", "u000003", "--n", "3")
    rows = learned.rows(tmp_path, "recommendations", *some)
    assert list(rows[0]) == ["user_id", "rank", "item_id", "score", "source"]
    assert [(row["user_id"], row["rank"]) for row in rows] == [
        (user, str(rank)) for user in ("u000003", "late") for rank in (1, 2, 3)
    ]
    assert [row["item_id"] for row in rows[:3]] == [row["item_id"] for row in asked(learned, "u000003", 3)]


def test_a_user_whom_nobody_knows_is_named(learned: Learned, tmp_path: Path) -> None:
    ended = learned.export(
        tmp_path, "recommendations", "--user", "late", "--user", "nobody", "--out", "a.csv"
    )
    assert (ended.status, ended.error_lines) == (1, ["vitrine: There is no user 'nobody'."])
    assert list(tmp_path.glob("*.csv")) == []


def test_a_model_that_cannot_be_opened_is_named(learned: Learned, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": learned.url, "ARTIFACTS": str(tmp_path / "elsewhere")}
    ended = vitrine(tmp_path, "export", "customers", "--out", "a.csv", **settings)
    assert (ended.status, len(ended.error_lines)) == (1, 1)
    assert ended.err.startswith("vitrine: The active version ")
    assert list(tmp_path.glob("*.csv")) == []


def test_thin_data_say_what_they_lack(database_url: str, database: Database, tmp_path: Path) -> None:
    ingest(database, interactions=views(12, 6))
    run = queue(database)
    trainer(database, tmp_path / "artifacts").work_once()
    assert run_row(database, run).state == "succeeded"
    settings = {"DATABASE_URL": database_url, "ARTIFACTS": str(tmp_path / "artifacts")}
    said = {}
    for arguments in (["customers"], ["segments"], ["rules"], ["forecasts"], ["forecasts", "--of", "demand"]):
        ended = vitrine(tmp_path, "export", *arguments, "--out", "-", "--format", "csv", **settings)
        assert ended.status == 0, ended.err
        said[arguments[-1]] = ended.err
        assert "nan" not in ended.out.lower()
        assert table(ended.out) or arguments[0] != "customers"
    assert "Figure 'churn' is not there: " in said["customers"]
    assert "Segments by 'taste' are not there: " in said["segments"]
    assert said["rules"].startswith("Rules cannot be told: ")
    assert said["forecasts"].startswith("The forecast cannot be told: ")
    assert said["demand"].startswith("The forecast cannot be told: ")


def asked(learned: Learned, user: str, n: int) -> list[Row]:
    """The list that HTTP answers."""
    response = learned.client.post("/v1/recommendations", json={"user_id": user, "n": n})
    assert response.status_code == 200, response.text
    items: list[Row] = response.json()["items"]
    return [{name: row[name] for name in ("rank", "item_id", "score", "source")} for row in items]
