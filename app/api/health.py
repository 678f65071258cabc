"""HTTP of health and metrics."""

import os

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from app.api.auth import scope
from app.api.edge import EdgeDep, LiveDep, answer
from app.api.problems import problems
from app.core.errors import AppError
from app.schemas.health import Liveness, Readiness

router = APIRouter(tags=["Operate"])


@router.get("/health/live", response_model=Liveness)
async def get_liveness() -> Response:
    """The process answers."""
    return answer({"status": "alive"})


@router.get(
    "/health/ready",
    response_model=Readiness,
    responses={503: {"description": "Not ready: the database cannot be reached", "model": Readiness}},
)
async def get_readiness(edge: EdgeDep, live: LiveDep) -> Response:
    """The database answers, and which model version is served (null before the first training).

    While the database is away and recommendations go on without it, the answer is 200 `degraded`: were it
    503, a load balancer would take every replica away at once.
    """
    database = "ok"
    try:
        await edge.ask()
    except AppError as error:
        database = error.detail
    model = live.current
    status = "ready" if database == "ok" and live.failing is None else "degraded"
    if database != "ok" and not edge.serves_without:
        status = "not_ready"
    body = {
        "status": status,
        "database": database,
        "model_version": model.name if model else None,
        "model_problem": live.failing,
    }
    return answer(body, status=503 if status == "not_ready" else 200)


@router.get(
    "/metrics",
    responses={**problems(), 200: {"description": "Prometheus text", "content": {"text/plain": {}}}},
    response_class=Response,
    dependencies=[Depends(scope("query", limited=False, without_database=True))],
)
async def get_metrics() -> Response:
    """Metrics of all workers together, in Prometheus's text format."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
