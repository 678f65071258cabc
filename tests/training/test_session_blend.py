"""The blend for anonymous visitors: chosen by sessions, where it is better than what newcomers get."""

from typing import Any

import numpy as np
import pytest

from app.learning.evaluation.splits import time_split
from app.learning.ranking.blend import Blend, Blends
from app.training.choosing import ndcg
from app.training.fitting import fit_recommenders
from app.training.newcomers import Newcomers, leave_out
from app.training.progress import Progress
from app.training.session_blend import choose_for_sessions
from tests.worlds import World, world

QUIET = Progress(lambda _stage, _fraction: None)
ITEMS = 20


def rounds(sessions: int) -> World:
    """Visits lead from each item to the next two of the round; customers buy anything."""
    events: list[tuple[object, ...]] = []
    for visit in range(sessions):
        start = int(np.random.default_rng(visit).integers(ITEMS))
        events += [
            (
                f"v{visit:03}",
                f"i{(start + step) % ITEMS:02}",
                "view",
                100 - 100 * visit / sessions - step / 500,
            )
            for step in range(3)
        ]
    rng = np.random.default_rng(1)
    events += [
        (f"u{user}", f"i{item:02}", "purchase", float(day))
        for user in range(40)
        for item, day in zip(rng.permutation(ITEMS)[:4], rng.permutation(100), strict=False)
    ]
    return world(events, sessions=[f"v{visit:03}" for visit in range(sessions)])


def test_sessions_choose_what_serves_sessions() -> None:
    made = rounds(500)
    out = leave_out(time_split(made.dataset), np.random.default_rng(0))
    recipes: dict[str, dict[str, Any]] = {"popularity": {}, "user_neighbours": {}, "transitions": {}}
    models = fit_recommenders(out.split.train, recipes, np.random.default_rng(0), QUIET)
    served = Blends.single(Blend({"popularity": 1.0}))
    blend = choose_for_sessions(models, out.sessions, served, np.random.default_rng(0), QUIET)
    assert blend is not None
    assert blend.weights["transitions"] > 0.4
    assert sum(blend.weights.values()) == pytest.approx(1)
    asked = out.sessions.part_way(np.random.default_rng(1)).without_seen()
    own, before = (ndcg(lambda some: one.score(models, some), asked).mean() for one in (blend, served.cold))  # noqa: B023
    assert own > 2 * before
    # Where that is what they are served already, a blend of their own is no better.
    good = Blends.single(Blend({"transitions": 1.0}))
    assert choose_for_sessions(models, out.sessions, good, np.random.default_rng(0), QUIET) is None


def test_few_sessions_choose_nothing() -> None:
    made = rounds(12)
    sessions = Newcomers.of(made.dataset, made.dataset.log.where(made.dataset.log.subject >= 40))
    served = Blends.single(Blend({"popularity": 1.0}))
    models = fit_recommenders(made.dataset, {"popularity": {}}, np.random.default_rng(0), QUIET)
    assert choose_for_sessions(models, sessions, served, np.random.default_rng(0), QUIET) is None


def test_a_part_of_a_session_is_told_and_the_rest_is_asked_for() -> None:
    made = world(
        [("v", "a", "view", 9.0), ("v", "b", "view", 8.0), ("v", "c", "view", 7.0), ("w", "a", "view", 5.0)],
        sessions=["v", "w"],
    )
    sessions = Newcomers.of(made.dataset, made.dataset.log)
    told = set()
    for seed in range(20):
        asked = sessions.part_way(np.random.default_rng(seed))
        assert len(asked.histories) == 1, "of one item nothing is left to ask for"
        known, wanted = asked.histories.matrix.indices.tolist(), asked.wanted.indices.tolist()
        assert known + wanted == [0, 1, 2]
        assert asked.histories.ages.min() == 0, "as if of this moment"
        told.add(len(known))
    assert told == {1, 2}
