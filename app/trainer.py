"""The trainer process: take a run, do it, report progress."""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType

from threadpoolctl import threadpool_limits

from app.core.settings import Settings
from app.core.telemetry import set_up_logs
from app.db.migrate import OtherSchema, require_head
from app.db.session import Database
from app.learning.analytics import AnalyticsConfig
from app.learning.baskets.model import RulesConfig
from app.learning.customers.customers import CustomersConfig
from app.learning.customers.lifetime.lifetime import LifetimeConfig
from app.learning.customers.predictors.predictions import PredictionsConfig
from app.training.pipeline import Recipe
from app.training.worker import Trainer, TrainerOptions

NICENESS = 5
"""Answers to customers come before training when both want the same core."""


def recipe_of(settings: Settings) -> Recipe:
    """What a training does, by the settings."""
    segments = {"memory_mb": settings.trainer_memory_mb}
    usual = CustomersConfig()
    customers = CustomersConfig(
        segmentations=tuple(one.model_copy(update=segments) for one in usual.segmentations),
        taste=usual.taste.model_copy(update=segments),
        predictions=PredictionsConfig(
            churn_horizon_days=settings.churn_days or None, horizon_days=settings.prediction_days
        ),
        lifetime=LifetimeConfig(horizon_days=settings.lifetime_days),
    )
    rules = RulesConfig(
        min_support=settings.rules_min_support or None, min_confidence=settings.rules_min_confidence
    )
    return Recipe(
        settings.weights,
        settings.seed,
        settings.search_seconds,
        settings.trainer_memory_mb,
        analytics=AnalyticsConfig(customers=customers, rules=rules),
    )


def options_of(settings: Settings) -> TrainerOptions:
    """What a trainer needs of the settings."""
    return TrainerOptions(
        artifacts=settings.artifacts,
        recipe=recipe_of(settings),
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
        keep_versions=settings.keep_versions,
        interval_hours=settings.train_interval_hours,
        after_interactions=settings.train_after_interactions,
        retention_days=settings.retention_days,
        shown_days=settings.shown_days,
        audit_days=settings.audit_days,
    )


def run_trainer(settings: Settings, parent: int | None = None) -> None:
    """Work until SIGTERM or SIGINT, or until the parent process (if given) is gone."""
    set_up_logs(settings.log_level, settings.log_format)
    with suppress(OSError):
        os.nice(NICENESS)
    database = Database(settings.database_url, pool_size=4)
    try:
        require_head(database)
    except OtherSchema as error:
        sys.exit(str(error))
    threadpool_limits(settings.trainer_threads or max(1, (os.cpu_count() or 2) - 1))
    trainer = Trainer(database, options_of(settings))

    def stop(_number: int, _frame: FrameType | None) -> None:
        trainer.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    trainer.work(still_wanted=lambda: parent is None or os.getppid() == parent)
    database.close()
