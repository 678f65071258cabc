"""The HTTP application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import structlog
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from app.api import (
    batches,
    corrections,
    docs,
    forecasts,
    health,
    interactions,
    items,
    keys,
    lists,
    merging,
    models,
    predictions,
    profile,
    ratings,
    recommendations,
    reports,
    rules,
    segment_rules,
    segments,
    similar,
    training_runs,
    users,
)
from app.api.edge import Edge
from app.api.middleware import Telemetry
from app.api.openapi import set_up_openapi
from app.api.paths import EncodedSlashes
from app.api.problems import add_problem_handlers
from app.core.settings import Settings
from app.core.telemetry import set_up_logs
from app.db.session import Database
from app.services.live import Live

log = structlog.get_logger(__name__)
ROUTERS = (
    interactions,
    users,
    merging,
    corrections,
    items,
    batches,
    recommendations,
    similar,
    lists,
    predictions,
    ratings,
    profile,
    segments,
    segment_rules,
    rules,
    forecasts,
    reports,
    training_runs,
    models,
    keys,
    health,
    docs,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application for the given settings (default: those of the environment)."""
    settings = settings or Settings()
    set_up_logs(settings.log_level, settings.log_format)
    database = Database(settings.database_url, pool_size=settings.database_pool)
    live = Live(database, settings.artifacts, settings.weights)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with live.following(settings.model_poll_seconds):
            yield
        database.close()

    app = FastAPI(
        title="Vitrine",
        version=version("vitrine"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.state.edge = Edge(database, settings.max_body_mb * 2**20)
    app.state.live = live
    app.state.admin_key = settings.admin_key.get_secret_value() if settings.admin_key else None
    for module in ROUTERS:
        app.include_router(module.router)
    add_problem_handlers(app)
    set_up_openapi(app)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "X-API-Key", "Content-Type", "X-Request-ID"],
        )
    app.add_middleware(Telemetry, access_log=settings.access_log)
    app.add_middleware(EncodedSlashes)
    return app
