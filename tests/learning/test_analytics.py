"""What a training knows of customers, baskets and sales, on shops whose truth is known."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from app.learning.analytics import Analytics, AnalyticsConfig, fit_analytics
from app.learning.customers.customers import LIFETIME_FIGURES
from app.learning.dataset import Dataset
from app.learning.preferences import dataset_histories
from app.simulation.config import ShopConfig
from app.simulation.shop import Shop, simulate
from benchmarks.simulated import dataset_of
from tests.worlds import checkerboard, world


def fitted(dataset: Dataset, former: Analytics | None = None) -> Analytics:
    return fit_analytics(AnalyticsConfig(), dataset, np.random.default_rng(3), former, lambda _done: None)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return simulate(ShopConfig(seed=4, users=300, items=150, interactions=20_000, days=200))


@pytest.fixture(scope="module")
def dataset(shop: Shop) -> Dataset:
    return dataset_of(shop)


@pytest.fixture(scope="module")
def analytics(dataset: Dataset) -> Analytics:
    return fitted(dataset)


def test_every_part_is_there(analytics: Analytics, dataset: Dataset) -> None:
    assert analytics.missing == {}
    assert set(analytics.judged.segments) == {"kmeans", "agglomerative", "dbscan", "taste", "rfm"}
    assert set(analytics.judged.figures) == {
        *("churn", "next_purchase", "next_purchase_days", "value", "expected_days"),
        *LIFETIME_FIGURES,
    }
    for values in analytics.judged.figures.values():
        assert values.shape == (dataset.n_users,)
    for name in ("churn", "next_purchase", "alive"):
        values = analytics.judged.figures[name]
        told = values[~np.isnan(values)]
        assert len(told)
        assert ((told >= 0) & (told <= 1)).all()


def test_the_stored_analytics_are_the_same(analytics: Analytics) -> None:
    arrays = analytics.arrays()
    again = Analytics.from_arrays(AnalyticsConfig(), arrays)
    assert again.missing == analytics.missing
    for name, array in again.arrays().items():
        np.testing.assert_array_equal(array, arrays[name], err_msg=name)


def test_some_customers_are_judged_as_all_were(analytics: Analytics, dataset: Dataset) -> None:
    again = Analytics.from_arrays(AnalyticsConfig(), analytics.arrays())
    judged = again.customers.judge(dataset.with_all_events(), dataset_histories(dataset), [])
    for name, values in analytics.judged.figures.items():
        np.testing.assert_allclose(judged.figures[name], values, rtol=1e-6, err_msg=name)
    for kind, labels in analytics.judged.segments.items():
        np.testing.assert_array_equal(judged.segments[kind], labels, err_msg=kind)


def test_tastes_are_found(analytics: Analytics, shop: Shop) -> None:
    labels = analytics.judged.segments["taste"]
    known = labels >= 0
    assert adjusted_rand_score(shop.truth.user_taste[known], labels[known]) > 0.5
    tastes = analytics.customers.tastes
    assert tastes is not None
    names = tastes.segmentation.segment_names
    assert len(set(names)) == len(names)
    assert not any("direction" in name for name in names), names


def test_churners_are_found(analytics: Analytics, shop: Shop) -> None:
    churn = analytics.judged.figures["churn"]
    gone = shop.truth.churned
    told = ~np.isnan(churn)
    assert churn[told & gone].mean() > churn[told & ~gone].mean() + 0.2


def test_segments_found_again_keep_ids_and_names(dataset: Dataset, analytics: Analytics) -> None:
    log = dataset.log
    later = dataset.with_log(log.where(slice(0, int(len(log) * 0.98))), dataset.as_of)
    again = fitted(later, analytics)
    kept = 0
    for kind, model in again.customers.segmentations.items():
        before = analytics.customers.segmentations[kind]
        names = dict(zip(before.segment_ids, before.segment_names, strict=True))
        for segment, name in zip(model.segment_ids, model.segment_names, strict=True):
            if segment in names:
                kept += 1
                assert name == names[segment]
    assert kept >= 4
    assert again.customers.tastes is not None
    assert analytics.customers.tastes is not None
    then, now = (one.customers.tastes.segmentation for one in (analytics, again))  # type: ignore[union-attr]
    assert set(now.segment_ids) & set(then.segment_ids)


def test_training_is_the_same_for_a_seed(dataset: Dataset, analytics: Analytics) -> None:
    for name, array in fitted(dataset).arrays().items():
        np.testing.assert_array_equal(array, analytics.arrays()[name], err_msg=name)


@pytest.mark.parametrize(
    "events",
    [
        [("a", "x", "view", 1.0)],
        [("a", "x", "purchase", 1.0)] * 3,
        [(f"u{n}", "x", "purchase", 1.0) for n in range(30)],
        [(f"u{n}", f"i{n % 5}", "view", 3.0 * n) for n in range(40)],
        [("s", "x", "purchase", 1.0)],
    ],
    ids=["one view", "one customer", "identical customers", "no purchases", "one purchase"],
)
def test_thin_data_say_what_is_missing(events: list[tuple[Any, ...]]) -> None:
    found = fitted(world(events).dataset)
    assert found.missing
    assert all("need" in reason for reason in found.missing.values()), found.missing
    for values in found.judged.figures.values():
        assert not np.isinf(values).any()
    Analytics.from_arrays(AnalyticsConfig(), found.arrays())


def test_no_figures_can_be_stored_too() -> None:
    nothing = Analytics.none(checkerboard().dataset)
    again = Analytics.from_arrays(AnalyticsConfig(), nothing.arrays())
    assert again.judged.figures == {}
    assert again.customers.segmentations == {}
    assert again.rules is None
