"""Blends: chosen by few with care, for newcomers as far as it is better."""

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from app.learning.dataset import Histories
from app.learning.ranking.blend import Blend, Blends
from app.learning.recommenders.base import Scores
from app.learning.recommenders.sparse import earliest_histories, most_recent_histories
from app.training.blends import choose_for_idle, default_blend, default_similar
from app.training.choosing import mixed
from app.training.judging import Audience
from app.training.progress import Progress


def test_a_mixture_sums_to_one_and_leaves_crumbs_out() -> None:
    one, other = Blend({"a": 0.99, "b": 0.01}), Blend({"b": 0.5, "c": 0.5})
    half = mixed(one, other, 0.5)
    assert sum(half.weights.values()) == pytest.approx(1)
    assert half.weights["b"] == pytest.approx(0.255)
    assert mixed(one, other, 1.0).weights == {"a": 1.0}
    assert mixed(one, other, 0.0) == other
    assert "c" not in mixed(one, other, 0.97).weights


def test_defaults_take_what_there_is() -> None:
    any_model: Any = object()
    models = dict.fromkeys(("ease", "popularity", "content"), any_model)
    assert default_blend(models).weights.keys() == {"ease", "content"}
    assert default_similar(models).weights == {"content": 1.0}
    only = {"popularity": any_model}
    assert default_blend(only).weights == {"popularity": 1.0}
    assert default_similar(only).weights == {"popularity": 1.0}


class _Likes:
    """Recommends one item to everybody."""

    def __init__(self, item: int) -> None:
        self._item = item

    def score(self, histories: Histories) -> Scores:
        scores = np.zeros(histories.matrix.shape, dtype=np.float32)
        scores[:, self._item] = 1.0
        return scores


def test_the_idle_are_asked_by_their_own_hyperparameters_alone() -> None:
    models: Any = {"ease": _Likes(3), "als": _Likes(2), "ease@idle": _Likes(1)}
    matrix = csr_array(np.eye(30, dtype=np.float32)[:, ::-1])
    wanted = csr_array(np.repeat(np.eye(30)[[3]], 30, axis=0))
    idle = Audience(Histories(matrix, np.zeros(30, dtype=np.float32)), wanted)
    quiet = Progress(lambda _stage, _done: None)
    blend = choose_for_idle(models, idle, False, np.random.default_rng(1), quiet)
    assert blend.weights.keys() == {"ease@idle", "als"}, "though what is for all would be right"
    assert sum(blend.weights.values()) == pytest.approx(1)


def test_first_items_are_as_if_of_this_moment() -> None:
    matrix = csr_array(np.array([[1.0, 2.0, 3.0, 0.0], [0.0, 0.0, 0.0, 4.0], [0, 0, 0, 0]], dtype=np.float32))
    known = Histories(matrix, np.array([5.0, 90.0, 40.0, 7.0], dtype=np.float32))
    first = earliest_histories(known, 2)
    assert first.matrix.toarray().tolist() == [[0, 2, 3, 0], [0, 0, 0, 4], [0, 0, 0, 0]]
    assert first.ages.tolist() == [50, 0, 0]
    assert first.unseen.tolist() == known.unseen.tolist(), "what was seen stays seen"
    last = most_recent_histories(known, 1)
    assert last.matrix.toarray().tolist() == [[1, 0, 0, 0], [0, 0, 0, 4], [0, 0, 0, 0]]
    assert last.ages.tolist() == [5, 7]
    assert last.unseen.tolist() == known.unseen.tolist()


def test_how_long_a_newcomers_history_may_be_is_stored() -> None:
    a, b, c, d, e, f = (Blend({name: 1.0}) for name in "abcdef")
    blends = Blends(a, b, c, d, e, f, 30.0, False, few=6)
    again = Blends.from_content(blends.content)
    assert again == blends
    assert again.of(6, 0.0, True).weights == {"c": 1.0}
    assert again.of(7, 0.0, True).weights == {"b": 1.0}


def test_a_single_item_has_a_blend_of_its_own_where_there_is_one() -> None:
    a, b = Blend({"a": 1.0}), Blend({"b": 1.0})
    blends = Blends.single(a)
    assert blends.of(1, 0.0, True) == a
    own = blends.with_blends({"first": b})
    assert own.of(1, 0.0, True) == b
    assert own.of(2, 0.0, True) == a
    assert own.of(1, 0.0, True, tied=True) == a, "what the circle likes counts for the connected"
    assert own.families == ["a", "b"]
    again = Blends.from_content(own.content)
    assert again == own
    # A release before knows no such blend, and what it wrote has none.
    assert "first" not in own.content["blends"]
    older = {name: value for name, value in own.content.items() if name != "first"}
    assert Blends.from_content(older) == blends
