from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.learning.ratings.base import Ratings, dataset_ratings
from app.learning.ratings.biased_factorization import (
    BiasedFactorization,
    BiasedFactorizationConfig,
    fit_biased_factorization,
)
from app.learning.ratings.moments import Posterior
from app.learning.recommenders.base import NotEnoughData
from tests.worlds import World, world

CONFIG = BiasedFactorizationConfig(factors=3, epochs=20)


def _rated(ratings: NDArray[Any], known: NDArray[np.bool_]) -> World:
    events = [
        (f"u{u:03}", f"i{i:03}", "rate", 1.0, float(ratings[u, i]))
        for u, i in zip(*np.nonzero(known), strict=True)
    ]
    return world(events)


def _tastes(seed: int = 0) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Ratings of 0 to 4 by two tastes and a bias of each user and item, and which of them are known."""
    rng = np.random.default_rng(seed)
    taste = rng.choice([-1.0, 1.0], size=(80, 1)) * rng.choice([-1.0, 1.0], size=(1, 50))
    bias = rng.normal(0, 0.4, (80, 1)) + rng.normal(0, 0.4, (1, 50))
    ratings = np.clip(np.rint(2 + taste + bias + rng.normal(0, 0.3, (80, 50))), 0, 4)
    return ratings, rng.random((80, 50)) < 0.4


def _fit(rated: World, config: BiasedFactorizationConfig = CONFIG) -> BiasedFactorization:
    return fit_biased_factorization(config, rated.dataset, np.random.default_rng(1))


@pytest.fixture(scope="module")
def rated() -> World:
    return _rated(*_tastes())


@pytest.fixture(scope="module")
def model(rated: World) -> BiasedFactorization:
    return _fit(rated)


def test_tells_held_out_ratings_where_biases_cannot(rated: World, model: BiasedFactorization) -> None:
    ratings, known = _tastes()
    rows, items = np.nonzero(~known)
    mean, std = model.predict(dataset_ratings(rated.dataset), rows, items)
    error = mean - ratings[rows, items]
    assert np.sqrt(np.mean(error**2)) < 0.55 < 0.8 * ratings.std()
    assert 0.55 < np.mean(np.abs(error) <= std) < 0.85
    assert mean.dtype == std.dtype == np.float32


def test_a_user_unknown_at_training_is_predicted_like_a_known_one(
    rated: World, model: BiasedFactorization
) -> None:
    known = dataset_ratings(rated.dataset)
    alone = known.of_rows(np.array([7]))
    items = np.arange(known.shape[1])
    batch = model.predict(known, np.full(len(items), 7), items)
    single = model.predict(alone, np.zeros(len(items), dtype=np.int64), items)
    np.testing.assert_allclose(batch, single, rtol=1e-5)
    # Its ratings matter, and more of them make for more certainty.
    nobody = Ratings(alone.row[:0], alone.item[:0], alone.value[:0], alone.shape)
    cold = model.predict(nobody, np.zeros(len(items), dtype=np.int64), items)
    assert np.abs(cold[0] - single[0]).max() > 0.5
    assert cold[1].mean() > single[1].mean()


def test_without_ratings_mean_and_item_bias(model: BiasedFactorization) -> None:
    ratings, known = _tastes()
    none = np.zeros(0, dtype=np.int32)
    nobody = Ratings(none, none, none.astype(np.float32), (1, 50))
    mean, _ = model.predict(nobody, np.zeros(50, dtype=np.int64), np.arange(50))
    items = np.array([ratings[known[:, item], item].mean() for item in range(50)])
    assert np.corrcoef(mean, items)[0, 1] > 0.8
    assert abs(mean.mean() - ratings[known].mean()) < 0.15


def test_a_rating_of_zero_is_a_rating(model: BiasedFactorization) -> None:
    zero = Ratings(np.zeros(5, np.int32), np.arange(5, dtype=np.int32), np.zeros(5, np.float32), (1, 50))
    none = Ratings(zero.row[:0], zero.item[:0], zero.value[:0], (1, 50))
    rows, items = np.zeros(50, dtype=np.int64), np.arange(50)
    assert model.predict(zero, rows, items)[0].mean() < model.predict(none, rows, items)[0].mean() - 0.2


def test_a_rating_equal_to_the_mean_is_a_rating(rated: World, model: BiasedFactorization) -> None:
    value = np.full(5, model.mean, dtype=np.float32)
    known = Ratings(np.zeros(5, np.int32), np.arange(5, dtype=np.int32), value, (1, 50))
    none = Ratings(known.row[:0], known.item[:0], known.value[:0], (1, 50))
    rows, items = np.zeros(50, dtype=np.int64), np.arange(50)
    assert model.predict(known, rows, items)[1].mean() < model.predict(none, rows, items)[1].mean()


def test_stays_within_the_scale(rated: World, model: BiasedFactorization) -> None:
    for value, extreme in ((0.0, 0.0), (4.0, 4.0)):
        values = np.full(50, value, dtype=np.float32)
        fan = Ratings(np.zeros(50, np.int32), np.arange(50, dtype=np.int32), values, (1, 50))
        mean, std = model.predict(fan, np.zeros(50, dtype=np.int64), np.arange(50))
        assert mean.min() >= 0
        assert mean.max() <= 4
        assert np.isclose(mean, extreme).any()
        assert (std > 0).all()


def test_arrays_round_trip(rated: World, model: BiasedFactorization) -> None:
    again = BiasedFactorization.from_arrays(CONFIG, model.arrays())
    known = dataset_ratings(rated.dataset)
    rows, items = np.nonzero(np.ones((80, 50)))
    for before, after in zip(
        model.predict(known, rows, items), again.predict(known, rows, items), strict=True
    ):
        np.testing.assert_array_equal(before, after)


def test_same_seed_same_model(rated: World, model: BiasedFactorization) -> None:
    for name, array in _fit(rated).arrays().items():
        np.testing.assert_array_equal(array, model.arrays()[name])


def test_chunks_do_not_change_the_model(
    rated: World, model: BiasedFactorization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.learning.ratings.biased_factorization._CHUNK_BYTES", 1000)
    np.testing.assert_allclose(_fit(rated).item_moments, model.item_moments, rtol=1e-3, atol=1e-5)


def test_noise_and_precision_can_be_set(rated: World) -> None:
    config = BiasedFactorizationConfig(factors=2, epochs=8, noise=0.7, precision=3.0)
    model = _fit(rated, config)
    assert model.noise * model.unit**2 == pytest.approx(0.49)
    np.testing.assert_array_equal(model.prior.precision[:-1], 3.0)


def test_variance_agrees_with_sampling(model: BiasedFactorization) -> None:
    rng = np.random.default_rng(3)
    width = model.layout.width
    mean = rng.normal(size=(2, width))
    root = rng.normal(size=(2, width, width)) * 0.3
    cov = root @ root.transpose(0, 2, 1)
    left, right = (model.layout.moments(Posterior(mean[[s]], cov[[s]])) for s in (0, 1))
    expected, variance = model.layout.product(left, right)
    p, q = (rng.multivariate_normal(mean[s], cov[s], size=200_000) for s in (0, 1))
    drawn = (p[:, :-1] * q[:, :-1]).sum(axis=1) + p[:, -1] + q[:, -1]
    assert expected[0] == pytest.approx(drawn.mean(), abs=0.03)
    assert variance[0] == pytest.approx(drawn.var(), rel=0.03)


def test_all_ratings_equal() -> None:
    model = _fit(_rated(np.full((6, 4), 5.0), np.ones((6, 4), dtype=np.bool_)))
    none = np.zeros(0, dtype=np.int32)
    mean, std = model.predict(
        Ratings(none, none, none.astype(np.float32), (1, 4)), np.zeros(4, dtype=np.int64), np.arange(4)
    )
    np.testing.assert_array_equal(mean, 5.0)
    assert np.isfinite(std).all()


def test_too_few_ratings() -> None:
    with pytest.raises(NotEnoughData, match="10 ratings, there are 2"):
        _fit(world([("a", "x", "rate", 1.0, 3.0), ("a", "y", "rate", 1.0, 4.0), ("b", "y", "view")]))


def test_the_latest_rating_counts_and_only_ratings() -> None:
    rated = world(
        [
            ("a", "x", "rate", 3.0, 1.0),
            ("a", "x", "rate", 1.0, 5.0),
            ("a", "x", "rate", 2.0, 2.0),
            ("b", "y", "rate", 1.0, None),
            ("b", "x", "view"),
            ("s", "y", "rate", 1.0, 0.0),
        ],
        sessions=["s"],
    )
    ratings = dataset_ratings(rated.dataset)
    found = zip(ratings.row.tolist(), ratings.item.tolist(), ratings.value.tolist(), strict=True)
    assert list(found) == [(0, 0, 5.0), (2, 1, 0.0)]
    assert ratings.of_rows(np.array([2, 0])).row.tolist() == [1, 0]
