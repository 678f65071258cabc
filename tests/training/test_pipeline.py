"""A whole training: what it finds, what it says of itself, and what it survives."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.core.events import DEFAULT_WEIGHTS
from app.db import migrate
from app.db.queries import models
from app.db.session import Database
from app.learning.artifacts import list_versions, read_version
from app.learning.ranking.blend import Blend, Blends
from app.learning.recommenders.base import NotEnoughData
from app.simulation.shop import simulate
from app.training import pipeline, trial
from app.training.blends import refit_blend
from app.training.pipeline import Recipe, Trained
from app.training.progress import Interrupted, Progress
from tests.training.shops import SMALL, ingest, ingest_shop, queue, run_row, trainer, views

RECIPE = Recipe(event_weights=DEFAULT_WEIGHTS, seed=7, search_seconds=0)


def train(database: Database, folder: Path, version: str = "v1", seed: int = 7) -> Trained:
    recipe = Recipe(event_weights=DEFAULT_WEIGHTS, seed=seed, search_seconds=0)
    return pipeline.train(database, folder, recipe, version, None, Progress(lambda _stage, _fraction: None))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A simulated shop on SQLite that no test changes."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('shop') / 'shop.db'}")
    migrate.upgrade(database)
    ingest_shop(database, simulate(SMALL))
    yield database
    database.close()


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("versions")


@pytest.fixture(scope="module")
def trained(shop: Database, versions: Path) -> Trained:
    """Version "v1"."""
    return train(shop, versions)


def test_it_beats_popularity(trained: Trained) -> None:
    top = trained.evaluation["top_n"]
    assert trained.rejected is None
    assert top["new"]["ndcg"] > 1.3 * top["popularity"]["ndcg"]
    assert top["gain_over_popularity"]["ndcg"][0] > 0


def test_the_evaluation_is_complete(trained: Trained) -> None:
    evaluation = trained.evaluation
    protocol = evaluation["protocol"]
    assert protocol["split"] == "time"
    parts = ("train_interactions", "held_out_interactions", "left_out_interactions")
    assert sum(protocol[part] for part in parts) == len(simulate(SMALL).columns)
    assert 0 < protocol["left_out_interactions"] < protocol["held_out_interactions"]
    assert min(protocol["validation_users"], protocol["test_users"]) >= 10
    measures = {"ndcg", "recall", "precision", "f1", "map", "hit_rate", "coverage"}
    for name in ("new", "popularity"):
        figures = evaluation["top_n"][name]
        assert measures <= figures.keys()
        assert all(0 <= figures[measure] <= 1 for measure in measures)
        low, high = figures["ndcg_interval"]
        assert low <= figures["ndcg"] <= high
    assert not evaluation["families_left_out"].keys() & {"popularity", "item_neighbours", "content"}
    assert {"rmse", "mae", "ratings", "split"} <= evaluation["ratings"].keys()


def test_ratings_are_better_than_their_mean(shop: Database, trained: Trained) -> None:
    with shop.read() as connection:
        values = [row[0] for row in connection.exec_driver_sql("SELECT value FROM interactions") if row[0]]
    assert trained.evaluation["ratings"]["rmse"] < np.std(values)


def test_a_training_tells_what_figures_are_missing(trained: Trained) -> None:
    missing = trained.content["analytics"]["missing"]
    assert not missing.keys() & {"segments.kmeans", "segments.rfm", "segments.taste", "rules", "lifetime"}
    assert all("need" in reason for reason in missing.values()), missing


def test_the_content_says_what_it_was_made_from(trained: Trained) -> None:
    data = trained.content["data"]
    assert (data["users"], data["items"]) == (SMALL.users, SMALL.items)
    assert data["sessions"] > 0
    assert "2026-07" <= data["from"] < data["to"] < "2026-11"
    for weights in trained.content["blends"].values():
        assert sum(weights.values()) == pytest.approx(1)
        assert weights.keys() <= trained.content["families"].keys()
    assert trained.content["scale"] == [1, 5]
    assert trained.trained_to == data["interactions"]


def test_a_seed_gives_one_version(shop: Database, trained: Trained, versions: Path) -> None:
    again = train(shop, versions, "again")
    assert again.content == trained.content
    assert again.evaluation == trained.evaluation
    (content, arrays), (others, other_arrays) = (
        read_version(versions, name, True) for name in ("v1", "again")
    )
    assert content == others == trained.content
    assert arrays.keys() == other_arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, other_arrays[name], err_msg=name)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # `trained` is of SQLite
def test_both_databases_give_one_version(database: Database, tmp_path: Path, trained: Trained) -> None:
    ingest_shop(database, simulate(SMALL))
    assert train(database, tmp_path).content == trained.content


def test_the_gate_keeps_what_is_better_and_keeps_back_what_is_worse(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest_shop(database, simulate(SMALL))
    queue(database)
    trainer(database, tmp_path).work_once()
    (good,) = list_versions(tmp_path)
    # From here on trials choose badly: popularity upside down.
    worst = Blend({"worst": 1.0})
    real = Blend.score

    def score(self: Blend, models: Any, histories: Any) -> Any:
        if self is not worst:
            return real(self, models, histories)
        return -real(Blend({"popularity": 1.0}), models, histories)

    monkeypatch.setattr(Blend, "score", score)
    monkeypatch.setattr(trial, "choose_blends", lambda *_: Blends.single(worst, True))
    # The blend that is served is judged on the same users, and kept.
    run_id = queue(database)
    trainer(database, tmp_path).work_once()
    row = run_row(database, run_id)
    assert row.state == "succeeded"
    assert row.metrics["top_n"]["gain_over_active"]["adopted"]
    with database.read() as connection:
        before, after = (models.find_model(connection, name) for name in (good, row.model_version))
    assert before is not None
    assert after is not None
    assert after.content["blends"]["usual"] == pytest.approx(before.content["blends"]["usual"])
    # Without it, what is worse than popularity beyond chance is kept back.
    monkeypatch.setattr(trial, "_served", lambda _active: None)
    run_id = queue(database)
    trainer(database, tmp_path).work_once()
    row = run_row(database, run_id)
    assert (row.state, row.model_version, row.progress) == ("rejected", None, 1.0)
    assert row.error.startswith("worse than popularity: nDCG@10")
    assert len(list_versions(tmp_path)) == 2


@pytest.mark.parametrize("stage", ["snapshot", "evaluate", "fit", "publish"])
def test_a_training_stops_where_it_is_told_to(shop: Database, tmp_path: Path, stage: str) -> None:
    def tell(at: str, fraction: float) -> None:
        if at == stage and (stage != "publish" or fraction == 1.0):
            raise Interrupted("cancelled")

    with pytest.raises(Interrupted):
        pipeline.train(shop, tmp_path, RECIPE, "v1", None, Progress(tell))
    assert list_versions(tmp_path) == []


def sessions_only() -> list[dict[str, Any]]:
    rows = views(30, 8)
    return [
        {key: value for key, value in row.items() if key != "user_id"} | {"session_id": row["user_id"]}
        for row in rows
    ]


def rated(value: Callable[[int], float]) -> list[dict[str, Any]]:
    return [row | {"event": "rate", "value": value(place)} for place, row in enumerate(views(30, 8))]


def at_one_moment() -> list[dict[str, Any]]:
    return [row | {"occurred_at": "2026-10-01T00:00:00Z"} for row in views(60, 8)]


def one_user() -> list[dict[str, Any]]:
    return [row | {"user_id": "only"} for row in views(5, 12)]


def one_item() -> list[dict[str, Any]]:
    return [row | {"item_id": "only"} for row in views(20, 12, per_user=1)]


def of_the_last_century() -> list[dict[str, Any]]:
    return [row | {"occurred_at": row["occurred_at"].replace("2026", "1997")} for row in views(60, 12)]


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("equal ratings", rated(lambda _: 4.0)),
        ("bad ratings only", rated(lambda place: 1.0 + place % 2)),
        ("one user", one_user()),
        ("one item", one_item()),
        ("one moment", at_one_moment()),
        ("sessions only", sessions_only()),
        ("long ago", of_the_last_century()),
        ("no text", views(60, 12)),
    ],
)
def test_odd_shops_train_too(
    database: Database, tmp_path: Path, name: str, rows: list[dict[str, Any]]
) -> None:
    ingest(database, interactions=rows)
    started = time.monotonic()
    run_id = queue(database)
    trainer(database, tmp_path).work_once()
    row = run_row(database, run_id)
    assert row.state == "succeeded", (name, row.error)
    assert time.monotonic() - started < 30
    content, _ = read_version(tmp_path, row.model_version, verify=True)
    assert content["families"]
    assert all(sum(weights.values()) == pytest.approx(1) for weights in content["blends"].values())


def test_a_shop_of_six_days_is_searched_too(database: Database, tmp_path: Path) -> None:
    """Some hyperparameters ask for a longer history; the training goes on without them."""
    ingest(database, interactions=views(60, 12))
    run_id = queue(database)
    recipe = Recipe(event_weights=DEFAULT_WEIGHTS, seed=7, search_seconds=5)
    trainer(database, tmp_path, recipe=recipe).work_once()
    row = run_row(database, run_id)
    assert row.state == "succeeded", row.error
    assert row.stage == "publish"


def test_an_empty_shop_says_what_it_lacks(database: Database, tmp_path: Path) -> None:
    with pytest.raises(NotEnoughData, match="at least 10 interactions with items, there are 0"):
        train(database, tmp_path)


def test_old_data_has_its_popular_items(database: Database, tmp_path: Path) -> None:
    ingest(database, interactions=of_the_last_century())
    assert "popularity" in train(database, tmp_path).content["families"]


def test_the_blend_falls_back_where_none_of_its_families_is_left() -> None:
    model: Any = object()
    default = refit_blend(Blend({"gone": 1.0}), {"content": model, "ease": model, "popularity": model})
    assert default.weights == pytest.approx({"content": 1 / 4, "ease": 3 / 4})
    last = refit_blend(Blend({"gone": 1.0}), {"trending": model})
    assert last.weights == {"trending": 1.0}
    kept = refit_blend(Blend({"gone": 0.5, "a": 0.25, "b": 0.25}), {"a": model, "b": model})
    assert kept.weights == {"a": 0.5, "b": 0.5}
    with pytest.raises(NotEnoughData):
        refit_blend(Blend({"gone": 1.0}), {})
