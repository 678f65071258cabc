import numpy as np

from app.learning.evaluation.groups import members_of_groups, ndcg_by_group


def test_who_belongs_where() -> None:
    known = np.array([0, 1, 2, 3, 5, 6, 20, 21, 9_999])
    found = {name: known[members].tolist() for name, members in members_of_groups(known)}
    assert found == {"new": [1, 2], "light": [3, 5], "medium": [6, 20], "heavy": [21, 9_999]}


def test_each_model_by_group() -> None:
    known = np.array([1] * 20 + [30] * 3)
    values = np.concatenate([np.linspace(0, 1, 20), np.full(3, 0.25)])
    found = ndcg_by_group(known, {"": values, "active_": values / 2}, np.random.default_rng(0))
    assert list(found) == ["new", "heavy"]
    assert (found["new"]["users"], found["heavy"]["users"]) == (20, 3)
    low, high = found["new"]["ndcg_interval"]
    assert 0.3 < low < found["new"]["ndcg"] == 0.5 < high < 0.7
    assert found["new"]["active_ndcg"] == 0.25
    # Three users say nothing of the others.
    assert found["heavy"]["ndcg"] == 0.25
    assert found["heavy"]["ndcg_interval"] is found["heavy"]["active_ndcg_interval"] is None
