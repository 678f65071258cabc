from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from app.learning.baskets.baskets import Baskets
from app.learning.baskets.mining import frequent_itemsets
from app.learning.baskets.rules import Rules, mine_rules
from app.learning.baskets.significance import chance_of, discoveries

sets_of_items = st.lists(st.frozensets(st.integers(0, 5)), min_size=1, max_size=15).filter(any)


def _rows(rules: Rules) -> dict[tuple[frozenset[int], frozenset[int]], int]:
    sides = (rules.antecedents.tolist(), rules.consequents.tolist())
    return {
        (frozenset(left) - {-1}, frozenset(right) - {-1}): number
        for number, (left, right) in enumerate(zip(*sides, strict=True))
    }


@settings(max_examples=60, deadline=None)
@given(sets=sets_of_items, all_splits=st.booleans())
def test_every_division_with_the_measures_by_definition(sets: list[frozenset[int]], all_splits: bool) -> None:
    n = len(sets)
    rules = mine_rules(frequent_itemsets(Baskets.of(sets, 6), 0.2), all_splits=all_splits)

    def share(items: frozenset[int]) -> float:
        return sum(items <= basket for basket in sets) / n

    wanted = {
        (whole - frozenset(right), frozenset(right))
        for length in range(2, 7)
        for whole in map(frozenset, combinations(range(6), length))
        if share(whole) >= 0.2
        for size in range(1, length if all_splits else 2)
        for right in combinations(whole, size)
    }
    rows = _rows(rules)
    assert rows.keys() == wanted
    assert len(rules) == len(wanted)
    for (left, right), row in rows.items():
        both, confidence = share(left | right), share(left | right) / share(left)
        assert rules.count[row] == round(both * n)
        assert rules.support[row] == pytest.approx(both)
        assert rules.confidence[row] == pytest.approx(confidence)
        assert rules.lift[row] == pytest.approx(confidence / share(right))
        assert rules.leverage[row] == pytest.approx(both - share(left) * share(right))
        if share(right) == 1:
            assert (rules.lift[row], rules.conviction[row]) == (1.0, 1.0)
        elif rules.confidence[row] == 1:
            assert rules.conviction[row] == np.inf
        else:
            assert rules.conviction[row] == pytest.approx((1 - share(right)) / (1 - confidence))


def test_thresholds_choose_at_and_above() -> None:
    baskets = Baskets.of([[0, 1], [0, 1], [0, 2], [0], [1]], 3)
    rules = mine_rules(frequent_itemsets(baskets, 0.2))
    assert len(rules) == 4
    half = mine_rules(frequent_itemsets(baskets, 0.2), min_confidence=0.5)
    assert _rows(half).keys() == {
        (frozenset({0}), frozenset({1})),
        (frozenset({1}), frozenset({0})),
        (frozenset({2}), frozenset({0})),
    }
    lifted = mine_rules(frequent_itemsets(baskets, 0.2), min_lift=1.25)
    assert _rows(lifted).keys() == {(frozenset({0}), frozenset({2})), (frozenset({2}), frozenset({0}))}


def test_without_sets_of_two_there_are_no_rules() -> None:
    rules = mine_rules(frequent_itemsets(Baskets.of([[0], [1]], 2), 0.1))
    assert len(rules) == 0
    assert rules.antecedents.shape == rules.consequents.shape == (0, 1)


@given(st.integers(1, 400), st.data())
def test_the_chance_is_bounded_and_close(n: int, data: st.DataObject) -> None:
    a, c = data.draw(st.integers(1, n)), data.draw(st.integers(1, n))
    k = data.draw(st.integers(max(0, a + c - n), min(a, c)))
    exact = hypergeom.sf(k - 1, n, a, c)
    (bound,) = chance_of(np.array([k]), np.array([a]), np.array([c]), n)
    assert bound >= exact * (1 - 1e-9)
    assert bound <= 1
    if k * n <= a * c:
        assert bound == 1
    elif exact < 1e-3:
        assert bound <= 2 * exact


def test_discoveries_by_hand() -> None:
    # The largest p(i) ≤ rate · i / n is the third: .02 ≤ .05 · 3 / 5; the fourth is above .04.
    chances = np.array([0.041, 0.02, 0.001, 0.9, 0.015])
    assert discoveries(chances, 0.05).tolist() == [False, True, True, False, True]
    assert not discoveries(np.array([0.5, 1.0]), 0.05).any()
    assert discoveries(np.empty(0), 0.05).shape == (0,)
