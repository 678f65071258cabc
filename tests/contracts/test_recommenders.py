"""What every recommender family must pass: one line for each in `CASES`."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import Dataset, Histories
from app.learning.preferences import dataset_histories
from app.learning.ranking.blend import normalise, normalised
from app.learning.recommenders.base import Explainable, NotEnoughData, Recommender
from app.learning.recommenders.evidence import Evidence, Selective
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
    explains: bool = True
    """False for families that cannot say which entries of a history carried a score."""
    config: dict[str, Any] = field(default_factory=dict)
    """What a tiny world needs otherwise than a shop."""


CASES = {
    "popularity": Case(reads_history=False, explains=False),
    "trending": Case(reads_history=False, explains=False),
    "category_popularity": Case(),
    "social": Case(reads_ties=True, explains=False),
    "item_neighbours": Case(),
    "user_neighbours": Case(config={"neighbours": 8}),
    "truncated_svd": Case(config={"factors": 2}),
    "content": Case(),
    "repeat": Case(finds_new=False),
    "recently_viewed": Case(finds_new=False),
    "session_neighbours": Case(config={"pause_minutes": 100_000}),
    "transitions": Case(config={"longest_gap": 60, "window": 10, "last": 50}),
    "rp3beta": Case(),
    "ease": Case(),
    "als": Case(config={"factors": 4}),
}

families = pytest.mark.parametrize("name", FAMILIES)
explaining = pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.explains])
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
def test_evidence_of_one_history_is_its_scores(name: str) -> None:
    model = fitted(name)
    if not isinstance(model, Selective):
        assert not CASES[name].reads_history
        return
    histories = dataset_histories(WORLD.dataset)
    together = model.evidences(histories)
    assert len(together) == len(histories)
    for row, of_row in enumerate(together):
        alone = histories.take(np.array([row]))
        found, scores = model.evidence(alone), model.score(alone)
        np.testing.assert_allclose(found.dense(), scores, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(of_row.dense(), scores, rtol=1e-4, atol=1e-6)
        scaled = normalised(model, alone)
        assert isinstance(scaled, Evidence)
        np.testing.assert_allclose(scaled.dense(), normalise(scores), rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(of_row.at(np.arange(scores.shape[1])), of_row.dense()[0])
        np.testing.assert_array_equal(found.at(np.arange(scores.shape[1])), found.dense()[0])


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


def explainable(name: str, **config: Any) -> Any:
    family = FAMILIES[name]
    recipe = family.config(**(CASES[name].config | config))
    model = family.fit(recipe, WORLD.dataset, np.random.default_rng(7))
    assert isinstance(model, Explainable)
    return model


def varied(row: int, seed: int = 0) -> Histories:
    """A history of the world with other preferences and ages."""
    rng = np.random.default_rng(seed)
    history = dataset_histories(WORLD.dataset).take(np.array([row]))
    matrix = history.matrix.copy()
    matrix.data = rng.uniform(0.2, 2.0, matrix.nnz).astype(np.float32)
    ages = rng.permutation(matrix.nnz).astype(np.float32)
    return replace(history, matrix=matrix, ages=ages, seen=None)


OPTIONS: dict[str, list[dict[str, Any]]] = {
    "user_neighbours": [{"similarity": "pearson"}, {"similarity": "euclidean", "weighting": "tf_idf"}],
    "item_neighbours": [{"similarity": "adjusted_cosine"}, {"weighting": "bm25", "recency": 10.0}],
    "ease": [{"memory_mb": 1, "block": 4, "neighbours": 3, "recency": 10.0}],
    "als": [{"recency": 10.0, "unobserved_weight": 1.0, "regularization": 0.3}],
    "truncated_svd": [{"normalisation": 1.0, "recency": 10.0}],
    "transitions": [{"last": 3}],
    "session_neighbours": [{"last": 3, "neighbours": 2}],
    "category_popularity": [{"recency": 10.0}],
}


@pytest.mark.parametrize(
    ("name", "config"),
    [(name, {}) for name in FAMILIES if CASES[name].explains]
    + [(name, config) for name, configs in OPTIONS.items() for config in configs],
)
def test_contributions_sum_to_the_score(name: str, config: dict[str, Any]) -> None:
    model = explainable(name, **config)
    items = np.array([5, 0, 3, 14, 5, 9], dtype=np.int32)
    for row in range(0, WORLD.dataset.n_subjects, 3):
        history = varied(row, seed=row)
        parts = model.contributions(history, items)
        assert parts.shape == (len(items), history.matrix.nnz)
        assert parts.dtype == np.float32
        scores = model.score(history)[0, items]
        np.testing.assert_allclose(parts.sum(axis=1), scores, rtol=1e-4, atol=1e-4 * np.abs(scores).max())
        assert parts.any() or not CASES[name].finds_new


@explaining
def test_contributions_keep_to_the_order_of_items_and_history(name: str) -> None:
    model = explainable(name)
    history = varied(4)
    items = np.arange(WORLD.dataset.n_items, dtype=np.int32)
    parts = model.contributions(history, items)
    np.testing.assert_allclose(model.contributions(history, items[::-1]), parts[::-1], rtol=1e-5, atol=1e-6)
    matrix = history.matrix
    backwards = csr_array((matrix.data[::-1], matrix.indices[::-1], matrix.indptr), shape=matrix.shape)
    turned = model.contributions(replace(history, matrix=backwards, ages=history.ages[::-1]), items)
    np.testing.assert_allclose(turned, parts[:, ::-1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if case.explains and case.finds_new])
def test_only_items_of_the_same_taste_carry_a_score(name: str) -> None:
    # Someone who likes both: an even item is carried by the even ones, an odd one by the odd.
    history = WORLD.history("i00", "i01", "i02", "i03", "i04")
    parts = explainable(name).contributions(history, np.array([8, 9], dtype=np.int32))
    even = history.matrix.indices % 2 == 0
    for row, alike in ((0, even), (1, ~even)):
        speaking = np.maximum(parts[row], 0)
        assert speaking[alike].sum() > 0.8 * speaking.sum() > 0


@explaining
def test_contributions_of_nothing_and_of_items_unknown_at_training(name: str) -> None:
    items = np.array([1, 2], dtype=np.int32)
    assert explainable(name).contributions(WORLD.history(), items).shape == (2, 0)
    assert explainable(name).contributions(WORLD.history("i00"), items[:0]).shape == (0, 1)
    log = WORLD.dataset.log
    without_last = log.where(log.item < WORLD.dataset.n_items - 1)
    model: Any = fitted(name, WORLD.dataset.with_log(without_last, WORLD.dataset.as_of))
    last = np.array([0, WORLD.dataset.n_items - 1], dtype=np.int32)
    history = WORLD.history(WORLD.items[-1], "i01")
    parts = model.contributions(history, last)
    np.testing.assert_allclose(parts.sum(axis=1), model.score(history)[0, last], rtol=1e-4, atol=1e-5)


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
