"""HTTP of model versions."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response

from app.api.audit import write_recorded
from app.api.auth import scope
from app.api.edge import Cursor, EdgeDep, Limit, LiveDep, answer
from app.api.paths import name_of
from app.api.problems import problems
from app.schemas.models import ModelPage, ModelVersion
from app.services import models

router = APIRouter(prefix="/v1/models", tags=["Run"])
reads = [Depends(scope("query"))]

Version = Annotated[str, name_of("As `GET /v1/models` gives it")]


@router.get("", response_model=ModelPage, responses=problems(), dependencies=reads)
async def list_models(edge: EdgeDep, cursor: Cursor = None, limit: Limit = 20) -> Response:
    """Model versions, newest first, with their evaluation."""
    return answer(await edge.read(models.list_models, cursor, limit))


@router.get("/{version}", response_model=ModelVersion, responses=problems(404), dependencies=reads)
async def get_model(version: Version, edge: EdgeDep) -> Response:
    """One version: its evaluation beside popularity and the version before, its families and blend."""
    return answer(await edge.read(models.get_model, version))


@router.post(
    "/{version}/activate",
    response_model=ModelVersion,
    responses=problems(404, 409),
    dependencies=[Depends(scope("admin"))],
)
async def activate_model(version: Version, request: Request, live: LiveDep) -> Response:
    """Roll back or forward: all workers serve this version within moments, without a dropped request."""
    activated = await write_recorded(
        request, "model.activated", version, models.activate_model, live.artifacts, version
    )
    await to_thread.run_sync(live.follow_once)
    return answer(activated)
