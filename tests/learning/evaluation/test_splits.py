from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.learning.dataset import DAY_MS, Dataset, InteractionLog
from app.learning.evaluation.splits import (
    Split,
    choose_split,
    leave_last,
    random_split,
    relevant,
    time_split,
)
from tests.worlds import AS_OF, world

EVENT = st.tuples(
    st.sampled_from(["a", "b", "c", "s"]),
    st.sampled_from(["w", "x", "y", "z"]),
    st.sampled_from(["view", "purchase", "look"]),
    st.integers(0, 6),
)
EVENTS = st.lists(EVENT, min_size=1, max_size=30)
WEIGHTS = {"view": 1.0, "purchase": 5.0, "look": 0.0, "refund": -5.0, "rate": 3.0}


def _shop(events: list[tuple[object, ...]]) -> Dataset:
    return world(events, sessions=["s"], weights=WEIGHTS).dataset


def _rows(log: InteractionLog) -> list[tuple[float, ...]]:
    columns = [np.nan_to_num(getattr(log, column.name), nan=-1).tolist() for column in fields(log)]
    return sorted(zip(*columns, strict=True))


def _loses_nothing(dataset: Dataset, split: Split) -> None:
    assert sorted(_rows(split.train.log) + _rows(split.held_out)) == _rows(dataset.log)
    for log in (split.train.log, split.held_out):
        assert (np.diff(log.occurred_at) >= 0).all()


@given(EVENTS, st.floats(0.05, 0.95))
def test_by_time_no_future_leaks_and_nothing_is_lost(events: list[tuple[object, ...]], share: float) -> None:
    dataset = _shop(events)
    split = time_split(dataset, share)
    _loses_nothing(dataset, split)
    assert split.cut is not None
    assert split.train.as_of == split.cut
    assert (split.train.log.occurred_at < split.cut).all()
    assert (split.held_out.occurred_at >= split.cut).all()
    assert len(split.held_out) >= int(share * len(dataset.log))


@given(EVENTS)
def test_leave_last_holds_out_each_users_newest_item(events: list[tuple[object, ...]]) -> None:
    dataset = _shop(events)
    split = leave_last(dataset)
    _loses_nothing(dataset, split)
    assert split.cut is None
    log, users = dataset.log, range(dataset.n_users)
    for user in users:
        before, after = (part.where(part.subject == user) for part in (split.train.log, split.held_out))
        own = log.where((log.subject == user) & (log.event != 2))
        if len(set(own.item.tolist())) < 2:
            assert not len(after)
            continue
        assert before.occurred_at.max(initial=0) <= after.occurred_at.min()
        kept = set(before.item[before.event != 2].tolist())
        # One new item is held out, and it comes first.
        assert len(set(own.item.tolist()) - kept) == 1
        assert int(after.item[0]) not in kept
    assert (split.held_out.subject < dataset.n_users).all()


@given(EVENTS, st.floats(0.05, 0.95), st.integers(0, 99))
def test_random_keeps_a_pair_together_and_every_user_in_both(
    events: list[tuple[object, ...]], share: float, seed: int
) -> None:
    dataset = _shop(events)
    split = random_split(dataset, share, np.random.default_rng(seed))
    _loses_nothing(dataset, split)
    parts = [
        set(zip(log.subject.tolist(), log.item.tolist(), strict=True))
        for log in (split.train.log, split.held_out)
    ]
    assert not parts[0] & parts[1]
    for user in range(dataset.n_users):
        kept, held = (sum(1 for subject, _ in part if subject == user) for part in parts)
        if kept + held >= 2:
            assert min(kept, held) >= 1
            assert held == np.clip(np.rint(share * (kept + held)), 1, kept + held - 1)
        else:
            assert held == 0
    assert (split.held_out.subject < dataset.n_users).all()


