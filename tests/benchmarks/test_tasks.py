"""What the benchmarks ask: nothing that was held out may be learned from, and all peers see the same."""

import numpy as np
import pytest

from app.learning.dataset import DAY_MS, Dataset
from app.learning.preferences import dataset_histories
from app.learning.recommenders.registry import FAMILIES
from benchmarks.datasets import build
from benchmarks.peers import popularity, simple, weighted
from benchmarks.simulated import simulate
from benchmarks.tasks import Protocol, judge, last_fifth, next_days, pairs, random_fifth


@pytest.fixture(name="shop")
def simulated_shop() -> Dataset:
    return simulate(200, 60, 6_000, np.random.default_rng(5))


@pytest.mark.parametrize("protocol", [random_fifth, last_fifth, next_days])
def test_what_is_asked_for_is_not_learned(shop: Dataset, protocol: Protocol) -> None:
    task = protocol(shop)
    everything = pairs(shop, shop.log).toarray() > 0
    seen = task.seen.toarray() > 0
    assert len(task.train.log) < len(shop.log)
    for asked in task.questions:
        wanted = asked.wanted.toarray() > 0
        assert len(asked.users) > 20
        assert (wanted <= everything[asked.users]).all()
        assert wanted.any(axis=1).all()
        assert not wanted[:, ~task.candidates].any()
        if asked.exclude_seen:
            assert not (wanted & seen[asked.users]).any()


def test_the_next_days_come_after_all_that_is_learned(shop: Dataset) -> None:
    task = next_days(shop)
    assert task.train.log.occurred_at.max() < task.train.as_of
    assert shop.as_of - task.train.as_of <= 31 * DAY_MS
    inner = next_days(task.train)
    assert task.train.as_of - inner.train.as_of == 30 * DAY_MS


def test_who_knows_what_is_wanted_is_perfect(shop: Dataset) -> None:
    task = random_fifth(shop)
    asked = task.questions[0]
    scores = np.zeros((shop.n_users, shop.n_items), dtype=np.float32)
    scores[asked.users] = asked.wanted.toarray()
    assert judge(lambda rows: scores[rows], task, asked)["ndcg"] == pytest.approx(1.0)
    backwards = judge(lambda rows: -scores[rows], task, asked)["ndcg"]
    assert backwards.mean() < 0.9


def _ratings() -> Dataset:
    times = np.datetime64("2026-01-01", "ms") + np.array([0, 40, 41, 42]) * np.timedelta64(1, "D")
    users, items = ["a", "a", "b", "b"], ["x", "y", "x", "z"]
    return build("rate", users, items, times, {"x": "X"}, values=[5, 1, 4, 2])


def test_weightings_of_ratings() -> None:
    dataset = _ratings()
    assert weighted(dataset, "liked").toarray().tolist() == [[1, 0, 0], [1, 0, 0]]
    assert weighted(dataset, "binary").toarray().tolist() == [[1, 1, 0], [1, 0, 1]]
    assert weighted(dataset, "amounts").toarray().tolist() == [[5, 1, 0], [4, 0, 2]]


def test_weightings_of_purchases() -> None:
    times = np.full(3, np.datetime64("2026-01-01", "ms"))
    dataset = build("purchase", ["a", "a", "b"], ["x", "x", "y"], times, {}, quantities=[2, 3, 1])
    assert weighted(dataset, "events").toarray().tolist() == [[2, 0], [0, 1]]
    assert weighted(dataset, "amounts").toarray().tolist() == [[5, 0], [0, 1]]
    assert weighted(dataset, "log events").toarray()[0, 0] == pytest.approx(np.log(3))


def test_popularity_counts_users_of_the_days() -> None:
    assert popularity(_ratings()).tolist() == [2, 1, 1]
    assert popularity(_ratings(), 30.0).tolist() == [1, 1, 1]


def test_buying_again_goes_by_days_then_by_what_sells() -> None:
    day = np.timedelta64(1, "D")
    times = np.datetime64("2026-01-01", "ms") + np.array([0, 0, 0, 1, 2, 90, 90, 91, 125]) * day
    users = ["a", "a", "a", "a", "a", "b", "c", "a", "c"]
    items = ["x", "x", "x", "y", "y", "z", "z", "w", "w"]
    dataset = build("purchase", users, items, times, {})
    score = simple(next_days(dataset))["buy again by count"]()
    # Two days of y, one of w (which sold lately) and of x (three rows of one day), none of z.
    w, x, y, z = score(np.array([0]))[0]
    assert y > w > x > z > 0
    assert y == pytest.approx(2)


def test_simulated_tastes_can_be_learned() -> None:
    shop = simulate(400, 1_000, 12_000, np.random.default_rng(5))
    assert len(shop.log) == 12_000
    assert (np.diff(shop.log.occurred_at) >= 0).all()
    task = random_fifth(shop)
    histories = dataset_histories(task.train)
    family = FAMILIES["item_neighbours"]
    model = family.fit(family.config(), task.train, np.random.default_rng(1))
    popular = popularity(task.train)
    by_taste = judge(lambda rows: model.score(histories.take(rows)), task, task.questions[0])
    by_popularity = judge(lambda rows: np.tile(popular, (len(rows), 1)), task, task.questions[0])
    assert by_taste["ndcg"].mean() > 1.5 * by_popularity["ndcg"].mean()
