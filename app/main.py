"""The HTTP application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute

from app.api import (
    audit,
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
    privacy,
    profile,
    ratings,
    recommendations,
    reports,
    rules,
    scenarios,
    segment_rules,
    segments,
    similar,
    training_runs,
    users,
)
from app.api.admission import ADMISSION, Admission
from app.api.edge import Edge
from app.api.headers import EXPOSED
from app.api.middleware import Telemetry
from app.api.openapi import set_up_openapi
from app.api.paths import EncodedSlashes
from app.api.problems import add_problem_handlers
from app.api.pseudonyms import Pseudonyms
from app.api.refusals import Refusals
from app.api.safeguards import Safeguards
from app.core.settings import Settings
from app.core.telemetry import set_up_logs
from app.db.session import Database
from app.services.first_answer import when_reached
from app.services.live import Live
from app.services.pseudonyms import check_key
from app.services.rate_limits import RateLimits
from app.services.remembered_keys import RememberedKeys
from app.services.shown import Shown

log = structlog.get_logger(__name__)
ROUTERS = (
    recommendations,  # first: a request tries the routers in turn
    interactions,
    users,
    merging,
    corrections,
    privacy,
    items,
    batches,
    scenarios,
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
    audit,
    health,
    docs,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application for the given settings (default: those of the environment)."""
    settings = settings or Settings()
    set_up_logs(settings.log_level, settings.log_format)
    database = Database(settings.database_url, pool_size=settings.database_pool, for_requests=True)
    live = Live(database, settings.artifacts, settings.weights)
    without = settings.without_database_seconds
    edge = Edge(database, settings.max_body_mb * 2**20, without_seconds=without)
    shown = Shown(edge.write, settings.shown_days > 0)

    refusals = Refusals(settings.hsts_seconds, settings.cors_origins)
    operations = [
        (method, route.path)
        for module in ROUTERS
        for route in module.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    ]
    admission = Admission(settings.max_concurrent, settings.database_pool, refusals, operations)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        try:
            await when_reached(partial(check_key, database, settings.pseudonyms_by))
            async with live.following(settings.model_poll_seconds), shown.recording():
                yield {ADMISSION: admission}
        finally:
            await database.close_awaited()
            database.close()

    app = FastAPI(
        title="Vitrine",
        version=version("vitrine"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.state.edge = edge
    app.state.live = live
    app.state.shown = shown
    app.state.erasure_days = settings.erasure_days
    app.state.rate_limits = RateLimits(
        settings.rate_limit, settings.track_rate_limit, settings.wrong_key_limit, settings.rate_limit_file
    )
    app.state.remembered_keys = RememberedKeys(without)
    app.state.user_token_secret = (
        settings.user_token_secret.get_secret_value() if settings.user_token_secret else None
    )
    app.state.hsts_seconds = settings.hsts_seconds
    app.state.admin_key = settings.admin_key.get_secret_value() if settings.admin_key else None
    for module in ROUTERS:
        app.include_router(module.router)
    add_problem_handlers(app)
    set_up_openapi(app)
    app.add_middleware(Safeguards, body_seconds=settings.body_seconds, hsts_seconds=settings.hsts_seconds)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "X-API-Key", "X-User-Token", "Content-Type", "X-Request-ID"],
            expose_headers=EXPOSED,
        )
    app.add_middleware(Telemetry, access_log=settings.access_log)
    app.add_middleware(EncodedSlashes)
    if settings.pseudonyms_by is not None:
        app.add_middleware(Pseudonyms, key=settings.pseudonyms_by)
    return app
