"""Fit what the data supports."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from app.learning.dataset import Dataset
from app.learning.ratings.base import RatingModel
from app.learning.ratings.biased_factorization import (
    BiasedFactorizationConfig,
    fit_biased_factorization,
)
from app.learning.recommenders.base import NotEnoughData, Recommender
from app.learning.recommenders.registry import family_of
from app.training.progress import Progress


def fit_recommenders(
    dataset: Dataset, configs: Mapping[str, Mapping[str, Any]], rng: np.random.Generator, progress: Progress
) -> dict[str, Recommender]:
    """The families with the given recipes, without those for which the data is not enough."""
    models: dict[str, Recommender] = {}
    for number, (name, config) in enumerate(configs.items()):
        family = family_of(name)
        try:
            # Each family draws from a stream of its own, so that adding one changes no other.
            models[name] = family.fit(family.config.model_validate(config), dataset, rng.spawn(1)[0])
        except NotEnoughData:
            continue
        finally:
            progress.done((number + 1) / len(configs))
    return models


def fit_ratings(
    config: BiasedFactorizationConfig, dataset: Dataset, rng: np.random.Generator
) -> RatingModel | None:
    """The rating model, None without enough ratings."""
    try:
        return fit_biased_factorization(config, dataset, rng)
    except NotEnoughData:
        return None
