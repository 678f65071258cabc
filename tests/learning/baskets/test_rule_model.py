import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.baskets.baskets import Baskets
from app.learning.baskets.model import RuleModel, RulesConfig, fit, fit_baskets
from app.learning.dataset import Histories
from app.learning.recommenders.base import NotEnoughData
from tests.worlds import world

N_ITEMS = 12


def _held_by(held: NDArray[np.bool_]) -> Baskets:
    basket, item = np.nonzero(held)
    return Baskets.from_pairs(basket, item, *held.shape)


def _shop() -> Baskets:
    """Who buys 0 buys 1; who buys 2 and 3 buys 4; the others are bought at random."""
    rng = np.random.default_rng(5)
    held = rng.random((3000, N_ITEMS)) < 0.15
    held[:, 1] |= held[:, 0] & (rng.random(3000) < 0.8)
    held[:, 4] |= held[:, 2] & held[:, 3] & (rng.random(3000) < 0.9)
    return _held_by(held)


@pytest.fixture(scope="module")
def model() -> RuleModel:
    return fit_baskets(RulesConfig(), _shop())


def _carts(*carts: Sequence[int]) -> Baskets:
    return Baskets.of(carts, N_ITEMS)


def _by_hand(model: RuleModel, cart: set[int], n: int) -> list[tuple[int, int]]:
    """Item and rule, looking at one rule after the other."""
    best: dict[int, int] = {}
    for number, antecedent in enumerate(model.rules.antecedents.tolist()):
        item = int(model.rules.consequents[number, 0])
        if set(antecedent) - {-1} <= cart and item not in cart:
            best.setdefault(item, number)
    return sorted(best.items(), key=lambda pair: pair[1])[:n]


def test_finds_what_was_planted(model: RuleModel) -> None:
    best = model.best(_carts([0], [2, 3]), 1)
    assert best.items.tolist() == [[1], [4]]
    carried = model.describe(best.rules[:, 0])
    assert [rule["antecedent"] for rule in carried] == [[0], [2, 3]]
    assert carried[0]["confidence"] == pytest.approx(0.83, abs=0.04)


def test_what_is_random_makes_next_to_no_rules() -> None:
    held = np.random.default_rng(0).random((2000, 25)) < 0.2
    baskets = _held_by(held)
    random = fit_baskets(RulesConfig(), baskets)
    assert random.thresholds.n_tested > 10_000
    assert len(random.rules) <= 5


@settings(max_examples=60, deadline=None)
@given(carts=st.lists(st.frozensets(st.integers(0, N_ITEMS - 1)), max_size=5), n=st.integers(1, N_ITEMS))
def test_best_is_what_looking_at_every_rule_finds(carts: list[frozenset[int]], n: int) -> None:
    model = _loose()
    best = model.best(_carts(*map(tuple, carts)), n)
    assert best.items.shape == best.scores.shape == best.rules.shape == (len(carts), n)
    for row, cart in enumerate(carts):
        wanted = _by_hand(model, set(cart), n)
        found = int((best.items[row] >= 0).sum())
        pairs = zip(best.items[row, :found].tolist(), best.rules[row, :found].tolist(), strict=True)
        assert list(pairs) == wanted
        assert (best.scores[row, found:] == 0).all()
        assert (best.rules[row, found:] == -1).all()
        np.testing.assert_array_equal(best.scores[row, :found], model.strength[best.rules[row, :found]])


_KEPT: list[RuleModel] = []


def _loose() -> RuleModel:
    """With many rules of every length, made once."""
    if not _KEPT:
        config = RulesConfig(min_confidence=0, min_lift=0, false_discoveries=0.99)
        _KEPT.append(fit_baskets(config, _shop()))
        lengths = (_KEPT[0].rules.antecedents >= 0).sum(axis=1)
        assert set(lengths.tolist()) == {1, 2, 3}
    return _KEPT[0]


def test_rules_are_in_order_of_strength_then_of_items() -> None:
    rules = _loose().rules
    strength = (rules.confidence * rules.lift).tolist()
    keys = [
        (-value, consequent, sum(item >= 0 for item in antecedent), antecedent)
        for value, (consequent,), antecedent in zip(
            strength, rules.consequents.tolist(), rules.antecedents.tolist(), strict=True
        )
    ]
    assert keys == sorted(keys)


