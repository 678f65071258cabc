"""What is liked more these days than it usually is; the same for everyone."""

import numpy as np
from pydantic import Field

from app.learning.dataset import DAY_MS, Dataset
from app.learning.recommenders.base import Config, Family, NotEnoughData
from app.learning.recommenders.popularity import ItemScores, item_interest


class TrendingConfig(Config):
    half_life: float = Field(default=3.0, gt=0.0)
    """Days after which an event counts half towards what is recent."""
    shrinkage: float = Field(default=10.0, gt=0.0)
    """Interest, as usual as not, that every item is given beforehand, so that tiny counts do not win."""


def fit(config: TrendingConfig, dataset: Dataset, rng: np.random.Generator) -> ItemScores:
    """Compare recent interest with the item's share of all interest.

    The score is the logarithm of (recent + shrinkage) / (expected + shrinkage), where `expected` is the
    recent interest of the whole shop times the item's long-run share; items that fall get 0.
    Raises `NotEnoughData` where the events span less than one half-life: nothing is usual yet.
    """
    usual = item_interest(dataset, None)
    span = (dataset.as_of - int(dataset.log.occurred_at.min())) / DAY_MS
    if span < config.half_life:
        raise NotEnoughData(f"needs events over more than {config.half_life:g} days; there are {span:.1f}")
    try:
        recent = item_interest(dataset, config.half_life)
    except NotEnoughData:
        raise NotEnoughData("needs recent events; all are too old to count") from None
    expected = usual * (recent.sum() / usual.sum())
    lift = np.log((recent + config.shrinkage) / (expected + config.shrinkage))
    return ItemScores(np.maximum(lift, 0.0).astype(np.float32))


SPACE = {"half_life": (7.0, 14.0, 1.0)}

FAMILY = Family("trending", "trending", TrendingConfig, fit, ItemScores, SPACE)
