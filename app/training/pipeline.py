"""A training, top to bottom: snapshot → fit → evaluate → gate → publish."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from app.core.clock import rfc3339
from app.db.session import Database
from app.learning.analytics import Analytics, AnalyticsConfig, fit_analytics
from app.learning.artifacts import ArtifactError, delete_version, read_version, write_version
from app.learning.dataset import Dataset
from app.learning.preferences import rating_scale
from app.learning.ranking.blend import Blend
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
    users_to: int
    """Highest key of a user that it knows; 0 without any."""
    erasures_to: int
    """The counter of erasures as the snapshot saw it."""


@dataclass(frozen=True)
class Recipe:
    """What a training does, beside the data."""

    event_weights: dict[str, float]
    seed: int
    search_seconds: float = 25.0
    memory_mb: int | None = None
    """Bound on the memory of one model that can be bounded; None: each family's own."""
    rating: BiasedFactorizationConfig = field(default_factory=BiasedFactorizationConfig)
    analytics: AnalyticsConfig | None = field(default_factory=AnalyticsConfig)
    """None: only lists are wanted, to be evaluated."""


@dataclass(frozen=True)
class Former:
    """The version that is served now: the next one begins from it."""

    version: str
    content: Mapping[str, Any]


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
    former: Former | None,
    progress: Progress,
    insist: bool = False,
) -> Trained:
    """Train on all data and write the version's artifacts under a name that nobody asks for yet.

    `insist`: the former must go, so what the gate keeps back is written all the same, with popularity in
    place of the blends that were worse.

    Raises NotEnoughData where there is nothing to learn from, Interrupted where the run must stop.
    """
    found = load_snapshot(database, recipe.event_weights, progress.part("snapshot", 0.0, 0.15))
    dataset = found.dataset
    usable = len(dataset.of_taste().log)
    if usable < LEAST_INTERACTIONS:
        raise NotEnoughData(
            f"training needs at least {LEAST_INTERACTIONS} interactions with items, there are {usable}"
        )
    active = None if former is None else former.content
    before = None if former is None else _analytics_of(artifacts, former.version)
    learned = learn(dataset, recipe, active, progress.part("analytics", 0.15, 0.9), before, insist)
    return _store(artifacts, version, found, learned, progress.part("publish", 0.9, 1.0))


def learn(
    dataset: Dataset,
    recipe: Recipe,
    active: Mapping[str, Any] | None,
    progress: Progress,
    former: Analytics | None = None,
    insist: bool = False,
) -> Learned:
    """Choose, tune and blend on the data set itself, then fit what was chosen to all of it.

    `active` is the content of the version that is served now, if any: the search begins from it; `former`
    its analytics, so that segments found again keep their ids; `insist` as for `train`. Raises
    NotEnoughData where there is nothing to learn from, Interrupted where the run must stop.
    """
    rng = np.random.default_rng(recipe.seed)
    # The customers' figures need no search: a stream of chance of their own keeps them apart from it.
    own_rng = np.random.default_rng([recipe.seed, 1])
    part = progress.part("analytics", 0.0, 0.15)
    if recipe.analytics is None:
        analytics = Analytics.none(dataset)
    else:
        analytics = fit_analytics(recipe.analytics, dataset, own_rng, former, part.done)
    # What was bought is bought, gift or not; what is recommended follows taste alone.
    dataset = dataset.of_taste()
    part = progress.part("search", 0.15, 0.65)
    trial = run_trial(dataset, recipe.rating, active, recipe.search_seconds, rng, part, recipe.memory_mb)
    if insist and trial.rejected is not None:
        trial = by_popularity(trial)
    model = _fit_all(dataset, trial, recipe, rng, analytics, progress.part("fit", 0.65, 1.0))
    return Learned(model, trial)


def by_popularity(trial: Trial) -> Trial:
    """A trial that the gate rejected, to be published all the same: lists go by what it was worse than."""
    lists = {name: Blend({"popularity": 1.0}) for name in trial.blends.named if name != "similar"}
    gate = {"rejected": trial.rejected, "published": "an erasure's deadline is near; lists go by popularity"}
    evaluation = trial.evaluation | {"gate": gate}
    return replace(trial, blends=trial.blends.with_blends(lists), evaluation=evaluation, rejected=None)


def _analytics_of(artifacts: Path, version: str) -> Analytics | None:
    """Those of a stored version; None where it cannot be read any more."""
    try:
        content, arrays = read_version(artifacts, version, verify=False)
        return ModelVersion.from_store(content, arrays).analytics
    except (ArtifactError, OSError, KeyError, ValueError, TypeError) as error:
        log.warning("former_analytics_unreadable", version=version, error=str(error))
        return None


def _fit_all(
    dataset: Dataset,
    trial: Trial,
    recipe: Recipe,
    rng: np.random.Generator,
    analytics: Analytics,
    progress: Progress,
) -> ModelVersion:
    wanted = {*trial.blends.families, *ALWAYS}
    configs = {name: config for name, config in trial.configs.items() if name in wanted}
    models = fit_recommenders(dataset, configs, rng, progress.part("fit", 0.0, 0.9))
    named = {name: refit_blend(blend, models) for name, blend in trial.blends.named.items()}
    blends = trial.blends.with_blends(named)
    ratings = fit_ratings(recipe.rating, dataset, rng)
    progress.done(1.0)
    return ModelVersion(
        user_keys=dataset.user_keys,
        item_keys=dataset.item_keys,
        recommenders=models,
        configs={name: configs[name] for name in models},
        blends=blends,
        cold=cold_items(models, dataset, trial.cold_factor),
        rating_model=ratings,
        rating_config=recipe.rating,
        analytics=analytics,
        analytics_config=recipe.analytics or AnalyticsConfig(),
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
    users_to = int(dataset.user_keys[-1]) if dataset.n_users else 0
    return Trained(
        version, content, trial.evaluation, found.trained_to, trial.rejected, users_to, found.erasures_to
    )
