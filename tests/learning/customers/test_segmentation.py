import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from app.learning.customers.features import FEATURES, FeatureTable
from app.learning.customers.segment_names import Distinction, segment_names
from app.learning.customers.segmentation import Segmentation, SegmentationConfig, fit_segmentation
from app.learning.recommenders.base import NotEnoughData

NAMES = tuple(feature.name for feature in FEATURES)
UNITS = tuple(feature.unit for feature in FEATURES)
SIZES = (60, 30, 20)


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


def _fit(features: FeatureTable, config: SegmentationConfig | None = None) -> Segmentation:
    return fit_segmentation(config or SegmentationConfig(), features, np.random.default_rng(0))


@pytest.fixture(scope="module")
def model() -> Segmentation:
    return _fit(_customers())


def test_finds_the_kinds_the_largest_first(model: Segmentation) -> None:
    features = _customers()
    assert model.sizes.tolist() == list(SIZES)
    assert (model.labels[~features.known] == -1).all()
    assert model.labels[features.known].tolist() == [0] * 60 + [1] * 30 + [2] * 20
    assert model.quality[:, 0].tolist() == list(range(2, 11))
    assert model.quality[np.argmax(model.quality[:, 1]), 0] == 3
    assert np.isfinite(model.quality).all()
    centre = dict(zip(NAMES, model.centres[1], strict=True))
    assert centre["monetary"] == pytest.approx(2000, rel=0.05)
    assert centre["recency_days"] == pytest.approx(5, rel=0.05)


def test_says_what_sets_them_apart(model: Segmentation) -> None:
    first, second, third = model.distinguishing
    assert ("recency_days", "high") in [(mark.feature, mark.direction) for mark in first]
    assert {mark.direction for mark in second} == {"high"}
    assert ("views_per_purchase", "high") in [(mark.feature, mark.direction) for mark in third]
    for marks in model.distinguishing:
        differences = [abs(mark.difference) for mark in marks]
        assert len(marks) == 3
        assert differences == sorted(differences, reverse=True)
    assert len(set(model.segment_names)) == 3


def test_assigns_as_it_learned(model: Segmentation) -> None:
    features = _customers()
    np.testing.assert_array_equal(model.assign(features), model.labels)
    one = replace(features, values=features.values[[1]], known=features.known[[1]])
    assert model.assign(one).tolist() == [0]
    with pytest.raises(ValueError, match="not the features"):
        model.assign(replace(features, names=NAMES[::-1]))


def test_same_seed_same_segments(model: Segmentation) -> None:
    again = _fit(_customers())
    for name, array in again.arrays().items():
        np.testing.assert_array_equal(array, model.arrays()[name])


def test_arrays_round_trip(model: Segmentation) -> None:
    again = Segmentation.from_arrays(SegmentationConfig(), model.arrays())
    assert all(not array.dtype.hasobject for array in model.arrays().values())
    assert again.describe() == model.describe()
    np.testing.assert_array_equal(again.assign(_customers()), model.labels)


def test_describes_itself_in_json(model: Segmentation) -> None:
    described = json.loads(json.dumps(model.describe(), allow_nan=False))
    assert [segment["size"] for segment in described["segments"]] == list(SIZES)
    assert sum(segment["share"] for segment in described["segments"]) == pytest.approx(1)
    assert described["segments"][0]["distinguishing"][0]["direction"] in {"high", "low"}
    assert described["n_users"] == 110


def test_number_of_segments_can_be_set() -> None:
    assert len(_fit(_customers(), SegmentationConfig(min_segments=5, max_segments=5)).sizes) == 5
    with pytest.raises(ValidationError, match="above max_segments"):
        SegmentationConfig(min_segments=6, max_segments=5)


def test_many_users(monkeypatch: pytest.MonkeyPatch, model: Segmentation) -> None:
    monkeypatch.setattr("app.learning.customers.segmentation._MINI_BATCH_FROM", 50)
    monkeypatch.setattr("app.learning.customers.segmentation._ROWS_AT_ONCE", 7)
    np.testing.assert_array_equal(_fit(_customers()).labels, model.labels)


def test_too_few_or_all_the_same() -> None:
    features = _customers()
    few = np.flatnonzero(features.known)[:9]
    with pytest.raises(NotEnoughData, match="10 users with interactions, there are 9"):
        _fit(replace(features, values=features.values[few], known=features.known[few]))
    same = np.repeat(features.values[[1]], 20, axis=0)
    with pytest.raises(NotEnoughData, match="differ"):
        _fit(replace(features, values=same, known=np.ones(20, dtype=np.bool_)))


def test_two_kinds_make_two_segments() -> None:
    values = np.zeros((12, len(NAMES)))
    values[:5, 0] = 3
    model = _fit(FeatureTable(NAMES, UNITS, values, np.ones(12, dtype=np.bool_)))
    assert model.sizes.tolist() == [7, 5]


def _mark(feature: str, difference: float, centre: float = 5.0) -> Distinction:
    return Distinction(feature, "", "high" if difference > 0 else "low", difference, centre)


@pytest.mark.parametrize(
    ("marks", "name"),
    [
        ([_mark("recency_days", 2), _mark("frequency", -1, 1)], "lapsed, one-time buyers"),
        ([_mark("frequency", 2), _mark("monetary", 1)], "frequent buyers, high value"),
        ([_mark("frequency", -2, 0)], "not yet buyers"),
        ([_mark("monetary", 0.1)], "average customers"),
        ([_mark("shoe_size", -1)], "low shoe size"),
    ],
)
def test_names(marks: list[Distinction], name: str) -> None:
    assert segment_names([marks]) == [name]


def test_names_differ() -> None:
    marks = [_mark("frequency", 2), _mark("monetary", 1), _mark("tenure_days", -1)]
    assert segment_names([marks, marks, marks]) == [
        "frequent buyers, high value",
        "frequent buyers, high value, new",
        "frequent buyers, high value, new (2)",
    ]


def test_the_same_fact_counts_once() -> None:
    features = _customers()
    values = features.values.copy()
    values[:, NAMES.index("interactions")] = values[:, NAMES.index("frequency")]
    model = _fit(replace(features, values=values))
    assert model.scaling.deviation[NAMES.index("interactions")] == 0
    assert model.scaling.deviation[NAMES.index("frequency")] > 0
    assert not any(mark.feature == "interactions" for marks in model.distinguishing for mark in marks)
