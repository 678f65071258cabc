from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.learning.dataset import DAY_MS, Dataset, InteractionLog
from app.learning.evaluation.splits import (
    Split,
    choose_split,
    k_folds,
    leave_last,
    random_split,
    relevant,
    session_split,
    strong_split,
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
    values = [getattr(log, column.name) for column in fields(log)]
    columns = [np.nan_to_num(value, nan=-1).tolist() for value in values if value is not None]
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


@given(EVENTS, st.integers(2, 6), st.integers(0, 99))
def test_folds_are_together_all_that_users_did(
    events: list[tuple[object, ...]], folds: int, seed: int
) -> None:
    dataset = _shop(events)
    parts = list(k_folds(dataset, folds, np.random.default_rng(seed)))
    assert len(parts) == folds
    held: list[tuple[float, ...]] = []
    items: dict[int, list[int]] = {user: [] for user in range(dataset.n_users)}
    pairs: set[tuple[int, int]] = set()
    for split in parts:
        _loses_nothing(dataset, split)
        held += _rows(split.held_out)
        found = set(zip(split.held_out.subject.tolist(), split.held_out.item.tolist(), strict=True))
        assert not found & pairs
        pairs |= found
        for user, sizes in items.items():
            sizes.append(sum(1 for subject, _ in found if subject == user))
    assert sorted(held) == _rows(dataset.log.where(dataset.log.subject < dataset.n_users))
    assert all(max(sizes) - min(sizes) <= 1 for sizes in items.values())


def test_folds_are_alike_where_users_have_few_items() -> None:
    dataset = _visits({"w": [9.0], "x": [8.0]}, 200)
    sizes = [len(split.held_out) for split in k_folds(dataset, 5, np.random.default_rng(0))]
    assert sum(sizes) == 400
    assert min(sizes) > 50
    with pytest.raises(ValueError, match="two folds"):
        next(k_folds(dataset, 1, np.random.default_rng(0)))


@given(EVENTS, st.floats(0.05, 0.95), st.floats(0.05, 0.95), st.integers(0, 99))
def test_strong_tells_training_nothing_of_those_who_are_asked(
    events: list[tuple[object, ...]], users: float, share: float, seed: int
) -> None:
    dataset = _shop(events)
    split = strong_split(dataset, users, share, np.random.default_rng(seed))
    told = split.histories_from
    assert sorted(_rows(told.log) + _rows(split.held_out)) == _rows(dataset.log)
    several = {
        user
        for user in range(dataset.n_users)
        if len(set(dataset.log.item[dataset.log.subject == user].tolist())) >= 2
    }
    apart = set(split.held_out.subject.tolist())
    assert apart <= several
    assert len(apart) == (max(1, round(users * len(several))) if several else 0)
    assert not apart & set(split.train.log.subject.tolist())
    # Of the others training knows all.
    others = np.array([subject not in apart for subject in dataset.log.subject.tolist()], dtype=np.bool_)
    assert _rows(split.train.log) == _rows(dataset.log.where(others))
    for user in apart:
        kept, held = (set(log.item[log.subject == user].tolist()) for log in (told.log, split.held_out))
        assert not kept & held
        assert len(held) == np.clip(np.rint(share * len(kept | held)), 1, len(kept | held) - 1)
    assert set(relevant(split, exclude_seen=False)[0].tolist()) <= apart


def _sessions(n_sessions: int, n_users: int = 0, items: str = "wxy") -> Dataset:
    """Sessions of a few minutes, each a day after the one before; users likewise."""
    names = [f"s{number:03}" for number in range(n_sessions)]
    people = [f"u{number:03}" for number in range(n_users)]
    events: list[tuple[object, ...]] = [
        (name, item, "view", 900.0 - number - place / 1000)
        for group in (names, people)
        for number, name in enumerate(group)
        for place, item in enumerate(items)
    ]
    return world(events, sessions=names, weights=WEIGHTS).dataset


def _pairs_of(*logs: InteractionLog) -> list[tuple[int, ...]]:
    """What happened, whenever."""
    return sorted(
        row
        for log in logs
        for row in zip(log.subject.tolist(), log.item.tolist(), log.event.tolist(), strict=True)
    )


def test_on_a_receipt_chance_says_what_is_asked_for() -> None:
    events = [(f"s{number:03}", item, "purchase", 500.0 - number) for number in range(300) for item in "wxyz"]
    names = [f"s{number:03}" for number in range(300)]
    dataset = world(events, sessions=names, weights=WEIGHTS).dataset
    split = choose_split(dataset, np.random.default_rng(0))
    assert split.protocol == "sessions"
    assert len(split.held_out) == 60
    assert np.bincount(split.held_out.item).min() > 5, "not the last line of each"
    assert np.bincount(relevant(split, exclude_seen=True)[1].indices).min() > 5


def test_by_sessions_the_latest_are_told_by_how_they_began() -> None:
    dataset = _sessions(20, 3)
    split = session_split(dataset, np.random.default_rng(0), 0.2)
    told = split.histories_from
    assert _pairs_of(told.log, split.held_out) == _pairs_of(dataset.log)
    # The users first, then the sessions in order of time: the last four of these.
    assert set(split.held_out.subject.tolist()) == {19, 20, 21, 22}
    assert set(split.held_out.item.tolist()) == {2}
    assert not {19, 20, 21, 22} & set(split.train.log.subject.tolist())
    assert split.train.as_of == split.train.log.occurred_at.max()
    assert told.log.item[told.log.subject == 22].tolist() == [0, 1]
    of_first = told.log.occurred_at[told.log.subject == 19]
    assert of_first[-1] == dataset.as_of, "as if of the present"
    assert np.diff(of_first).tolist() == [DAY_MS / 1000]
    sessions, wanted = relevant(split, exclude_seen=True)
    assert sessions.tolist() == [19, 20, 21, 22]
    assert wanted.toarray().tolist() == [[0, 0, 1]] * 4


@given(EVENTS, st.floats(0.05, 0.95))
def test_by_sessions_training_knows_nothing_of_those_who_are_asked(
    events: list[tuple[object, ...]], share: float
) -> None:
    dataset = _shop(events)
    split = session_split(dataset, np.random.default_rng(0), share)
    told = split.histories_from
    assert _pairs_of(told.log, split.held_out) == _pairs_of(dataset.log)
    assert (np.diff(told.log.occurred_at) >= 0).all()
    apart = set(split.held_out.subject.tolist())
    assert not apart & set(split.train.log.subject.tolist())
    assert all(subject >= dataset.n_users for subject in apart)
    assert set(relevant(split, exclude_seen=False)[0].tolist()) <= apart


@pytest.mark.parametrize(
    ("n_sessions", "n_users", "protocol"),
    [(250, 0, "sessions"), (250, 49, "sessions"), (249, 0, "random"), (250, 50, "random")],
)
def test_chooses_sessions_where_hardly_anybody_logs_in(n_sessions: int, n_users: int, protocol: str) -> None:
    split = choose_split(_sessions(n_sessions, n_users), np.random.default_rng(0))
    assert split.protocol == protocol
    if protocol == "sessions":
        assert f"{n_users} users and {n_sessions} anonymous sessions" in split.reason


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


def test_chooses_leave_last_where_visits_overlap_but_few_are_on_both_sides() -> None:
    # Each user is there for 15 days, and a new one comes every 5.
    dataset = _visits({"w": [1.0], "x": [8.0], "y": [16.0], "shift": [5.0]})
    split = choose_split(dataset, np.random.default_rng(0))
    assert split.protocol == "leave_last"
    assert "only" in split.reason
    assert len(relevant(split, exclude_seen=True)[0]) == 60


@pytest.mark.parametrize(("n_users", "protocol"), [(19, "leave_last"), (20, "random"), (60, "random")])
def test_chooses_random_where_one_user_comes_after_the_other(n_users: int, protocol: str) -> None:
    dataset = _visits({"w": [1.0], "x": [1.5], "shift": [5.0]}, n_users)
    split = choose_split(dataset, np.random.default_rng(0))
    assert split.protocol == protocol
    assert ("sorted by user" in split.reason) == (protocol == "random")
    assert len(relevant(split, exclude_seen=True)[0]) == n_users


def _exported(interruptions: int) -> Dataset:
    """Forty users of four items each, one after the other, at increasing times but for some rows."""
    rows = [(f"u{user:02}", item) for user in range(40) for item in "wxyz"]
    for place in range(interruptions):
        first = 8 * place + 2
        rows[first], rows[first + 3] = rows[first + 3], rows[first]
    # A single visit between others, and a session, interrupt nobody who counts.
    rows.insert(2, ("once", "w"))
    rows.insert(6, ("s", "w"))
    return _shop([(user, item, "view", 400.0 - place) for place, (user, item) in enumerate(rows)])


@pytest.mark.parametrize(("interruptions", "protocol"), [(0, "random"), (1, "random"), (9, "leave_last")])
def test_an_export_may_be_nearly_sorted(interruptions: int, protocol: str) -> None:
    dataset = _exported(interruptions)
    assert choose_split(dataset, np.random.default_rng(0)).protocol == protocol


def test_a_shop_of_twelve_users() -> None:
    dataset = _visits({"w": [9.0], "x": [5.0], "y": [1.0], "shift": [0.1]}, 12)
    split = choose_split(dataset, np.random.default_rng(0))
    assert split.protocol == "leave_last"
    assert "50 needed" in split.reason
    assert len(relevant(split, exclude_seen=True)[0]) == 12


def test_a_shop_of_one_user() -> None:
    split = choose_split(_visits({"w": [9.0], "x": [1.0]}, 1), np.random.default_rng(0))
    assert split.protocol == "leave_last"
    assert split.held_out.item.tolist() == [1]
    assert relevant(split, exclude_seen=True)[0].tolist() == [0]
    alone = choose_split(_visits({"w": [9.0]}, 1), np.random.default_rng(0))
    assert (len(alone.train.log), len(alone.held_out)) == (1, 0)


@pytest.mark.parametrize("event", ["refund", "look"])
def test_without_positive_events_nothing_is_held_out(event: str) -> None:
    events: list[tuple[object, ...]] = [
        (f"u{user:02}", item, event, float(place + user % 7))
        for user in range(30)
        for place, item in enumerate("wxy")
    ]
    split = choose_split(_shop(events), np.random.default_rng(0))
    assert "no user has positive events on two items" in split.reason
    assert (len(split.train.log), len(split.held_out)) == (90, 0)
    assert len(relevant(split, exclude_seen=False)[0]) == 0


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
