"""A training, top to bottom: snapshot → fit → evaluate → gate → publish."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from app.core.clock import rfc3339
from app.db.session import Database
from app.learning.artifacts import delete_version, write_version
from app.learning.customers.features import customer_features
from app.learning.customers.segmentation import Segmentation, SegmentationConfig, fit_segmentation
from app.learning.dataset import Dataset
from app.learning.preferences import rating_scale
from app.learning.ratings.biased_factorization import BiasedFactorizationConfig
from app.learning.recommenders.base import NotEnoughData
from app.learning.version import ModelVersion
from app.training.blends import cold_items, refit_blend
from app.training.fitting import fit_ratings, fit_recommenders
from app.training.progress import Progress
from app.training.snapshot import Snapshot, load_snapshot
from app.training.trial import ALWAYS, Trial, run_trial

log = structlog.get_logger(__name__)

LEAST_INTERACTIONS = 10


@dataclass(frozen=True)
class Trained:
    """What came of a training: artifacts on disk that nobody sees yet, or the reason why there are none."""

    version: str
    content: dict[str, Any]
    evaluation: dict[str, Any]
    trained_to: int
    rejected: str | None
    """Why the gate kept the version back; its artifacts are gone then."""


@dataclass(frozen=True)
class Recipe:
    """What a training does, beside the data."""

    event_weights: dict[str, float]
    seed: int
    search_seconds: float = 40.0
    rating: BiasedFactorizationConfig = field(default_factory=BiasedFactorizationConfig)
    segmentation: SegmentationConfig = field(default_factory=SegmentationConfig)


@dataclass(frozen=True)
class Learned:
    """A model of all data and the trial that chose it."""

    model: ModelVersion
    trial: Trial


def train(
    database: Database,
    artifacts: Path,
    recipe: Recipe,
    version: str,
    active: Mapping[str, Any] | None,
    progress: Progress,
) -> Trained:
    """Train on all data and write the version's artifacts under a name that nobody asks for yet.

    Raises NotEnoughData where there is nothing to learn from, Interrupted where the run must stop.
    """
    found = load_snapshot(database, recipe.event_weights, progress.part("snapshot", 0.0, 0.15))
    dataset = found.dataset
    if len(dataset.log) < LEAST_INTERACTIONS:
        raise NotEnoughData(
            f"training needs at least {LEAST_INTERACTIONS} interactions with items, "
            f"there are {len(dataset.log)}"
        )
    learned = learn(dataset, recipe, active, progress.part("search", 0.15, 0.9))
    return _store(artifacts, version, found, learned, progress.part("publish", 0.9, 1.0))


def learn(dataset: Dataset, recipe: Recipe, active: Mapping[str, Any] | None, progress: Progress) -> Learned:
    """Choose, tune and blend on the data set itself, then fit what was chosen to all of it.

    `active` is the content of the version that is served now, if any: the search begins from it. Raises
    NotEnoughData where there is nothing to learn from, Interrupted where the run must stop.
    """
    rng = np.random.default_rng(recipe.seed)
    part = progress.part("search", 0.0, 0.6)
    trial = run_trial(dataset, recipe.rating, active, recipe.search_seconds, rng, part)
    model = _fit_all(dataset, trial, recipe, rng, progress.part("fit", 0.6, 1.0))
    return Learned(model, trial)


def _fit_segmentation(
    config: SegmentationConfig, dataset: Dataset, rng: np.random.Generator
) -> Segmentation | None:
    try:
        return fit_segmentation(config, customer_features(dataset), rng)
    except NotEnoughData as reason:
        log.info("no_segmentation", reason=str(reason))
        return None


def _fit_all(
    dataset: Dataset, trial: Trial, recipe: Recipe, rng: np.random.Generator, progress: Progress
) -> ModelVersion:
    wanted = {*trial.blends.families, *ALWAYS}
    configs = {name: config for name, config in trial.configs.items() if name in wanted}
    models = fit_recommenders(dataset, configs, rng, progress.part("fit", 0.0, 0.8))
    named = {name: refit_blend(blend, models) for name, blend in trial.blends.named.items()}
    blends = trial.blends.with_blends(named)
    ratings = fit_ratings(recipe.rating, dataset, rng)
    progress.done(0.9)
    segmentation = _fit_segmentation(recipe.segmentation, dataset, rng)
    return ModelVersion(
        user_keys=dataset.user_keys,
        item_keys=dataset.item_keys,
        recommenders=models,
        configs={name: configs[name] for name in models},
        blends=blends,
        cold=cold_items(models, dataset, trial.cold_factor),
        rating_model=ratings,
        rating_config=recipe.rating,
        segmentation=segmentation,
        segmentation_config=recipe.segmentation,
        scale=rating_scale(dataset.log),
        event_weights=dataset.event_weights,
        as_of=dataset.as_of,
    )


def _store(artifacts: Path, version: str, found: Snapshot, learned: Learned, progress: Progress) -> Trained:
    content, arrays = learned.model.to_store()
    trial = learned.trial
    dataset = found.dataset
    times = dataset.log.occurred_at
    content["data"] = {
        "users": dataset.n_users,
        "sessions": dataset.n_subjects - dataset.n_users,
        "items": dataset.n_items,
        "interactions": len(dataset.log),
        "from": rfc3339(int(times[0])),
        "to": rfc3339(int(times[-1])),
    }
    if trial.rejected is None:
        write_version(artifacts, version, content, arrays)
        try:
            progress.done(1.0)
        except BaseException:
            delete_version(artifacts, version)
            raise
    return Trained(version, content, trial.evaluation, found.trained_to, trial.rejected)
