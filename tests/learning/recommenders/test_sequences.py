"""What follows what: robots do not say it for all."""

import numpy as np
import pytest

from app.learning.recommenders import session_neighbours, transitions
from app.learning.recommenders.base import Recommender
from tests.worlds import World, world

MINUTE = 1 / 24 / 60


def _shop(robot: bool) -> World:
    """Sixty visitors went from a lamp to a bulb; since then a robot goes from it to the sink all day."""
    events: list[tuple[object, ...]] = []
    for visitor in range(60):
        at = 50.0 - visitor / 10
        events += [(f"v{visitor:02}", "lamp", "view", at), (f"v{visitor:02}", "bulb", "view", at - MINUTE)]
    for turn in range(400 if robot else 1):
        at = 30.0 - turn / 16
        things = ("lamp", "sink", f"thing{turn:03}")
        events += [("robot", item, "view", at - place * MINUTE) for place, item in enumerate(things)]
    return world(events, sessions=["robot"])


@pytest.mark.parametrize("family", [transitions.FAMILY, session_neighbours.FAMILY], ids=lambda it: it.name)
def test_a_robot_does_not_say_what_follows_for_all(family: object) -> None:
    def bulb_over_sink(robot: bool) -> float:
        made = _shop(robot)
        config = family.config()  # type: ignore[attr-defined]
        model: Recommender = family.fit(config, made.dataset, np.random.default_rng(0))  # type: ignore[attr-defined]
        scores = model.score(made.history("lamp"))[0]
        return float(scores[made.column("bulb")] / max(scores[made.column("sink")], 1e-9))

    assert bulb_over_sink(robot=False) > 1
    assert bulb_over_sink(robot=True) > 1, "four hundred rounds of one robot against sixty visitors"
