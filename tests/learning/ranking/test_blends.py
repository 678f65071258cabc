"""Everybody is served by the blend for somebody like them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from app.learning.dataset import Histories
from app.learning.ranking.blend import Blend, Blends, known_and_idle

BLENDS = Blends(
    usual=Blend({"usual": 1.0}),
    new=Blend({"new": 1.0}),
    cold=Blend({"cold": 1.0}),
    social=Blend({"social": 1.0}),
    idle=Blend({"idle": 1.0}),
    similar=Blend({"similar": 1.0}),
    idle_after=30.0,
    may_repeat=True,
)


@pytest.mark.parametrize(
    ("known", "idle", "exclude_seen", "tied", "name"),
    [
        (0, 0.0, False, False, "cold"),
        (2, 99.0, True, False, "cold"),
        (3, 99.0, True, True, "social"),
        (4, 30.0, False, True, "usual"),
        (4, 30.0, True, False, "new"),
        (4, 31.0, True, False, "idle"),
    ],
)
def test_who_gets_which(known: int, idle: float, exclude_seen: bool, tied: bool, name: str) -> None:
    assert BLENDS.of(known, idle, exclude_seen, tied) == BLENDS.named[name]


def test_an_anonymous_visit_has_a_blend_of_its_own_where_there_is_one() -> None:
    own = BLENDS.with_blends({"session": Blend({"session": 1.0}), "first": Blend({"first": 1.0})})
    for known in (1, 4):
        assert own.of(known, 0.0, True, anonymous=True) == own.session
        assert own.of(known, 0.0, True) != own.session
        assert BLENDS.of(known, 0.0, True, anonymous=True) == BLENDS.of(known, 0.0, True)
    assert own.of(0, 0.0, True, anonymous=True) == own.first, "nothing is known of the visit yet"
    assert "session" in own.families
    assert Blends.from_content(own.content) == own
    # An older release reads the rest, and what it wrote has none.
    assert not {"session", "first"} & own.content["blends"].keys()
    models = {name: Constant(place / 10) for place, name in enumerate(own.families)}
    matrix = csr_array(np.array([[1, 1]], dtype=np.float32))
    visit = Histories(matrix, np.zeros(2, dtype=np.float32))
    scores = own.score(models, visit, True, anonymous=True)  # type: ignore[arg-type]
    assert scores[0, 1] == np.float32(own.families.index("session") / 10)


class Constant:
    """Says its number of every item."""

    def __init__(self, number: float) -> None:
        self._row = np.array([1.0, number], dtype=np.float32)

    def score(self, histories: Histories) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        return np.tile(self._row, (len(histories), 1))


def test_a_batch_is_scored_row_by_row_as_each_would_be() -> None:
    names = ("usual", "new", "cold", "social", "idle")
    models = {name: Constant(place / 10) for place, name in enumerate(names)}
    matrix = csr_array(np.array([[1, 1], [0, 1], [0, 0], [0, 0]], dtype=np.float32))
    ages = np.array([40.0, 31.0, 1.0], dtype=np.float32)
    histories = Histories(matrix, ages)
    known, idle = known_and_idle(histories)
    assert known.tolist() == [2, 1, 0, 0]
    assert idle.tolist() == [31.0, 1.0, 0.0, 0.0]
    ties = csr_array(np.array([[0], [0], [1], [0]], dtype=np.float32))
    some = replace(histories, ties=ties)
    scores = replace(BLENDS).score(models, some, exclude_seen=False)  # type: ignore[arg-type]
    np.testing.assert_allclose(scores[:, 1], [0.2, 0.2, 0.3, 0.2], rtol=1e-6)
    for row in range(4):
        alone = BLENDS.score(models, some.take(np.array([row])), exclude_seen=False)  # type: ignore[arg-type]
        np.testing.assert_array_equal(alone[0], scores[row])


@pytest.mark.parametrize("idle_after", [30.0, float("inf")])
def test_the_content_round_trips(idle_after: float) -> None:
    blends = replace(BLENDS, idle_after=idle_after)
    assert Blends.from_content(blends.content) == blends


def test_what_was_only_seen_is_left_out_too() -> None:
    matrix = csr_array(np.array([[1, 0, 0], [0, 0, 1]], dtype=np.float32))
    seen = csr_array(np.array([[1, 1, 0], [0, 0, 1]], dtype=np.float32))
    histories = Histories(matrix, np.zeros(2, dtype=np.float32))
    assert histories.unseen.tolist() == [[False, True, True], [True, True, False]]
    histories = replace(histories, seen=seen)
    assert histories.unseen.tolist() == [[False, False, True], [True, True, False]]
    assert histories.take(np.array([1, 0])).unseen.tolist() == [[True, True, False], [False, False, True]]
