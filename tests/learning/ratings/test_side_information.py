from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.ratings.base import Ratings, dataset_ratings
from app.learning.ratings.biased_factorization import (
    FAST,
    BiasedFactorization,
    BiasedFactorizationConfig,
    fit_biased_factorization,
)
from app.learning.ratings.moments import Posterior
from app.learning.ratings.priors import FactorPrior, Sums
from app.learning.ratings.side_information import catalogue_features, rated_sets, read_sets
from tests.worlds import Text, World, item_table, world

KINDS = (Text("", "", ("Films > Crime",), "", ("dark",)), Text("", "", ("Films > Comedy",), "", ("light",)))
N_USERS, N_ITEMS, N_COLD = 90, 60, 8
CONFIG = BiasedFactorizationConfig(factors=3)


def _ratings(choosy: bool, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Users like crime or comedy (items by turns); the choosy rate mostly what they like.

    The last items have no rating.
    """
    rng = np.random.default_rng(seed)
    taste = np.where(np.arange(N_USERS) % 2, -1.0, 1.0)[:, None] * np.where(np.arange(N_ITEMS) % 2, -1.0, 1.0)
    ratings = 3 + 1.2 * taste + rng.normal(0, 0.5, taste.shape)
    known = rng.random(taste.shape) < (np.where(taste > 0, 0.4, 0.1) if choosy else 0.3)
    known[:, -N_COLD:] = False
    return ratings, known


def _world(ratings: NDArray[np.float64], known: NDArray[np.bool_], described: bool = True) -> World:
    events = [
        (f"u{u:03}", f"i{i:03}", "rate", 1.0, float(ratings[u, i]))
        for u, i in zip(*np.nonzero(known), strict=True)
    ]
    texts = {f"i{item:03}": KINDS[item % 2] if described else Text() for item in range(N_ITEMS)}
    return world(events, texts)


def _fit(rated: World, config: BiasedFactorizationConfig = CONFIG) -> BiasedFactorization:
    return fit_biased_factorization(config, rated.dataset, np.random.default_rng(2))


def _rmse(
    model: BiasedFactorization, rated: World, truth: NDArray[np.float64], asked: NDArray[np.bool_]
) -> float:
    rows, items = np.nonzero(asked)
    mean, _ = model.predict(dataset_ratings(rated.dataset), rows, items)
    return float(np.sqrt(np.mean((mean - truth[rows, items]) ** 2)))


def test_an_item_without_ratings_is_told_by_its_description() -> None:
    ratings, known = _ratings(choosy=False)
    cold = np.zeros_like(known)
    cold[:, -N_COLD:] = True
    described, plain = (_world(ratings, known, described) for described in (True, False))
    told, untold = _rmse(_fit(described), described, ratings, cold), _rmse(_fit(plain), plain, ratings, cold)
    assert told < 0.75 < 1.1 < untold
    # What is not known of a rating shows in its standard deviation.
    rows, items = np.nonzero(cold)
    error = np.abs(
        _fit(described).predict(dataset_ratings(described.dataset), rows, items)[0] - ratings[cold]
    )
    std = _fit(described).predict(dataset_ratings(described.dataset), rows, items)[1]
    assert 0.55 < np.mean(error <= std) < 0.8


def test_what_was_chosen_tells_something_before_any_value_does() -> None:
    rated = _world(*_ratings(choosy=True), described=False)
    # To a model that takes all values for noise, only which items were rated differs.
    model = replace(_fit(rated), noise=1e9)
    values = np.full(10, model.mean, dtype=np.float32)
    items = np.arange(N_ITEMS - N_COLD)
    crime, comedy = (
        model.predict(
            Ratings(np.zeros(10, np.int32), np.arange(start, 20, 2, dtype=np.int32), values, (1, N_ITEMS)),
            np.zeros(len(items), dtype=np.int64),
            items,
        )[0]
        for start in (0, 1)
    )
    lead = (crime - comedy)[20:]
    assert lead[::2].mean() > 0.1
    assert lead[1::2].mean() < -0.1


def test_rated_sets_part_two_tastes() -> None:
    taste = np.arange(40)[:, None] % 2 == np.arange(24) % 2
    pattern = csr_array((taste & (np.random.default_rng(0).random(taste.shape) < 0.7)).astype(np.float32))
    weights, items = rated_sets(pattern, 2, np.random.default_rng(1))
    for features in (read_sets(pattern, weights), items):
        assert np.mean(np.sum(features**2, axis=1)) == pytest.approx(1, abs=0.05)
        even, odd = (
            features[start::2] / np.linalg.norm(features[start::2], axis=1)[:, None] for start in (0, 1)
        )
        assert np.abs(even @ odd.T).max() < 0.2
        assert (even @ even.T).min() > 0.8
    # A user's features are the user's alone.
    chosen = pattern.indices[pattern.indptr[5] : pattern.indptr[6]]
    alone = csr_array((np.ones(len(chosen)), chosen, np.array([0, len(chosen)])), shape=(1, 24))
    np.testing.assert_allclose(read_sets(alone, weights)[0], read_sets(pattern, weights)[5], rtol=1e-5)
    assert not read_sets(csr_array(np.zeros((1, 24), dtype=np.float32)), weights).any()


def test_few_users_have_no_set_features() -> None:
    weights, items = rated_sets(csr_array(np.ones((3, 100), dtype=np.float32)), 8, np.random.default_rng(0))
    assert weights.shape == items.shape == (100, 0)


def test_catalogue_features_are_alike_where_descriptions_are() -> None:
    texts = [*KINDS] * 10 + [Text(brand="Lone")]
    features = catalogue_features(item_table(texts), np.arange(18), 8, np.random.default_rng(0))
    np.testing.assert_allclose(features[18:20], features[:2], atol=1e-6)
    assert np.linalg.norm(features[0] - features[1]) > 0.5
    assert not features[20].any()


def test_an_undescribed_catalogue_has_no_features() -> None:
    features = catalogue_features(item_table([Text()] * 30), np.arange(30), 8, np.random.default_rng(0))
    assert features.shape == (30, 0)


def test_prior_finds_the_regression_and_its_precision() -> None:
    rng = np.random.default_rng(0)
    features = np.hstack([rng.normal(size=(4000, 3)), np.ones((4000, 1))])
    truth = rng.normal(size=(4, 2))
    mean = features @ truth + rng.normal(0, [0.5, 2.0], (4000, 2))
    sums = Sums.none(4, 2)
    for rows in (slice(0, 1500), slice(1500, 4000)):
        part = mean[rows]
        sums.add(features[rows], Posterior(part, np.zeros((len(part), 2, 2))))
    prior = FactorPrior.wide(4, np.ones(2))
    for _ in range(5):
        prior = prior.learned(sums, None)
    np.testing.assert_allclose(prior.coefficients, truth, atol=0.1)
    np.testing.assert_allclose(prior.precision, [4.0, 0.25], rtol=0.1)
    rest = prior.without(3, sums, None)
    np.testing.assert_allclose(rest.mean(np.ones((1, 1)))[0], truth[3], atol=0.1)
    assert (rest.precision < prior.precision).all()


def test_the_scale_is_a_matter_of_units() -> None:
    """Whatever scale a shop rates on, negative values included, predictions are the same ratings."""
    ratings, known = _ratings(choosy=True)
    rows, items = np.nonzero(~known)
    usual = _world(ratings, known)
    mean, std = _fit(usual).predict(dataset_ratings(usual.dataset), rows, items)
    for factor, shift in ((20.0, 0.0), (1.0, -3.0), (0.01, 7.0)):
        other = _world(ratings * factor + shift, known)
        found = _fit(other).predict(dataset_ratings(other.dataset), rows, items)
        np.testing.assert_allclose(found[0], mean * factor + shift, atol=0.02 * factor)
        np.testing.assert_allclose(found[1], std * factor, rtol=0.02)


def test_two_values() -> None:
    ratings, known = _ratings(choosy=True)
    liked = (ratings > 3).astype(np.float64)
    rated = _world(liked, known)
    rows, items = np.nonzero(~known)
    mean, std = _fit(rated).predict(dataset_ratings(rated.dataset), rows, items)
    assert mean.min() >= 0
    assert mean.max() <= 1
    assert np.isfinite(std).all()
    assert np.mean((mean > 0.5) == liked[rows, items]) > 0.9


def test_the_fast_recipe_beats_biases() -> None:
    ratings, known = _ratings(choosy=False)
    rated = _world(ratings, known, described=False)
    asked = ~known
    asked[:, -N_COLD:] = False
    fast = _rmse(_fit(rated, FAST), rated, ratings, asked)
    biases = _rmse(_fit(rated, BiasedFactorizationConfig(factors=1, precision=1e6)), rated, ratings, asked)
    assert fast < 0.65 < 1.1 < biases
