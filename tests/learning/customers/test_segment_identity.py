from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from app.learning.customers.features import FeatureTable
from app.learning.customers.segmentation import Former, Segmentation, SegmentationConfig, fit_segmentation
from app.learning.customers.segments.identity import match_by_centres, match_by_members, name_again, shared
from app.learning.customers.segments.quality import LOYALTY, vote

MIDDLES = np.array([[0.0, 0, 4], [4, 0, 0], [0, 4, 0], [4, 4, 4]])
NAMES = ("recency_days", "frequency", "monetary")
POOL = 800


def _pool(kinds: int = 4) -> tuple[FeatureTable, NDArray[np.int64]]:
    rng = np.random.default_rng(1)
    truth = np.repeat(np.arange(kinds), POOL // kinds)
    values = np.exp(MIDDLES[truth] + rng.normal(0, 0.4, (len(truth), 3)))
    return FeatureTable(
        NAMES, ("days", "days", "currency"), values, np.ones(len(truth), dtype=np.bool_)
    ), truth


def _fit(
    table: FeatureTable, seed: int, keys: NDArray[np.int64] | None = None, former: Former | None = None
) -> Segmentation:
    return fit_segmentation(SegmentationConfig(), table, np.random.default_rng(seed), keys, former)


def _number_of_kind(model: Segmentation, truth: NDArray[np.int64]) -> dict[int, int]:
    """Id of the segment in which most customers of each kind are."""
    return {
        kind: int(model.ids[np.bincount(model.labels[truth == kind]).argmax()]) for kind in np.unique(truth)
    }


@pytest.mark.parametrize("by_members", [True, False])
def test_ids_stay_with_the_kinds_from_run_to_run(by_members: bool) -> None:
    pool, truth = _pool()
    rng = np.random.default_rng(3)
    former: Former | None = None
    called: dict[int, str] = {}
    before: dict[int, int] = {}
    for run in range(5):
        # Other shares of the kinds each time, so that the order by size changes.
        likely = rng.permutation([0.4, 0.55, 0.7, 0.85])[truth]
        rows = np.flatnonzero(rng.random(POOL) < likely)
        model = _fit(pool.rows(rows), run, rows if by_members else None, former)
        ids = _number_of_kind(model, truth[rows])
        names = dict(zip(model.ids.tolist(), model.segment_names, strict=True))
        called = called or names
        assert sorted(ids.values()) == [1, 2, 3, 4]
        assert former is None or ids == before
        assert names == called
        assert model.next_id == 5
        before = ids
        former = Former(model, rows)


def test_a_new_group_gets_a_new_number_and_name() -> None:
    pool, truth = _pool()
    old = np.flatnonzero(truth < 3)
    first = _fit(pool.rows(old), 0, old)
    everyone = np.arange(POOL)
    model = _fit(pool, 1, everyone, Former(first, old))
    before, now = _number_of_kind(first, truth[old]), _number_of_kind(model, truth)
    assert {kind: now[kind] for kind in before} == before
    assert now[3] == 4
    assert len(set(model.segment_names)) == 4
    # It goes away and comes back: its number is not given again.
    gone = _fit(pool.rows(old), 2, old, Former(model, everyone))
    assert gone.next_id == 5
    back = _fit(pool, 3, everyone, Former(gone, old))
    assert _number_of_kind(back, truth)[3] == 5


def test_another_kind_of_segmentation_is_no_former_one() -> None:
    pool, _ = _pool()
    keys = np.arange(POOL)
    former = replace(_fit(pool, 0, keys), ids=np.arange(11, 15), next_id=15)
    config = SegmentationConfig(kind="agglomerative")
    other = fit_segmentation(config, pool, np.random.default_rng(0), keys, Former(former, keys))
    assert other.ids.tolist() == [1, 2, 3, 4]
    assert _fit(pool, 0, keys, Former(former, keys)).ids.tolist() == [11, 12, 13, 14]


def test_only_customers_in_a_segment_both_times_count() -> None:
    now, then = shared(
        np.array([1, 2, 3, 5]),
        np.array([0, -1, 1, 1], np.int32),
        np.array([1, 2, 5, 9]),
        np.array([4, 4, -2, 0], np.int32),
    )
    assert (now.tolist(), then.tolist()) == ([0], [4])


def test_overlap_decides() -> None:
    now = np.array([0] * 10 + [1] * 10, dtype=np.int32)
    then = np.array([1] * 10 + [0] * 6 + [2] * 4, dtype=np.int32)
    assert match_by_members(now, then, 2, 3, 0.5) == {0: 1, 1: 0}
    assert match_by_members(now, then, 2, 3, 0.7) == {0: 1}
    assert match_by_members(now[:9], then[:9], 2, 3, 0.5) is None


def test_centres_match_only_nearby() -> None:
    centres = np.array([[0.0, 0], [10, 0], [0, 10]])
    former = np.array([[1.0, 9], [0.5, 0], [5.5, 5]])
    assert match_by_centres(centres, former) == {0: 1, 2: 0}
    assert match_by_centres(centres[:1], former[:1]) == {0: 0}
    assert match_by_centres(centres[:1], former) == {}


def test_new_names_are_not_taken_twice() -> None:
    ids, names, next_id = name_again({1: 0}, 3, [7], ["loyal"], 9, ["loyal", "x", "loyal"])
    assert (ids, names, next_id) == ([9, 7, 10], ["loyal (2)", "loyal", "loyal (3)"], 11)


def test_the_former_number_stays_unless_clearly_worse() -> None:
    # Segments, silhouette, Calinski-Harabasz, Davies-Bouldin, smallest share.
    table = np.array([[2, 0.6, 90.0, 1.0, 0.2], [3, 0.5, 100.0, 0.9, 0.2], [4, 0.1, 1.0, 9.0, 0.2]])
    assert vote(table, 0.01, None)[0] == 1
    assert vote(table, 0.01, 2)[0] == 0
    assert vote(table, 0.01, 4)[0] == 1
    assert vote(table, 0.01, 9)[0] == 1
    assert vote(table, 0.01, None)[1][:, 5].tolist() == [5, 4, 9]
    assert LOYALTY == 2
    weak = np.array([[2, 0.12, 90.0, 1.0, 0.2], [3, 0.11, 80.0, 1.1, 0.2], [4, 0.11, 60.0, 1.2, 0.2]])
    assert vote(weak, 0.01, None)[0] == 0
    assert vote(weak, 0.01, 4)[0] == 2, "indices that hardly differ change nothing"
    table[1, 4] = 0.001
    row, votes = vote(table, 0.01, None)
    assert row == 0
    assert votes[1, 5] == np.inf
    assert vote(table, 0.9, None)[0] == 1
