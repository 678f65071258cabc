"""Many carts at once: looked up in parts, so that memory is bounded, and answered as one by one."""

import tracemalloc

import numpy as np
import pytest

from app.learning.baskets import model as module
from app.learning.baskets.baskets import Baskets
from app.learning.baskets.model import RuleModel, Thresholds
from app.learning.baskets.rules import Rules

N_ITEMS = 300


def _model(n_rules: int) -> RuleModel:
    rng = np.random.default_rng(4)
    antecedents = np.sort(rng.integers(0, N_ITEMS - 1, (n_rules, 2)), axis=1).astype(np.int32)
    antecedents[antecedents[:, 0] == antecedents[:, 1], 1] = N_ITEMS - 1
    antecedents[rng.random(n_rules) < 0.5, 1] = -1
    consequents = rng.integers(0, N_ITEMS, (n_rules, 1)).astype(np.int32)
    strength = np.sort(rng.random(n_rules))[::-1]
    ones = np.ones(n_rules, dtype=np.int64)
    rules = Rules(
        antecedents, consequents, ones, ones, ones, strength, strength, strength, strength, strength
    )
    return RuleModel(rules, Thresholds(1000, N_ITEMS, 5, 3, 0.1, 1.0, 0.05, n_rules, n_rules))


def _carts(n: int) -> Baskets:
    rng = np.random.default_rng(6)
    return Baskets.of([rng.integers(0, N_ITEMS, size).tolist() for size in rng.integers(0, 9, n)], N_ITEMS)


@pytest.mark.parametrize("at_once", [1, 50, 100_000])
def test_parts_change_nothing(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rules, carts = _model(5000), _carts(40)
    monkeypatch.setattr(module, "CANDIDATES_AT_ONCE", at_once)
    found = rules.best(carts, 5)
    assert (found.items[np.diff(carts.indptr) > 0, 0] >= 0).mean() > 0.8
    for row in range(len(carts)):
        cart = carts.indices[carts.indptr[row] : carts.indptr[row + 1]].tolist()
        alone = rules.best(Baskets.of([cart], N_ITEMS), 5)
        assert found.items[row].tolist() == alone.items[0].tolist()
        assert found.rules[row].tolist() == alone.rules[0].tolist()
        assert found.scores[row].tolist() == alone.scores[0].tolist()


def test_the_memory_of_many_carts_is_bounded() -> None:
    rules, carts = _model(50_000), _carts(20_000)
    rules.best(_carts(1), 1)
    tracemalloc.start()
    try:
        rules.best(carts, 5)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # At once it would be ten million candidates, more than 600 MiB.
    assert peak < 150 * 2**20
