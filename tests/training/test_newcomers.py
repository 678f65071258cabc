"""Newcomers of a trial: who they are, what is told of them, and the blends that they choose."""

from typing import Any

import numpy as np
import pytest

from app.learning.evaluation.harness import evaluate_top_n
from app.learning.evaluation.splits import random_split, session_split, time_split
from app.learning.ranking.blend import Blend, Blends
from app.learning.recommenders.base import Recommender
from app.training.choosing import LEAST_USERS
from app.training.fitting import fit_recommenders
from app.training.newcomer_blends import choose_for_newcomers, with_few
from app.training.newcomers import LEFT_OUT, Newcomers, leave_out
from app.training.progress import Progress
from tests.worlds import World, world

QUIET = Progress(lambda _stage, _fraction: None)


def shop(old: int = 100, new: int = 40, items: int = 12) -> World:
    """Two tastes: even users choose even items. The old ones were here long ago, the new ones just now."""
    events: list[tuple[object, ...]] = []
    for user in range(old + new):
        first = 200.0 if user < old else 20.0
        own = [item for item in range(items) if item % 2 == user % 2]
        order = np.random.default_rng(user).permutation(own)
        events += [
            (f"u{user:03}", f"i{item:02}", "view", first - 2 * step) for step, item in enumerate(order)
        ]
    return world(events)


def test_whoever_is_left_out_is_in_no_part_of_the_split() -> None:
    made = shop()
    split = time_split(made.dataset, 40 / 140)
    left_out = leave_out(split, np.random.default_rng(0))
    left, (came, out) = left_out.split, left_out.users
    new = set(came.dataset.log.subject.tolist())
    gone = set(out.dataset.log.subject.tolist())
    assert {made.subjects[user] for user in new} == {f"u{user:03}" for user in range(100, 140)}
    assert len(gone) == round(LEFT_OUT * 100)
    assert not gone & new
    assert not gone & {*left.train.log.subject.tolist(), *left.held_out.subject.tolist()}
    others = ~np.isin(split.train.log.subject, list(gone))
    assert left.train.log.item.tolist() == split.train.log.item[others].tolist()
    assert len(left.held_out) == len(split.held_out)


def test_without_times_those_left_out_have_all_that_they_did() -> None:
    split = random_split(shop(60, 0).dataset, 0.2, np.random.default_rng(0))
    left_out = leave_out(split, np.random.default_rng(0))
    left, (came, out) = left_out.split, left_out.users
    gone = np.unique(out.dataset.log.subject)
    assert not len(came.dataset.log)
    assert len(gone) == 6
    assert np.bincount(out.dataset.log.subject)[gone].tolist() == [6] * 6
    assert not np.isin(left.held_out.subject, gone).any()


def visited() -> World:
    """A visit on each of a hundred days, every other of somebody who never logs in, some of one look."""
    events: list[tuple[object, ...]] = []
    for day in range(100):
        looks = 1 if day % 10 == 0 else 3
        items = [f"i{(day + 5 * look) % 12:02}" for look in range(looks)]
        events += [(f"v{day:02}", item, "view", 100.0 - day - at / 99) for at, item in enumerate(items)]
    return world(events, sessions=[f"v{day:02}" for day in range(0, 100, 2)])


def test_sessions_that_came_after_the_split_are_asked_about() -> None:
    made = visited()
    split = time_split(made.dataset, 0.5)
    found = leave_out(split, np.random.default_rng(0))
    asked = {made.subjects[row] for row in found.sessions.dataset.log.subject.tolist()}
    later = {f"v{day}" for day in range(50, 100, 2) if day % 10}
    assert asked >= later, "of one look nothing can be asked"
    # Of the twenty before a tenth is left out besides, for they are not many.
    assert len(asked - later) == 2
    assert not np.isin(found.split.train.log.subject, found.sessions.dataset.log.subject).any()
    assert len(found.split.held_out) == len(split.held_out)
    one = found.sessions.knowing(1)
    assert one.histories.matrix.shape[0] == len(asked)
    assert np.diff(one.wanted.indptr).tolist() == [2] * len(asked)


def test_otherwise_a_tenth_of_the_sessions_is_left_out() -> None:
    made = visited()
    split = random_split(made.dataset, 0.2, np.random.default_rng(0))
    found = leave_out(split, np.random.default_rng(0))
    gone = np.unique(found.sessions.dataset.log.subject)
    assert len(gone) == 4, "of forty with several looks"
    assert (gone >= made.dataset.n_users).all()
    assert not np.isin(found.split.train.log.subject, gone).any()
    # By sessions they are asked about already.
    assert not len(
        leave_out(
            session_split(made.dataset, np.random.default_rng(0)), np.random.default_rng(0)
        ).sessions.dataset.log
    )