def test_equal_rules_name_the_lower_item_first() -> None:
    together = [[0, 5, 3]] * 20 + [[1]] * 20 + [[2]] * 20
    model = fit_baskets(RulesConfig(), Baskets.of(together, 6))
    assert model.best(Baskets.of([[0]], 6), 3).items.tolist() == [[3, 5, -1]]
    assert model.rules.conviction.tolist() == [np.inf] * len(model.rules)
    described = model.describe(np.array([0]))[0]
    assert described["conviction"] is None
    json.dumps(described, allow_nan=False)


def test_score_is_the_strongest_rule_of_each_item() -> None:
    model = _loose()
    matrix = np.zeros((3, N_ITEMS), dtype=np.float32)
    matrix[0, [0, 2]] = 1.0
    matrix[1, [2, 3, 7]] = 0.5
    sparse = csr_array(matrix)
    scores = model.score(Histories(sparse, np.zeros(sparse.nnz, dtype=np.float32)))
    best = model.best(_carts([0, 2], [2, 3, 7], []), N_ITEMS)
    wanted = np.zeros_like(scores)
    row, place = np.nonzero(best.items >= 0)
    wanted[row, best.items[row, place]] = best.scores[row, place]
    np.testing.assert_array_equal(scores, wanted)
    assert scores.dtype == np.float32
    assert (scores[2] == 0).all()


def test_arrays_there_and_back(model: RuleModel) -> None:
    arrays = model.arrays()
    assert all(array.dtype.kind in "if" for array in arrays.values())
    again = RuleModel.from_arrays(RulesConfig(), arrays)
    assert again.thresholds == model.thresholds
    assert again.summary() == model.summary()
    assert type(again.thresholds.min_count) is int
    carts = _carts([0], [2, 3], [1, 5])
    np.testing.assert_array_equal(again.best(carts, 4).rules, model.best(carts, 4).rules)


def test_rules_that_hold_an_item(model: RuleModel) -> None:
    numbers = model.holding(4)
    assert numbers.tolist() == [
        number
        for number in range(len(model.rules))
        if 4 in model.rules.antecedents[number] or 4 in model.rules.consequents[number]
    ]
    assert len(numbers)


def test_says_which_thresholds_were_used(model: RuleModel) -> None:
    assert model.thresholds.min_count == 5
    assert model.thresholds.min_support == 5 / 3000
    bounded = fit_baskets(RulesConfig(max_itemsets=100), _shop())
    assert bounded.thresholds.min_count > 5
    assert bounded.thresholds.n_itemsets <= 100
    given = fit_baskets(RulesConfig(min_support=0.1, max_rules=1), _shop())
    assert given.thresholds.min_count == 300
    assert len(given.rules) == 1
    json.dumps(given.summary(), allow_nan=False)


def test_from_a_shop() -> None:
    events = [
        (f"u{user}", item, "purchase", 1.0 + user)
        for user in range(20)
        for item in (("tea", "milk") if user % 2 else ("beer", "nuts"))
    ]
    shop = world(events)
    model = fit(RulesConfig(), shop.dataset, np.random.default_rng(0))
    best = model.best(Baskets.of([[shop.column("tea")], [shop.column("nuts")]], len(shop.items)), 1)
    assert best.items.tolist() == [[shop.column("milk")], [shop.column("beer")]]


@pytest.mark.parametrize("sets", [[], [[0, 1]], [[0]] * 50, [[0, 1]] * 4 + [[]] * 9])
def test_needs_a_handful_of_baskets_of_two(sets: list[list[int]]) -> None:
    with pytest.raises(NotEnoughData, match="5 baskets of at least two items"):
        fit_baskets(RulesConfig(), Baskets.of(sets, 3))


@pytest.mark.parametrize(
    "sets",
    [[[0, 1, 2]] * 30, [[0, item] for item in range(1, 11)] * 3, [[item, item + 1] for item in range(10)]],
    ids=["all the same", "one in every basket", "all different"],
)
def test_what_says_nothing_makes_no_rules(sets: list[list[int]]) -> None:
    model = fit_baskets(RulesConfig(), Baskets.of(sets, 11))
    assert len(model.rules) == 0
    best = model.best(Baskets.of([[0], []], 11), 2)
    assert best.items.tolist() == [[-1, -1], [-1, -1]]
    again = RuleModel.from_arrays(RulesConfig(), model.arrays())
    assert again.best(Baskets.of([], 11), 2).items.shape == (0, 2)
    assert again.describe(again.holding(0)) == []
