"""Frequent itemsets: three ways to the same answer."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.learning.baskets import eclat as eclat_module
from app.learning.baskets import fp_growth as fp_growth_module
from app.learning.baskets.baskets import Baskets
from app.learning.baskets.itemsets import Itemsets, TooManyItemsets, in_order, least_count
from app.learning.baskets.mining import HANDFUL, MINERS, bounded_itemsets, frequent_itemsets
from app.learning.recommenders.base import NotEnoughData

Miner = Callable[[Baskets, int, int | None, int | None], Itemsets]

sets_of_items = st.lists(st.frozensets(st.integers(0, 7), max_size=8), min_size=1, max_size=20)
every_miner = pytest.mark.parametrize("mine", MINERS.values(), ids=MINERS)


def _brute_force(sets: list[frozenset[int]], min_count: int, max_length: int) -> dict[tuple[int, ...], int]:
    wanted = (subset for length in range(1, max_length + 1) for subset in combinations(range(8), length))
    counts = {subset: sum(set(subset) <= items for items in sets) for subset in wanted}
    return {subset: count for subset, count in counts.items() if count >= min_count}


def _as_dict(itemsets: Itemsets) -> dict[tuple[int, ...], int]:
    return {
        tuple(items): count
        for level in itemsets.levels
        for items, count in zip(level.items.tolist(), level.counts.tolist(), strict=True)
    }


def _held_by(held: NDArray[np.bool_]) -> Baskets:
    basket, item = np.nonzero(held)
    return Baskets.from_pairs(basket, item, *held.shape)


def _random(n_baskets: int, n_items: int, share: float, seed: int = 0) -> Baskets:
    held = np.random.default_rng(seed).random((n_baskets, n_items)) < share
    return _held_by(held)


def _assert_same(left: Itemsets, right: Itemsets) -> None:
    assert len(left.levels) == len(right.levels)
    for one, other in zip(left.levels, right.levels, strict=True):
        np.testing.assert_array_equal(one.items, other.items)
        np.testing.assert_array_equal(one.counts, other.counts)


@every_miner
@settings(max_examples=60, deadline=None)
@given(sets=sets_of_items, min_count=st.integers(1, 6), max_length=st.one_of(st.none(), st.integers(1, 4)))
def test_agrees_with_counting_every_subset(
    mine: Miner, sets: list[frozenset[int]], min_count: int, max_length: int | None
) -> None:
    found = mine(Baskets.of(sets, 8), min_count, max_length, None)
    assert _as_dict(found) == _brute_force(sets, min_count, max_length or 8)
    for level in found.levels:
        assert (np.diff(level.items, axis=1) > 0).all()
        assert level.items.tolist() == sorted(level.items.tolist())


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_all_three_agree_on_more_than_a_word_of_baskets(share: float) -> None:
    baskets = _random(400, 14, share)
    answers = [mine(baskets, 6, None, None) for mine in MINERS.values()]
    assert len(answers[0].levels) >= 2
    for answer in answers[1:]:
        _assert_same(answers[0], answer)


def test_the_same_in_blocks_and_with_merged_tails(monkeypatch: pytest.MonkeyPatch) -> None:
    # Few items and many baskets, so that many tails are equal, from a sample on.
    baskets = _random(6000, 8, 0.5)
    merged: list[bool] = []
    plain = fp_growth_module._merged

    def watched(*given: object) -> object:
        heads, weight = plain(*given)  # type: ignore[arg-type]
        merged.append(weight is not None)
        return heads, weight

    whole = fp_growth_module.fp_growth(baskets, 20)
    monkeypatch.setattr(fp_growth_module, "_merged", watched)
    monkeypatch.setattr(fp_growth_module, "MERGE_FROM", 1)
    _assert_same(whole, fp_growth_module.fp_growth(baskets, 20))
    assert any(merged)
    monkeypatch.setattr(fp_growth_module, "BLOCK", 50)
    _assert_same(whole, fp_growth_module.fp_growth(baskets, 20))
    monkeypatch.setattr(fp_growth_module, "MERGE_FROM", 1 << 60)
    _assert_same(whole, fp_growth_module.fp_growth(baskets, 20))
    monkeypatch.setattr(eclat_module, "WORDS", 50)
    _assert_same(whole, eclat_module.eclat(baskets, 20))


def test_names_that_collide_merge_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Constant:
        def integers(self, *given: object, **named: object) -> object:
            return np.ones(given[2], dtype=np.uint64)  # type: ignore[call-overload]

    baskets = _random(6000, 8, 0.5)
    whole = fp_growth_module.fp_growth(baskets, 20)
    monkeypatch.setattr(fp_growth_module, "MERGE_FROM", 1)
    monkeypatch.setattr(np.random, "default_rng", lambda seed: Constant())
    _assert_same(whole, fp_growth_module.fp_growth(baskets, 20))


@every_miner
def test_stops_at_the_allowed_number(mine: Miner) -> None:
    baskets = Baskets.of([range(10)] * 5, 10)
    assert len(mine(baskets, 5, None, 1023)) == 1023
    with pytest.raises(TooManyItemsets, match="more than 1,022 itemsets are in 5 baskets"):
        mine(baskets, 5, None, 1022)


@every_miner
def test_thin_baskets(mine: Miner) -> None:
    assert mine(Baskets.of([], 4), 1, None, None).levels == ()
    assert mine(Baskets.of([[], []], 4), 1, None, None).levels == ()
    assert mine(Baskets.of([[1]], 4), 2, None, None).levels == ()
    assert _as_dict(mine(Baskets.of([[2, 0]], 4), 1, None, None)) == {(0,): 1, (2,): 1, (0, 2): 1}
    assert _as_dict(mine(Baskets.of([[3]] * 70, 4), 70, None, None)) == {(3,): 70}


def test_finds_sets_and_says_what_is_not_there() -> None:
    itemsets = frequent_itemsets(_random(300, 10, 0.3), 0.02)
    for level in itemsets.levels:
        np.testing.assert_array_equal(itemsets.find(level.items), np.arange(len(level)))
    absent = [items for items in combinations(range(10), 4) if items not in _as_dict(itemsets)]
    assert absent
    assert (itemsets.find(np.array(absent, dtype=np.int32)) == -1).all()
    longer = np.arange(len(itemsets.levels) + 1, dtype=np.int32)[None]
    assert itemsets.find(longer).tolist() == [-1]


def test_order_does_not_depend_on_how_large_item_numbers_are() -> None:
    rng = np.random.default_rng(1)
    sets = np.array([rng.choice(9, 5, replace=False) for _ in range(50)], dtype=np.int32)
    small, large = (in_order(sets, np.arange(50), n_items) for n_items in (9, 2**31 - 1))
    np.testing.assert_array_equal(small.items, large.items)


@given(count=st.integers(1, 20_000), n=st.integers(1, 20_000))
def test_least_count_is_the_first_whose_share_suffices(count: int, n: int) -> None:
    count = min(count, n)
    assert least_count(count / n, n) == count
    assert least_count(np.nextafter(count / n, 2.0), n) == count + 1


def test_the_support_is_raised_until_the_sets_are_few() -> None:
    baskets = _random(500, 30, 0.3)
    many, length = bounded_itemsets(baskets, 10**6, 3)
    assert (many.min_count, length) == (HANDFUL, 3)
    few, length = bounded_itemsets(baskets, 200, 3)
    assert few.min_count > HANDFUL
    assert 30 <= len(few) <= 200
    _assert_same(few, frequent_itemsets(baskets, few.min_count / 500, length))


def test_where_no_support_helps_the_sets_are_shorter() -> None:
    same = Baskets.of([range(30)] * 10, 30)
    itemsets, length = bounded_itemsets(same, 500, 4)
    assert (itemsets.min_count, length, len(itemsets)) == (10, 2, 30 + 435)
    with pytest.raises(TooManyItemsets):
        bounded_itemsets(same, 20, 4)


def test_needs_a_basket_with_an_item() -> None:
    for baskets in (Baskets.of([], 3), Baskets.of([[]], 3)):
        with pytest.raises(NotEnoughData, match="at least one basket"):
            frequent_itemsets(baskets, 0.5)
        with pytest.raises(NotEnoughData, match="at least one basket"):
            bounded_itemsets(baskets, 100, 4)
