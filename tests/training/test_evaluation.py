"""An evaluation from outside, on a simulated shop."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest

from app.core.events import DEFAULT_WEIGHTS
from app.db import migrate
from app.db.session import Database
from app.learning.dataset import Dataset
from app.learning.recommenders.base import NotEnoughData
from app.simulation.shop import simulate
from app.training import evaluation
from app.training.evaluation import Plan, evaluate
from app.training.pipeline import Recipe, learn
from app.training.progress import Progress
from app.training.snapshot import load_snapshot
from tests.training.shops import SMALL, ingest_shop

RECIPE = Recipe(event_weights=DEFAULT_WEIGHTS, seed=7, search_seconds=0)
QUIET = Progress(lambda _stage, _fraction: None)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('shop') / 'shop.db'}")
    migrate.upgrade(database)
    ingest_shop(database, simulate(SMALL))
    yield load_snapshot(database, DEFAULT_WEIGHTS, QUIET).dataset
    database.close()


@pytest.fixture(scope="module")
def by_time(dataset: Dataset) -> dict[str, Any]:
    plan = Plan("time", families=True, sampled_negatives=20, seed=1)
    return evaluate(dataset, RECIPE, plan, QUIET)


def test_by_time_the_automatic_choice_beats_popularity(by_time: dict[str, Any], dataset: Dataset) -> None:
    assert by_time["protocol"]["split"] == "time"
    assert by_time["data"]["interactions"] == len(dataset.log)
    models = by_time["models"]
    assert list(models)[:2] == ["automatic", "popularity"]
    assert {"content", "item_neighbours", "ease"} <= models.keys()
    assert by_time["gain_over"]["popularity"]["ndcg_interval"][0] > 0
    for figures in models.values():
        low, high = figures["ndcg_interval"]
        assert low <= figures["ndcg"] <= high
        assert figures["novelty"] > 0
        assert 0 < figures["diversity"] < 1
        # The shop's categories are its users' tastes.
        assert figures["calibration"] > 0
        assert not {"popularity", "history_popularity"} & figures.keys()
    assert models["automatic"]["popularity_lift"] < models["popularity"]["popularity_lift"]
    assert models["automatic"]["gini"] < models["popularity"]["gini"]
    assert by_time["groups"].keys() == models.keys()
    users = sum(group["users"] for group in by_time["groups"]["automatic"].values())
    assert users == by_time["protocol"]["users"]
    assert by_time["ratings"]["rmse"] > by_time["ratings"]["mae"] > 0
    assert len(orjson.dumps(by_time)) > 1000


def test_sampled_figures_have_names_of_their_own(by_time: dict[str, Any], dataset: Dataset) -> None:
    figures = by_time["models"]["automatic"]
    assert 1 >= figures["sampled_hit_rate"] >= figures["sampled_ndcg"] > figures["ndcg"]
    again = evaluate(dataset, RECIPE, Plan("time", seed=1), QUIET)["models"]
    assert list(again) == ["automatic", "popularity"]
    assert not any("sampled" in name for name in again["automatic"])
    # More questions change no answer, and a seed gives the same figures again.
    assert again["automatic"]["ndcg"] == figures["ndcg"]


@pytest.mark.parametrize("protocol", ["leave-last", "strong", "sessions", None])
def test_protocols_with_one_part(dataset: Dataset, protocol: Any) -> None:
    found = evaluate(dataset, RECIPE, Plan(protocol), QUIET)
    shown = found["protocol"]
    assert shown["split"] == (protocol or "time").replace("-", "_")
    assert (shown["parts"], shown["folds"]) == (1, None)
    assert found["gain_over"]["popularity"]["ndcg"] > 0
    assert shown["train_interactions"][0] + shown["held_out_interactions"][0] <= len(dataset.log)


def test_folds_are_taken_together_by_user(dataset: Dataset) -> None:
    plan = Plan("random", folds=4, fold_limit=2)
    told: list[float] = []
    progress = Progress(lambda _stage, fraction: told.append(fraction))
    found = evaluate(dataset, RECIPE, plan, progress)
    shown = found["protocol"]
    assert (shown["folds"], shown["parts"], len(found["choices"])) == (4, 2, 2)
    assert shown["users"] <= dataset.n_users
    assert shown["seen_items"] == "excluded"
    assert found["gain_over"]["popularity"]["ndcg_interval"][0] > 0
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)


def test_users_are_sampled_and_it_is_said(dataset: Dataset) -> None:
    found = evaluate(dataset, RECIPE, Plan("time", users=15), QUIET)["protocol"]
    assert (found["users"], found["users_sampled"]) == (15, True)
    assert found["eligible_users"] > 15


def test_whether_seen_items_come_again_can_be_said(dataset: Dataset) -> None:
    shown = [
        evaluate(dataset, RECIPE, Plan("time", repeats=repeats), QUIET)["protocol"]["seen_items"]
        for repeats in (True, False)
    ]
    assert shown == ["may return", "excluded"]


def test_training_sees_nothing_that_is_held_out(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    learned_from: list[Dataset] = []

    def spy(data: Dataset, *rest: Any) -> Any:
        learned_from.append(data)
        return learn(data, *rest)

    monkeypatch.setattr(evaluation, "learn", spy)
    evaluate(dataset, RECIPE, Plan("strong", share=0.3), QUIET)
    evaluate(dataset, RECIPE, Plan("time", share=0.3), QUIET)
    strong, by_time = learned_from
    missing = set(dataset.log.subject.tolist()) - set(strong.log.subject.tolist())
    assert len(missing) >= 0.25 * dataset.n_users
    assert len(by_time.log) <= 0.7 * len(dataset.log)
    assert by_time.log.occurred_at.max() < np.quantile(dataset.log.occurred_at, 0.71)


def test_too_little_says_what_is_needed(dataset: Dataset) -> None:
    few = dataset.with_log(dataset.log.where(dataset.log.subject < 8), dataset.as_of)
    with pytest.raises(NotEnoughData, match=r"at least 10 users .* the leave-last protocol leaves 8"):
        evaluate(few, RECIPE, Plan("leave-last"), QUIET)
    none = dataset.with_log(dataset.log.where(slice(0, 0)), dataset.as_of)
    with pytest.raises(NotEnoughData, match="no interactions"):
        evaluate(none, RECIPE, Plan(), QUIET)


def test_parts_count_by_their_users_and_ratings() -> None:
    from app.learning.evaluation.harness import RatingEvaluation
    from app.learning.evaluation.splits import Split
    from app.training.summary import FoldResult, ModelResult, summarise
    from tests.worlds import world

    data = world([("a", "x"), ("b", "y")]).dataset
    split = Split(data, data.log.where(slice(0, 0)), "random", None)

    def result(ndcg: list[float], coverage: float) -> ModelResult:
        values = np.array(ndcg)
        names = ("recall", "popularity", "history_popularity")
        return ModelResult({"ndcg": values, **dict.fromkeys(names, values)}, coverage, coverage / 2)

    def part(users: list[int], own: list[float], rival: list[float], ratings: RatingEvaluation) -> FoldResult:
        models = {"automatic": result(own, 0.5), "popularity": result(rival, 0.1)}
        known = np.full(len(users), 4)
        return FoldResult(split, np.array(users), len(users), known, models, ratings, True, "content", {})

    first = part([0, 1], [1.0, 0.5], [0.0, np.nan], RatingEvaluation(1.0, 1.0, 0.5, 30))
    second = part([1, 2], [0.1, 0.6], [0.3, 0.0], RatingEvaluation(2.0, 0.0, 0.5, 10))
    second = replace(second, models={**second.models, "only_here": result([1, 1], 1)})
    found = summarise([first, second], 10, 5, np.random.default_rng(0))
    # User 1 counts once: (0.5 + 0.1) / 2.
    assert found["models"]["automatic"]["ndcg"] == pytest.approx((1 + 0.3 + 0.6) / 3)
    assert found["models"]["popularity"]["ndcg"] == pytest.approx(0.1)
    assert found["models"].keys() == {"automatic", "popularity"}
    assert found["models"]["automatic"]["coverage"] == 0.5
    assert found["groups"]["automatic"]["light"]["users"] == 3
    assert found["ratings"]["rmse"] == pytest.approx(np.sqrt((30 * 1 + 10 * 4) / 40))
    assert (found["ratings"]["mae"], found["ratings"]["ratings"]) == (0.75, 40)
    assert found["protocol"]["users"] == 3
