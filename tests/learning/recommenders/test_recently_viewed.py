"""What was looked at lately and not bought."""

import numpy as np
import pytest

from app.learning.dataset import Histories
from app.learning.preferences import dataset_histories
from app.learning.recommenders import recently_viewed
from app.learning.recommenders.base import NotEnoughData
from app.learning.recommenders.recently_viewed import RecentlyViewed, RecentlyViewedConfig
from tests.worlds import World, world

CAME_BACK = [("v", "z", "view", 9.0), ("v", "z", "view", 2.0)]


def fitted(made: World, **config: float) -> RecentlyViewed:
    return recently_viewed.fit(RecentlyViewedConfig(**config), made.dataset, np.random.default_rng(0))


def asked(made: World, subject: str = "u") -> Histories:
    return dataset_histories(made.dataset).take(np.array([made.row(subject)]))


def score(made: World, **config: float) -> dict[str, float]:
    found = fitted(made, **config).score(asked(made))[0]
    return dict(zip(made.items, found.tolist(), strict=True))


def test_the_most_recent_comes_first_and_counts_half_after_the_half_life() -> None:
    looks = [("u", "new", "view", 0.0), ("u", "old", "view", 5.0), *[("u", "often", "view", 8.0)] * 9]
    found = score(world([*CAME_BACK, *looks]), half_life=5.0)
    assert found == pytest.approx({"new": 1.0, "old": 0.5, "often": 2**-1.6, "z": 0.0}, rel=1e-5)


def test_what_was_bought_is_left_out_however_it_was_looked_at() -> None:
    events = [("u", "had", "view", 3.0), ("u", "had", "purchase", 2.0), ("u", "had", "view", 1.0)]
    events += [("u", "cart", "cart", 4.0)] * 3
    found = score(world([*CAME_BACK, *events]))
    assert found["had"] == 0 < found["cart"]


def test_where_purchases_are_not_told_strong_preferences_stand_for_them() -> None:
    made = world([*CAME_BACK, ("u", "had", "purchase", 2.0), ("u", "seen", "view", 4.0)])
    history = asked(made)
    found = fitted(made).score(Histories(history.matrix, history.ages))[0]
    assert found[made.column("had")] == 0 < found[made.column("seen")]


def test_in_a_shop_without_purchases_every_item_was_only_looked_at() -> None:
    made = world([*CAME_BACK, *[("u", "often", "view", 1.0)] * 99], weights={"view": 1.0})
    history = asked(made)
    assert fitted(made).score(Histories(history.matrix, history.ages))[0, made.column("often")] > 0


def test_what_was_disliked_is_not_shown_again() -> None:
    weights = {"view": 1.0, "remove": -2.0}
    made = world([*CAME_BACK, ("u", "bad", "view", 2.0), ("u", "bad", "remove", 1.0)], weights=weights)
    assert fitted(made).score(asked(made)).sum() == 0


def test_each_item_carries_its_own_score() -> None:
    made = world([*CAME_BACK, ("u", "a", "view", 1.0), ("u", "b", "view", 2.0)])
    model, history = fitted(made), asked(made)
    items = np.array([made.column("b"), made.column("z"), made.column("a")], dtype=np.int32)
    parts = model.contributions(history, items)
    np.testing.assert_array_equal(parts.sum(axis=1), model.score(history)[0, items])
    np.testing.assert_array_equal(parts > 0, [[False, True], [False, False], [True, False]])


@pytest.mark.parametrize(
    "events",
    [
        [("u", "a", "view", 3.0), ("u", "b", "view", 1.0), ("v", "a", "view", 1.0)],
        [("u", "a", "view", 3.1), ("u", "a", "view", 3.0)],
        [("u", "a", "purchase", 30.0), ("u", "a", "purchase", 3.0)],
    ],
    ids=["each item once", "twice on a day", "purchases alone"],
)
def test_where_nobody_comes_back_there_is_nothing_to_show_again(events: list[tuple[object, ...]]) -> None:
    with pytest.raises(NotEnoughData, match="came back to it on another day"):
        fitted(world([*events, ("w", "a", "view", 0.0)]))


def test_who_looks_and_buys_on_another_day_came_back() -> None:
    fitted(world([("u", "a", "view", 3.0), ("u", "a", "purchase", 1.0)]))
