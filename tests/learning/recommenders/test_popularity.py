"""Popularity and trends."""

import numpy as np
import pytest

from app.learning.recommenders import popularity, trending
from app.learning.recommenders.base import NotEnoughData
from tests.worlds import World, world


def popular(made: World, **config: float) -> dict[str, float]:
    model = popularity.fit(popularity.PopularityConfig(**config), made.dataset, np.random.default_rng(0))
    return dict(zip(made.items, model.score(made.history())[0].tolist(), strict=True))


def trend(made: World, **config: float) -> dict[str, float]:
    model = trending.fit(trending.TrendingConfig(**config), made.dataset, np.random.default_rng(0))
    return dict(zip(made.items, model.score(made.history())[0].tolist(), strict=True))


def test_many_people_outweigh_one_persistent_one() -> None:
    repeats = [("fan", "cult")] * 10
    scores = popular(world([*repeats, *((f"u{n}", "hit") for n in range(10))]))
    assert scores["hit"] == pytest.approx(10 * np.log(2))
    assert scores["cult"] == pytest.approx(np.log(11))


def test_an_event_counts_half_after_the_half_life() -> None:
    scores = popular(world([("u", "old", "view", 30.0), ("u", "new")]), half_life=30.0)
    assert scores["new"] == pytest.approx(np.log(2))
    assert scores["old"] == pytest.approx(np.log(1.5))


def test_dislike_is_not_popularity() -> None:
    ratings = [("u", "good", "rate", 0.0, 5.0), ("u", "bad", "rate", 0.0, 1.0)]
    scores = popular(world(ratings))
    assert scores["good"] > 0
    assert scores["bad"] == 0


def steady(item: str, a_day: int, days: int = 60) -> list[tuple[object, ...]]:
    return [(f"{item}{day}-{n}", item, "view", float(day)) for day in range(days) for n in range(a_day)]


def test_a_rising_item_trends_and_a_steady_bestseller_does_not() -> None:
    events = steady("bestseller", 20) + steady("quiet", 2) + steady("rising", 2)
    events += [(f"r{n}", "rising", "view", 1.0) for n in range(30)]
    scores = trend(world(events))
    assert max(scores, key=scores.__getitem__) == "rising"
    assert scores["bestseller"] == 0.0
    assert scores["rising"] > 5 * scores["quiet"]


def test_a_single_fresh_view_does_not_win() -> None:
    events = [*steady("bestseller", 20), ("one", "novelty", "view", 0.0)]
    events += [(f"r{n}", "rising", "view", 1.0 + n % 2) for n in range(12)]
    scores = trend(world(events))
    assert 0 < scores["novelty"] < scores["rising"] / 2


def test_without_a_past_nothing_trends() -> None:
    with pytest.raises(NotEnoughData, match="over more than 3 days"):
        trend(world([("u", "a", "view", 1.0), ("v", "b", "view", 2.0)]))


def test_when_all_is_long_ago_nothing_trends() -> None:
    with pytest.raises(NotEnoughData, match="recent"):
        trend(world([("u", "a", "view", 1000.0), ("v", "b", "view", 2000.0)]))
