import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.metrics import adjusted_rand_score

from app.learning.customers.features import FEATURES, FeatureTable
from app.learning.customers.segmentation import (
    OUTLIER,
    UNKNOWN,
    Segmentation,
    SegmentationConfig,
    fit_segmentation,
)
from app.learning.customers.segments.budget import MEBIBYTE, budget
from app.learning.recommenders.base import NotEnoughData

NAMES = tuple(feature.name for feature in FEATURES[:12])
UNITS = tuple(feature.unit for feature in FEATURES[:12])
SIZES = (60, 30, 20)
RECIPES = [
    SegmentationConfig(),
    SegmentationConfig(kind="agglomerative"),
    SegmentationConfig(kind="agglomerative", linkage="average"),
    SegmentationConfig(kind="agglomerative", linkage="complete"),
    SegmentationConfig(kind="dbscan"),
]
each_recipe = pytest.mark.parametrize("config", RECIPES, ids=lambda c: f"{c.kind}-{c.linkage}")


def _customers(sizes: tuple[int, ...] = SIZES) -> FeatureTable:
    """Lapsed one-time buyers, regulars with high value, browsers; and every tenth is unknown."""
    rng = np.random.default_rng(2)
    kinds: list[dict[str, float]] = [
        {"recency_days": 300, "interactions": 2, "frequency": 1, "monetary": 20, "purchase_value": 20},
        {
            "recency_days": 5,
            "interactions": 80,
            "active_days": 40,
            "frequency": 20,
            "monetary": 2000,
            "recent_share": 0.3,
        },
        {
            "recency_days": 20,
            "interactions": 30,
            "active_days": 4,
            "views_per_purchase": 30,
            "recent_share": 0.9,
        },
    ]
    rows = [
        [rng.normal(kind.get(name, 0), 0.03 * kind.get(name, 0)) for name in NAMES]
        for kind, size in zip(kinds, sizes, strict=True)
        for _ in range(size)
    ]
    values = np.abs(np.array(rows))
    values[:, NAMES.index("frequency")] = np.rint(values[:, NAMES.index("frequency")])
    values = np.insert(values, slice(0, len(values), 10), 0.0, axis=0)
    return FeatureTable(NAMES, UNITS, values, values.any(axis=1))


def _planted(n: int, seed: int = 0, kinds: int = 4) -> tuple[FeatureTable, NDArray[np.int64]]:
    """Customers of several kinds in five features, lognormal around their middles."""
    middles = np.random.default_rng(5).permuted(np.tile(np.arange(kinds) * 1.5, (5, 1)), axis=1).T
    rng = np.random.default_rng(seed)
    truth = rng.integers(kinds, size=n)
    values = np.exp(middles[truth] + rng.normal(0, 0.25, (n, 5)))
    return FeatureTable(NAMES[:5], UNITS[:5], values, np.ones(n, dtype=np.bool_)), truth


def _table(values: NDArray[np.float64]) -> FeatureTable:
    n, width = values.shape
    return FeatureTable(NAMES[:width], UNITS[:width], values, np.ones(n, dtype=np.bool_))


def _fit(features: FeatureTable, config: SegmentationConfig | None = None) -> Segmentation:
    return fit_segmentation(config or SegmentationConfig(), features, np.random.default_rng(0))


@pytest.fixture(scope="module")
def model() -> Segmentation:
    return _fit(_customers())


def test_finds_the_kinds_the_largest_first(model: Segmentation) -> None:
    features = _customers()
    assert model.sizes.tolist() == list(SIZES)
    assert (model.labels[~features.known] == UNKNOWN).all()
    assert model.labels[features.known].tolist() == [0] * 60 + [1] * 30 + [2] * 20
    assert model.segment_ids == ["kmeans-1", "kmeans-2", "kmeans-3"]
    centre = dict(zip(NAMES, model.found.centres[1], strict=True))
    assert centre["monetary"] == pytest.approx(2000, rel=0.05)
    assert centre["recency_days"] == pytest.approx(5, rel=0.05)


@each_recipe
def test_planted_kinds_are_found(config: SegmentationConfig) -> None:
    features, truth = _planted(600)
    model = _fit(features, config)
    inside = model.labels >= 0
    assert adjusted_rand_score(truth[inside], model.labels[inside]) > 0.98
    assert inside.mean() > (0.8 if config.kind == "dbscan" else 0.99)
    assert len(model.ids) == 4


@each_recipe
def test_assigns_as_it_learned(config: SegmentationConfig) -> None:
    features, _ = _planted(300)
    strange = replace(features, values=np.vstack([features.values, np.full((1, 5), 1e4)]))
    features = replace(strange, known=np.append(features.known, True))
    model = _fit(features, config)
    np.testing.assert_array_equal(model.assign(features), model.labels)
    for row in (0, 7, 300):
        assert model.assign(features.rows(np.array([row]))).tolist() == [model.labels[row]]
    assert (model.labels[300] == OUTLIER) == (config.kind == "dbscan")
    again = Segmentation.from_arrays(config, model.arrays())
    np.testing.assert_array_equal(again.assign(features), model.labels)


