"""What every recommender family must pass: one line for each in `CASES`."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.learning.dataset import Dataset
from app.learning.preferences import dataset_histories
from app.learning.recommenders.base import NotEnoughData, Recommender
from app.learning.recommenders.registry import FAMILIES
from tests.worlds import befriended, checkerboard, world


@dataclass(frozen=True)
class Case:
    reads_history: bool = True
    """False for families that show everybody the same."""
    finds_new: bool = True
    """False for families that only know what the person has chosen before."""
    reads_ties: bool = False
    """True for families that know a person by others only."""
    config: dict[str, Any] = field(default_factory=dict)
    """What a tiny world needs otherwise than a shop."""


CASES = {
    "popularity": Case(reads_history=False),
    "trending": Case(reads_history=False),
    "category_popularity": Case(),
    "social": Case(reads_ties=True),
    "item_neighbours": Case(),
    "user_neighbours": Case(config={"neighbours": 8}),
    "truncated_svd": Case(config={"factors": 2}),
    "content": Case(),
    "repeat": Case(finds_new=False),
    "session_neighbours": Case(config={"pause_minutes": 100_000}),
    "transitions": Case(config={"longest_gap": 60, "window": 10, "last": 50}),
    "rp3beta": Case(),
    "ease": Case(),
    "als": Case(config={"factors": 4}),
}

families = pytest.mark.parametrize("name", FAMILIES)
WORLD = befriended(checkerboard())


def fitted(name: str, dataset: Dataset = WORLD.dataset, seed: int = 7) -> Recommender:
    family = FAMILIES[name]
    return family.fit(family.config(**CASES[name].config), dataset, np.random.default_rng(seed))


def same_arrays(left: Recommender, right: Recommender) -> bool:
    ours, theirs = left.arrays(), right.arrays()
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[key], theirs[key]) for key in ours)


def test_each_family_has_its_case() -> None:
    assert set(CASES) == set(FAMILIES)
    assert all(family.name == name for name, family in FAMILIES.items())


@families
def test_scores_have_the_promised_shape(name: str) -> None:
    histories = dataset_histories(WORLD.dataset)
    scores = fitted(name).score(histories)
    assert scores.shape == (WORLD.dataset.n_subjects, WORLD.dataset.n_items)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert scores.any()
    assert scores.flags.writeable, "ranking masks scores in place"


@families
def test_arrays_round_trip_through_mapped_files(name: str, tmp_path: Path) -> None:
    model = fitted(name)
    mapped: dict[str, NDArray[Any]] = {}
    for key, array in model.arrays().items():
        np.save(tmp_path / f"{key}.npy", array, allow_pickle=False)
        mapped[key] = np.load(tmp_path / f"{key}.npy", mmap_mode="r", allow_pickle=False)
    family = FAMILIES[name]
    restored = family.model.from_arrays(family.config(**CASES[name].config), mapped)
    histories = dataset_histories(WORLD.dataset)
    np.testing.assert_array_equal(restored.score(histories), model.score(histories))
    assert same_arrays(restored, model)


@families
def test_batch_equals_single(name: str) -> None:
    model = fitted(name)
    histories = dataset_histories(WORLD.dataset)
    together = model.score(histories)
    for row in range(len(histories)):
        entries = slice(histories.matrix.indptr[row], histories.matrix.indptr[row + 1])
        alone = replace(histories.take(np.array([row])), ages=histories.ages[entries])
        np.testing.assert_allclose(model.score(alone)[0], together[row], rtol=1e-5, atol=1e-6)


@families
def test_scoring_leaves_histories_and_model_as_they_were(name: str) -> None:
    model = fitted(name)
    histories = dataset_histories(WORLD.dataset)
    before = histories.matrix.copy()
    first = model.score(histories)
    expected = first.copy()
    first[:] = -1.0
    np.testing.assert_array_equal(model.score(histories), expected)
    np.testing.assert_array_equal(histories.matrix.toarray(), before.toarray())


@families
def test_empty_batch_and_empty_history(name: str) -> None:
    model = fitted(name)
    assert model.score(WORLD.histories([])).shape == (0, WORLD.dataset.n_items)
    scores = model.score(WORLD.history())
    assert np.isfinite(scores).all()
    if not CASES[name].reads_ties:
        assert scores.any() == (not CASES[name].reads_history)


@families
def test_history_of_items_unknown_at_training(name: str) -> None:
    log = WORLD.dataset.log
    without_last = log.where(log.item < WORLD.dataset.n_items - 1)
    model = fitted(name, WORLD.dataset.with_log(without_last, WORLD.dataset.as_of))
    scores = model.score(WORLD.history(WORLD.items[-1]))
    assert scores.shape == (1, WORLD.dataset.n_items)
    assert np.isfinite(scores).all()


@families
def test_deterministic_for_a_seed_and_refit_equals_fresh_fit(name: str) -> None:
    first = fitted(name)
    fitted(name, befriended(checkerboard(n_subjects=30)).dataset)
    assert same_arrays(first, fitted(name))


@families
def test_finds_the_answer_in_the_checkerboard_world(name: str) -> None:
    if not CASES[name].reads_history:
        scores = fitted(name).score(WORLD.histories([(), ("i00",)]))
        np.testing.assert_array_equal(scores[0], scores[1])
        return
    histories = dataset_histories(WORLD.dataset)
    if not CASES[name].finds_new:
        np.testing.assert_array_equal(fitted(name).score(histories) > 0, histories.matrix.toarray() > 0)
        return
    unseen = np.where(histories.matrix.toarray() > 0, -np.inf, fitted(name).score(histories))
    best = np.argsort(-unseen, axis=1)[:, :2]
    for row, subject in enumerate(WORLD.subjects):
        taste = int(subject[1:]) % 2
        assert {int(WORLD.items[item][1:]) % 2 for item in best[row]} == {taste}, subject


@families
@pytest.mark.parametrize(
    "dataset",
    [
        world([]).dataset,
        world([], users=["a"]).dataset,
        world([("a", "x"), ("a", "y", "view", 9.0)], weights={"view": 0.0}).dataset,
    ],
    ids=["nothing", "a user", "events without weight"],
)
def test_too_little_data_is_told(name: str, dataset: Dataset) -> None:
    with pytest.raises(NotEnoughData, match="needs"):
        fitted(name, dataset)


@pytest.mark.parametrize(
    "name", [name for name in FAMILIES if CASES[name].reads_history and name != "category_popularity"]
)
def test_one_item_is_too_little_to_relate(name: str) -> None:
    with pytest.raises(NotEnoughData, match="needs"):
        fitted(name, world([("a", "x", "view", 9.0), ("b", "x")]).dataset)
