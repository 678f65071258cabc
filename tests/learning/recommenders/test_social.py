"""How many of somebody's circle like an item."""

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from app.learning.preferences import dataset_histories
from app.learning.recommenders.social import SocialConfig, fit
from tests.worlds import world

EVENTS = [("ann", "x"), ("ann", "y"), ("bob", "x"), ("cyd", "y", "view", 3.0), ("dan", "z")]


def test_supporters_are_the_tied_users_who_like_an_item() -> None:
    made = world(EVENTS, users=["eve"])
    ties = np.zeros((5, 5), dtype=np.float32)
    ties[made.row("eve"), [made.row(name) for name in ("ann", "bob", "cyd")]] = 1.0, 2.0, 0.5
    dataset = replace(made.dataset, ties=csr_array(ties))
    model = fit(SocialConfig(), dataset, np.random.default_rng(1))
    histories = dataset_histories(dataset)
    items = np.array([made.column(item) for item in ("z", "x", "y", "x")], dtype=np.int32)
    eve = histories.take(np.array([made.row("eve")]))
    assert model.supporters(eve, items).tolist() == [0, 2, 2, 2]
    # Who is liked has a score, who is not has none.
    np.testing.assert_array_equal(model.score(eve)[0, items] > 0, model.supporters(eve, items) > 0)
    dan = histories.take(np.array([made.row("dan")]))
    assert model.supporters(dan, items).tolist() == [0, 0, 0, 0]
    assert model.supporters(replace(eve, ties=None), items).tolist() == [0, 0, 0, 0]
    assert model.supporters(eve, items[:0]).tolist() == []
