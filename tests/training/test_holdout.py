"""Who is asked about, and what is kept from training."""

import numpy as np

from app.learning.dataset import DAY_MS
from app.learning.evaluation.splits import time_split
from app.training.holdout import LEAST_ITEMS, hold_out
from tests.worlds import World, world


def shop(back: int, away: int) -> World:
    """Users who are here to the end, and users who left half a year before."""
    events: list[tuple[object, ...]] = []
    for user in range(back):
        events += [(f"b{user:03}", f"i{(user + step) % 40:02}", "view", 20.0 - step) for step in range(20)]
    for user in range(away):
        events += [(f"a{user:03}", f"i{(user + step) % 40:02}", "view", 200.0 - step) for step in range(10)]
    return world(events)


def test_where_most_come_back_they_stand_for_all() -> None:
    split = time_split(shop(30, 10).dataset)
    held = hold_out(split, True, 100, np.random.default_rng(0))
    assert held.idle is None
    assert held.idle_after == float("inf")
    assert held.split is split
    assert len(held.back.users) == 30


def test_where_few_come_back_the_others_are_asked_for_what_they_had() -> None:
    made = shop(12, 100)
    split = time_split(made.dataset, 0.1)
    held = hold_out(split, True, 60, np.random.default_rng(0))
    assert held.idle is not None
    assert {made.subjects[user][0] for user in held.back.users} == {"b"}
    assert {made.subjects[user][0] for user in held.idle.users} == {"a"}
    assert len(held.idle.users) == 60
    assert np.diff(held.idle.wanted.indptr).tolist() == [2] * 60, "a fifth of ten items"
    before, after = split.train.log, held.split.train.log
    assert len(before) - len(after) == 120
    # What is asked for is not in training, for those who are asked.
    pairs = set(zip(after.subject.tolist(), after.item.tolist(), strict=True))
    for user, start, stop in zip(
        held.idle.users, held.idle.wanted.indptr[:-1], held.idle.wanted.indptr[1:], strict=True
    ):
        assert not pairs & {(int(user), int(item)) for item in held.idle.wanted.indices[start:stop]}
    # Any of a user's items, not only the last ones.
    last = set(_last(made, 2))
    asked = [
        (int(user), int(item))
        for row, user in enumerate(held.idle.users)
        for item in held.idle.wanted[[row]].indices
    ]
    assert 0 < len(last.intersection(asked)) < 60
    as_of = held.split.train.as_of
    idle_days = [
        (as_of - int(after.occurred_at[after.subject == user].max())) / DAY_MS for user in held.idle.users
    ]
    assert min(idle_days) > held.idle_after


def test_too_short_histories_are_not_asked_about() -> None:
    events: list[tuple[object, ...]] = [
        (f"a{user:03}", f"i{(user + step) % 9}", "view", 200.0 - step)
        for user in range(50)
        for step in range(LEAST_ITEMS - 1)
    ]
    events += [(f"b{user}", f"i{step % 9}", "view", 8.0 - step) for user in range(3) for step in range(9)]
    held = hold_out(time_split(world(events).dataset, 0.05), True, 100, np.random.default_rng(0))
    assert held.idle is None


def _last(made: World, count: int) -> list[tuple[int, int]]:
    log = made.dataset.log
    found: list[tuple[int, int]] = []
    for row, subject in enumerate(made.subjects):
        if subject.startswith("a"):
            found += [(row, int(item)) for item in log.item[log.subject == row][-count:]]
    return found
