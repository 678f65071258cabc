"""Fit what the data supports."""

from typing import Any

import numpy as np

from app.learning.dataset import Dataset
from app.learning.ratings.base import RatingModel
from app.learning.ratings.biased_factorization import (
    BiasedFactorizationConfig,
    fit_biased_factorization,
)
from app.learning.recommenders.base import NotEnoughData, Recommender
from app.learning.recommenders.registry import FAMILIES
from app.training.progress import Progress


def fit_recommenders(
    dataset: Dataset, rng: np.random.Generator, progress: Progress
) -> tuple[dict[str, Recommender], dict[str, dict[str, Any]], dict[str, str]]:
    """Every family that the data supports, its config, and why the others were left out."""
    models: dict[str, Recommender] = {}
    configs: dict[str, dict[str, Any]] = {}
    skipped: dict[str, str] = {}
    for number, (name, family) in enumerate(FAMILIES.items()):
        config = family.config()
        try:
            # Each family draws from a stream of its own, so that adding one changes no other.
            models[name] = family.fit(config, dataset, rng.spawn(1)[0])
            configs[name] = config.model_dump()
        except NotEnoughData as reason:
            skipped[name] = str(reason)
        progress.done((number + 1) / len(FAMILIES))
    return models, configs, skipped


def fit_ratings(
    config: BiasedFactorizationConfig, dataset: Dataset, rng: np.random.Generator
) -> RatingModel | None:
    """The rating model, None without enough ratings."""
    try:
        return fit_biased_factorization(config, dataset, rng)
    except NotEnoughData:
        return None