@each_recipe
def test_more_customers_than_memory_has_room_for(
    config: SegmentationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.learning.customers.segments.budget._ROWS_MOST", 400)
    monkeypatch.setattr("app.learning.customers.segments.model._CHUNK", 999)
    features, truth = _planted(5000)
    model = _fit(features, config)
    assert model.sampled == 400
    inside = model.labels >= 0
    assert inside.mean() > 0.9
    assert adjusted_rand_score(truth[inside], model.labels[inside]) > 0.98
    assert model.sizes.sum() == inside.sum()


def test_the_memory_bound_decides_the_sample() -> None:
    small, large = (budget(mb, 10**6, 12, 12, pairs=True) for mb in (64, 512))
    assert small.rows < large.rows < 10**6
    for memory_mb, plan in ((64, small), (512, large)):
        assert plan.rows**2 * 16 <= memory_mb * MEBIBYTE / 2
    assert budget(512, 50, 12, 12, pairs=True).rows == 50
    assert budget(64, 10**6, 4000, 12, pairs=False).rows * 4000 * 8 < 64 * MEBIBYTE


def test_quality_of_every_number_tried() -> None:
    features, _ = _planted(400)
    model = _fit(features, SegmentationConfig(max_segments=7))
    table = model.describe()["quality"]
    assert [row["segments"] for row in table] == [2, 3, 4, 5, 6, 7]
    best = table[2]
    assert best["votes"] == 3
    assert best["silhouette"] == max(row["silhouette"] for row in table)
    assert best["davies_bouldin"] == min(row["davies_bouldin"] for row in table)
    assert best["calinski_harabasz"] == max(row["calinski_harabasz"] for row in table)


def test_says_what_sets_them_apart(model: Segmentation) -> None:
    first, second, third = model.distinguishing
    assert ("recency_days", "high") in [(mark.feature, mark.direction) for mark in first]
    assert ("views_per_purchase", "high") in [(mark.feature, mark.direction) for mark in third]
    for marks in (first, second, third):
        differences = [abs(mark.difference) for mark in marks]
        assert differences == sorted(differences, reverse=True)
    assert len(set(model.segment_names)) == len(first) == 3
    features = _customers()
    known = features.values[features.known]
    column, inside = known[:, NAMES.index("frequency")], model.labels[features.known] == 1
    mark = next(mark for mark in second if mark.feature == "frequency")
    assert mark.ratio == pytest.approx(column[inside].mean() / column[~inside].mean())
    assert mark.says == f"buys {mark.ratio:.0f} x as often as others"


def test_same_seed_same_segments() -> None:
    features, _ = _planted(300)
    for config in RECIPES:
        first, second = _fit(features, config).arrays(), _fit(features, config).arrays()
        for name, array in first.items():
            np.testing.assert_array_equal(array, second[name])


def test_arrays_round_trip(model: Segmentation) -> None:
    again = Segmentation.from_arrays(SegmentationConfig(), model.arrays())
    assert all(not array.dtype.hasobject for array in model.arrays().values())
    assert again.describe() == model.describe()


@each_recipe
def test_describes_itself_in_json(config: SegmentationConfig) -> None:
    model = _fit(_customers(), config)
    described = json.loads(json.dumps(model.describe(), allow_nan=False))
    assert described["kind"] == config.kind
    inside = sum(segment["size"] for segment in described["segments"])
    assert inside + described["outliers"] == described["n_users"] == 110
    assert all(len(segment["sets_apart"]) == 3 for segment in described["segments"])
    assert described["segments"][0]["distinguishing"][0]["direction"] in {"high", "low"}


def test_only_the_chosen_features_count() -> None:
    features = _customers()
    model = _fit(features, SegmentationConfig(features=("recency_days", "monetary")))
    assert model.names == ("recency_days", "monetary")
    np.testing.assert_array_equal(model.assign(features), model.labels)
    with pytest.raises(ValueError, match="missing here: monetary"):
        model.assign(features.columns(["recency_days"]))


def test_number_of_segments_can_be_set() -> None:
    features, _ = _planted(300)
    config = SegmentationConfig(min_segments=5, max_segments=5, min_share=0)
    assert len(_fit(features, config).sizes) == 5
    with pytest.raises(ValidationError, match="above max_segments"):
        SegmentationConfig(min_segments=6, max_segments=5)


@each_recipe
def test_too_few_or_all_the_same(config: SegmentationConfig) -> None:
    features = _customers()
    for n in (0, 1, 9):
        few = features.rows(np.flatnonzero(features.known)[:n])
        with pytest.raises(NotEnoughData, match=f"10 users with interactions, there are {n}"):
            _fit(few, config)
    with pytest.raises(NotEnoughData, match="differ: 20 users are of 1 kinds"):
        _fit(_table(np.full((20, 12), 3.0)), config)


@each_recipe
def test_few_kinds_of_customers(config: SegmentationConfig) -> None:
    values = np.zeros((24, 12))
    values[:10, 0] = 3
    assert _fit(_table(values), config).sizes.tolist() == [14, 10]


@each_recipe
@pytest.mark.parametrize("spread", [0.0, 1e-12, 1.0, 1e9])
def test_odd_tables_give_finite_answers(config: SegmentationConfig, spread: float) -> None:
    """One feature, refunds below 0, a far outlier, tiny differences: no NaN and no warning."""
    rng = np.random.default_rng(1)
    values = rng.normal(0, 1, (30, 1)) * spread
    values[:5] = 1e6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = _fit(_table(values), config)
        json.dumps(model.describe(), allow_nan=False)
    assert np.isfinite(model.clusters.points).all()


def test_the_same_fact_counts_once() -> None:
    features = _customers()
    values = features.values.copy()
    values[:, NAMES.index("interactions")] = values[:, NAMES.index("frequency")]
    model = _fit(replace(features, values=values))
    assert model.scaling.spread[NAMES.index("interactions")] == 0
    assert model.scaling.spread[NAMES.index("frequency")] > 0
    assert not any(mark.feature == "interactions" for marks in model.distinguishing for mark in marks)