def test_random_follows_its_seed() -> None:
    dataset = _shop([("a", f"i{item}", "view", 1.0) for item in range(30)])
    splits = [random_split(dataset, 0.3, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    held = [split.held_out.item.tolist() for split in splits]
    assert held[0] == held[1] != held[2]
    assert len(held[0]) == 9


def test_relevant_is_what_is_positive_in_sum_and_new_if_asked() -> None:
    dataset = _shop(
        [
            ("a", "w", "view", 9.0),
            ("a", "x", "view", 9.0),
            ("b", "w", "view", 9.0),
            ("s", "w", "view", 9.0),
            ("a", "w", "purchase", 1.0),
            ("a", "y", "purchase", 1.0),
            ("a", "z", "purchase", 1.0),
            ("a", "z", "refund", 0.5),
            ("b", "w", "purchase", 1.0),
            ("b", "x", "look", 1.0),
            ("c", "x", "purchase", 1.0),
            ("s", "x", "purchase", 1.0),
        ]
    )
    cut = AS_OF - 5 * DAY_MS
    early = dataset.log.occurred_at < cut
    split = Split(dataset.with_log(dataset.log.where(early), cut), dataset.log.where(~early), "time", cut)
    users, items = relevant(split, exclude_seen=False)
    assert users.dtype == np.int64
    assert users.tolist() == [0, 1]
    assert items.toarray().tolist() == [[1, 0, 1, 0], [1, 0, 0, 0]]
    users, items = relevant(split, exclude_seen=True)
    assert users.tolist() == [0]
    assert items.toarray().tolist() == [[0, 0, 1, 0]]


def test_low_ratings_are_not_relevant() -> None:
    dataset = _shop(
        [
            ("a", "w", "rate", 9.0, 5.0),
            ("a", "x", "rate", 9.0, 1.0),
            ("a", "y", "rate", 1.0, 2.0),
            ("a", "z", "rate", 1.0, 4.0),
        ]
    )
    assert relevant(time_split(dataset, 0.5), exclude_seen=True)[1].toarray().tolist() == [[0, 0, 0, 1]]


def _visits(days: dict[str, list[float]], n_users: int = 60) -> Dataset:
    return _shop(
        [
            (f"u{user:02}", item, "view", day + user * days.get("shift", [0.0])[0])
            for user in range(n_users)
            for item, moments in days.items()
            if item != "shift"
            for day in moments
        ]
    )


def test_chooses_time_where_enough_users_are_on_both_sides() -> None:
    split = choose_split(_visits({"w": [9.0], "x": [8.0], "y": [1.0]}), np.random.default_rng(0))
    assert (split.protocol, split.cut) == ("time", AS_OF - DAY_MS)
    assert "60 users" in split.reason


@pytest.mark.parametrize("n_users", [49, 60])
def test_needs_fifty_users(n_users: int) -> None:
    dataset = _visits({"w": [9.0], "x": [1.0]}, n_users)
    assert choose_split(dataset, np.random.default_rng(0)).protocol == (
        "time" if n_users > 49 else "leave_last"
    )


def test_chooses_leave_last_where_users_come_one_after_another() -> None:
    split = choose_split(_visits({"w": [1.0], "x": [1.5], "shift": [5.0]}), np.random.default_rng(0))
    assert split.protocol == "leave_last"
    assert "only" in split.reason
    assert len(relevant(split, exclude_seen=True)[0]) == 60


@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_chooses_random_where_times_carry_nothing(shift: float) -> None:
    dataset = _visits({"w": [1.0], "x": [1.0], "y": [1.0], "shift": [shift]})
    split = choose_split(dataset, np.random.default_rng(0))
    assert split.protocol == "random"
    assert "one instant" in split.reason
    assert len(relevant(split, exclude_seen=True)[0]) == 60


def test_nothing_to_split() -> None:
    dataset = _visits({"w": [1.0]})
    empty = dataset.with_log(dataset.log.where(slice(0, 0)), AS_OF)
    split = choose_split(empty, np.random.default_rng(0))
    assert len(split.train.log) == len(split.held_out) == 0
    assert len(relevant(split, exclude_seen=True)[0]) == 0
    assert len(leave_last(empty).held_out) == 0
