"""Robots and wholesalers: what one subject did without end shapes nothing for the others."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from app.learning.preferences import FEW_ROWS, dataset_histories, row_damping, subject_weights
from app.learning.recommenders.registry import FAMILIES
from tests.worlds import World, world

N_ITEMS = 60


def shop() -> list[tuple[object, ...]]:
    """People of two tastes, who like some items of their taste more often than others."""
    rng = np.random.default_rng(5)
    popularity = 1.0 / np.arange(2, N_ITEMS + 2)
    events: list[tuple[object, ...]] = []
    for user in range(300):
        weights = np.where(np.arange(N_ITEMS) % 2 == user % 2, popularity, 0.02 * popularity)
        for item in rng.choice(N_ITEMS, rng.integers(2, 9), replace=False, p=weights / weights.sum()):
            day = float(rng.uniform(0, 90))
            events += [(f"u{user:03}", f"i{item:02}", "view", day)] * int(rng.integers(1, 4))
            if rng.random() < 0.3:
                events.append((f"u{user:03}", f"i{item:02}", "purchase", day / 2))
    return events


def robot(times: int = 100) -> list[tuple[object, ...]]:
    """Views everything, the rarest items the most often."""
    return [
        ("x-robot", f"i{item:02}", "view", float(number % 30))
        for item in range(N_ITEMS)
        for number in range(times if item % 3 else 3 * times)
    ]


def wholesaler() -> list[tuple[object, ...]]:
    """Ten thousand order lines, each of thousands."""
    rng = np.random.default_rng(6)
    return [
        ("x-trade", f"i{rng.integers(N_ITEMS):02}", "purchase", float(rng.uniform(0, 90)), None, 5_000.0)
        for _ in range(10_000)
    ]


WITHOUT = world(shop())
CROWDS = {"robot": world(shop() + robot()), "wholesaler": world(shop() + wholesaler())}
crowds = pytest.mark.parametrize("made", CROWDS.values(), ids=CROWDS)


def scores(name: str, made: World, **config: object) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Of everybody in the world without the one who is too much."""
    family = FAMILIES[name]
    model = family.fit(family.config(**config), made.dataset, np.random.default_rng(0))
    return model.score(dataset_histories(WITHOUT.dataset))


def same_order(one: np.ndarray, other: np.ndarray) -> float:
    """Share of the items in the best ten of each row that are in the other's best ten."""
    best = [np.argsort(-each, axis=1, kind="stable")[:, :10] for each in (one, other)]
    return float(np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(*best, strict=True)]))


@crowds
def test_the_sum_of_a_row_is_at_most_that_of_the_usual(made: World) -> None:
    plain, crowded = dataset_histories(WITHOUT.dataset).matrix, dataset_histories(made.dataset).matrix
    sums = np.asarray(crowded.sum(axis=1)).ravel()
    usual = np.asarray(plain.sum(axis=1)).ravel()
    assert sums[-1] <= max(10 * np.median(sums), usual.max()) + 1e-3
    np.testing.assert_array_equal(crowded[:300].toarray(), plain.toarray())


@crowds
def test_popularity_and_its_order_stay(made: World) -> None:
    plain, crowded = scores("popularity", WITHOUT)[0], scores("popularity", made)[0]
    assert np.argsort(-plain)[:8].tolist() == np.argsort(-crowded)[:8].tolist()
    usual = dataset_histories(WITHOUT.dataset).matrix.sum(axis=1)
    assert 0 < (crowded - plain).sum() <= 10.01 * np.median(usual)


@crowds
@pytest.mark.parametrize(("name", "least"), [("item_neighbours", 0.96), ("rp3beta", 0.98), ("ease", 0.96)])
def test_lists_of_the_others_stay(name: str, least: float, made: World) -> None:
    assert same_order(scores(name, WITHOUT), scores(name, made)) > least


def test_nobody_is_damped_where_all_are_alike() -> None:
    np.testing.assert_array_equal(subject_weights(WITHOUT.dataset), 1.0)


def test_few_rows_do_not_tell_what_is_usual() -> None:
    sums = [1.0] * (FEW_ROWS - 1) + [1e6]
    matrix = csr_array(np.repeat(np.array(sums, dtype=np.float32)[:, None], 2, axis=1))
    np.testing.assert_array_equal(row_damping(matrix), 1.0)
    assert row_damping(csr_array(np.vstack([matrix.toarray(), [[1, 1]]])))[FEW_ROWS - 1] == np.float32(1e-5)


def test_visitors_of_one_item_do_not_make_customers_look_like_robots() -> None:
    rows = np.zeros((1040, 50), dtype=np.float32)
    rows[:1000, 0] = 1.0
    rows[1000:, :40] = 1.0
    np.testing.assert_array_equal(row_damping(csr_array(rows)), 1.0)


def test_rows_without_anything_stay_so() -> None:
    rows = np.zeros((40, 3), dtype=np.float32)
    np.testing.assert_array_equal(row_damping(csr_array(rows)), 1.0)
    assert row_damping(csr_array(rows[:0])).shape == (0,)


def test_a_row_above_the_bound_is_scaled_down_to_it() -> None:
    rows = np.ones((2000, 4), dtype=np.float32)
    rows[0] *= 11.0
    damping = row_damping(csr_array(rows))
    assert damping[0] == pytest.approx(10 / 11)
    np.testing.assert_array_equal(damping[1:], 1.0)