def test_newcomers_are_told_by_their_first_items_alone() -> None:
    made = world(
        [
            ("ann", "a", "view", 30.0),
            ("ann", "b", "view", 20.0),
            ("ann", "a", "view", 10.0),
            ("ann", "c", "view", 5.0),
            ("bob", "b", "view", 3.0),
        ]
    )
    newcomers = Newcomers.of(made.dataset, made.dataset.log)
    one = newcomers.knowing(1)
    assert one.histories.matrix.toarray().astype(bool).tolist() == [[True, False, False]]
    assert one.histories.ages.tolist() == [0], "as if of this moment"
    assert one.wanted.toarray().tolist() == [[1, 1, 1]], "ann came back to a"
    assert one.without_seen().wanted.toarray().tolist() == [[0, 1, 1]]
    two = newcomers.knowing(2)
    assert two.histories.matrix.toarray().astype(bool).tolist() == [[True, True, False]]
    assert two.histories.unseen.tolist() == [[False, False, True]], "what comes later is not yet seen"
    assert two.wanted.toarray().tolist() == [[0, 0, 1]], "ann had looked at a again before she saw c"
    assert two.without_seen().wanted.toarray().tolist() == [[0, 0, 1]]
    assert not len(newcomers.knowing(3).histories)


def test_what_was_not_liked_is_neither_told_nor_wanted() -> None:
    ratings = [("ann", "a", 1.0), ("ann", "b", 5.0), ("ann", "c", 1.0), ("ann", "d", 4.0), ("bob", "a", 5.0)]
    made = world([(user, item, "rate", 9.0 - at, value) for at, (user, item, value) in enumerate(ratings)])
    one = Newcomers.of(made.dataset, made.dataset.log).knowing(1)
    assert [made.items[item] for item in one.histories.matrix.indices] == ["b"]
    assert [made.items[item] for item in one.wanted.indices] == ["d"]


def test_newcomers_choose_what_serves_newcomers() -> None:
    left_out = leave_out(time_split(shop(items=40).dataset, 40 / 140), np.random.default_rng(0))
    split, newcomers = left_out.split, left_out.users
    recipes: dict[str, dict[str, Any]] = {"popularity": {}, "item_neighbours": {}, "user_neighbours": {}}
    models = fit_recommenders(split.train, recipes, np.random.default_rng(0), QUIET)
    anybody = newcomers[0].knowing(2)
    rng = np.random.default_rng(0)
    first, cold = choose_for_newcomers(models, newcomers, anybody, True, rng, QUIET)
    for blend in (first, cold):
        assert sum(blend.weights.values()) == pytest.approx(1)
    # One item tells the taste here.
    one = newcomers[0].knowing(1).without_seen()
    rows = np.arange(len(one.histories), dtype=np.int64)
    lists = evaluate_top_n(lambda some: first.score(models, some), one.histories, rows, one.wanted, 10, True)
    assert lists.means["precision"] == 1
    blends = with_few(
        models, Blends.single(Blend({"popularity": 1.0})).with_blends({"cold": cold}), newcomers
    )
    assert blends.few == 12, "popularity is no better for those of whom more is known"


def test_where_one_item_tells_nothing_ties_go_to_popularity() -> None:
    rng = np.random.default_rng(0)
    chance = 1 / np.arange(2, 32)
    events: list[tuple[object, ...]] = []
    for user in range(200):
        chosen = rng.choice(30, size=8, replace=False, p=chance / chance.sum())
        start = 200.0 if user < 140 else 20.0
        events += [
            (f"u{user:03}", f"i{item:02}", "view", start - 2 * step) for step, item in enumerate(chosen)
        ]
    left_out = leave_out(time_split(world(events).dataset, 0.3), np.random.default_rng(0))
    split, newcomers = left_out.split, left_out.users
    recipes: dict[str, dict[str, Any]] = {"popularity": {}, "item_neighbours": {}, "user_neighbours": {}}
    models = fit_recommenders(split.train, recipes, np.random.default_rng(0), QUIET)
    anybody = newcomers[0].knowing(2)
    first, _ = choose_for_newcomers(models, newcomers, anybody, True, np.random.default_rng(0), QUIET)
    assert first.weights["popularity"] > 0.9


def test_where_there_are_no_newcomers_the_first_items_of_anybody_stand_for_theirs() -> None:
    made = shop(60, 0)
    split = time_split(made.dataset)
    nobody = Newcomers.of(made.dataset, made.dataset.log.where(slice(0, 0)))
    assert not len(nobody.knowing(1).histories)
    models: dict[str, Recommender] = fit_recommenders(
        split.train, {"popularity": {}, "item_neighbours": {}}, np.random.default_rng(0), QUIET
    )
    anybody = Newcomers.of(made.dataset, made.dataset.log).knowing(4)
    assert len(anybody.histories) >= LEAST_USERS
    rng = np.random.default_rng(0)
    first, cold = choose_for_newcomers(models, (nobody, nobody), anybody, True, rng, QUIET)
    assert first.weights["popularity"] >= 0.25, "where one item is known, or none"
    blends = Blends.single(cold)
    assert with_few(models, blends, (nobody, nobody)) == blends


def test_moments_of_what_is_told_keep_their_distances() -> None:
    made = world([("ann", name, "view", days) for name, days in (("a", 30.0), ("b", 20.0), ("c", 5.0))])
    told = Newcomers.of(made.dataset, made.dataset.log).knowing(2).histories
    assert told.ages.tolist() == [10, 0]
