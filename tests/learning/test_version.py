"""A model version, stored and taken back."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.learning.analytics import AnalyticsConfig, fit_analytics
from app.learning.artifacts import read_version, write_version
from app.learning.preferences import RatingScale, dataset_histories, rating_scale
from app.learning.ranking.blend import Blend, Blends, normalised
from app.learning.ranking.cold_items import ColdItems
from app.learning.ratings.base import dataset_ratings
from app.learning.ratings.biased_factorization import BiasedFactorizationConfig, fit_biased_factorization
from app.learning.recommenders.base import NotEnoughData
from app.learning.recommenders.registry import FAMILIES
from app.learning.version import FORMAT, ModelVersion
from tests.worlds import WEIGHTS, Text, World, checkerboard, world


@pytest.fixture(scope="module")
def rated() -> World:
    """The checkerboard with ratings: each likes its own kind."""
    board = checkerboard()
    events: list[tuple[object, ...]] = []
    for user in range(18):
        for item in range(16):
            if (user + item) % 5:
                events.append((f"s{user:02}", f"i{item:02}", "view", float(3 + user)))
            if (user + item) % 3 == 0:
                events.append(
                    (f"s{user:02}", f"i{item:02}", "rate", 1.0, 5.0 if (user - item) % 2 == 0 else 2.0)
                )
    events += [("anonymous", "i00", "view", 2.0), ("anonymous", "i02", "view", 2.0)]
    texts = {f"i{item:02}": text for item, text in enumerate(_texts(board))}
    return world(events, texts, sessions=["anonymous"])


def _texts(board: World) -> list[Text]:
    table = board.dataset.items
    return [Text(title, brand=brand) for title, brand in zip(table.title, table.brand, strict=True)]


@pytest.fixture(scope="module")
def version(rated: World) -> ModelVersion:
    rng = np.random.default_rng(5)
    dataset = rated.dataset
    configs = {name: family.config() for name, family in FAMILIES.items()}
    models = {}
    for name, family in FAMILIES.items():
        with suppress(NotEnoughData):
            models[name] = family.fit(configs[name], dataset, rng)
    rating_config, analytics_config = BiasedFactorizationConfig(factors=4), AnalyticsConfig()
    return ModelVersion(
        user_keys=dataset.user_keys,
        item_keys=dataset.item_keys,
        recommenders=models,
        configs={name: configs[name].model_dump() for name in models},
        blends=Blends.single(Blend({name: 1 / len(models) for name in models})),
        cold=ColdItems.none(dataset.n_items),
        rating_model=fit_biased_factorization(rating_config, dataset, rng),
        rating_config=rating_config,
        analytics=fit_analytics(analytics_config, dataset, rng, None, lambda _done: None),
        analytics_config=analytics_config,
        scale=rating_scale(dataset.log),
        event_weights=dict(WEIGHTS),
        as_of=dataset.as_of,
    )


def stored(version: ModelVersion, folder: Path) -> ModelVersion:
    """The version after its way through files."""
    content, arrays = version.to_store()
    write_version(folder, "v1", content, arrays)
    return ModelVersion.from_store(*read_version(folder, "v1", verify=True))


def test_a_stored_version_scores_the_same(version: ModelVersion, rated: World, tmp_path: Path) -> None:
    again = stored(version, tmp_path)
    histories = dataset_histories(rated.dataset)
    blend = version.blends.usual
    before, after = (
        {name: normalised(one.recommenders[name], histories) for name in blend.weights}
        for one in (version, again)
    )
    assert again.blends == version.blends
    assert before.keys() == after.keys() == version.recommenders.keys()
    assert {"popularity", "item_neighbours", "content"} <= before.keys()
    for family in before:
        np.testing.assert_array_equal(before[family], after[family], err_msg=family)
    np.testing.assert_array_equal(blend.combine(before), blend.combine(after))
    known = dataset_ratings(rated.dataset)
    rows, items = np.arange(4, dtype=np.int64), np.array([0, 5, 15, 3], dtype=np.int64)
    assert version.rating_model is not None
    assert again.rating_model is not None
    for ours, theirs in zip(
        version.rating_model.predict(known, rows, items),
        again.rating_model.predict(known, rows, items),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert version.analytics.customers.segmentations
    figures, arrays = version.analytics.arrays(), again.analytics.arrays()
    assert figures.keys() == arrays.keys()
    for name, array in figures.items():
        np.testing.assert_array_equal(array, arrays[name], err_msg=name)
    assert again.analytics.missing == version.analytics.missing


def test_all_else_is_the_same_too(version: ModelVersion, tmp_path: Path) -> None:
    again = stored(version, tmp_path)
    assert again.to_store()[0] == version.to_store()[0]
    assert (again.scale, again.as_of, again.event_weights) == (version.scale, version.as_of, WEIGHTS)
    assert again.scale == RatingScale(2.0, 5.0)
    assert again.configs == version.configs
    np.testing.assert_array_equal(again.user_keys, version.user_keys)
    np.testing.assert_array_equal(again.item_keys, version.item_keys)


def test_a_version_may_lack_ratings(version: ModelVersion, tmp_path: Path) -> None:
    bare = ModelVersion(
        **{
            **vars(version),
            "rating_model": None,
            "scale": None,
            "recommenders": {"content": version.recommenders["content"]},
            "configs": {"content": version.configs["content"]},
            "blends": Blends.single(Blend({"content": 1.0})),
        }
    )
    again = stored(bare, tmp_path)
    assert (again.rating_model, again.scale) == (None, None)
    assert list(again.recommenders) == ["content"]


def test_a_batch_of_events_becomes_histories(version: ModelVersion) -> None:
    found = version.histories_of(
        np.array([0, 1, 1, 1], dtype=np.int32),
        np.array([2, 4, 4, 5], dtype=np.int32),
        ["view", "purchase", "view", "never_heard_of"],
        np.full(4, np.nan, dtype=np.float32),
        np.array([1, 1, 1, 1], dtype=np.float32),
        np.array([1, 9, 2, 3], dtype=np.float32),
        3,
    )
    assert found.matrix.shape == (3, 16)
    expected = np.zeros((3, 16), dtype=np.float32)
    expected[0, 2], expected[1, 4] = np.log(2), np.log(7)
    np.testing.assert_allclose(found.matrix.toarray(), expected, rtol=1e-6)
    assert found.ages.tolist() == [1, 2]


def test_no_events_are_an_empty_history(version: ModelVersion) -> None:
    none, nothing = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32)
    found = version.histories_of(none, none, [], nothing, nothing, nothing, 1)
    assert found.matrix.nnz == 0
    blend = version.blend_for(found, exclude_seen=True)
    scores = blend.score(version.recommenders, found)
    assert scores.shape == (1, 16)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    "damage",
    [
        {"format": FORMAT + 1},
        {"families": {"of_the_future": {}}},
        {"families": {"popularity": {"half_life": -1}}},
        {"families": {"popularity": {"unknown": 1}}},
        {"scale": [1]},
    ],
)
def test_what_this_release_cannot_read_is_refused(version: ModelVersion, damage: dict[str, Any]) -> None:
    content, arrays = version.to_store()
    with pytest.raises((KeyError, ValueError, TypeError)):
        ModelVersion.from_store(content | damage, arrays)


def test_a_missing_array_is_refused(version: ModelVersion) -> None:
    content, arrays = version.to_store()
    del arrays["recommenders/popularity/item_scores"]
    with pytest.raises(KeyError):
        ModelVersion.from_store(content, arrays)
