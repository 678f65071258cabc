"""HTTP of training runs."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from app.api.audit import write_recorded
from app.api.auth import scope
from app.api.edge import Cursor, EdgeDep, Limit, answer
from app.api.paths import name_of
from app.api.problems import problems
from app.schemas.training_runs import TrainingRun, TrainingRunPage
from app.services import training_runs

router = APIRouter(prefix="/v1/training-runs", tags=["Run"], dependencies=[Depends(scope("admin"))])

RunId = Annotated[str, name_of("As `GET /v1/training-runs` gives it")]


@router.post("", status_code=202, response_model=TrainingRun, responses=problems(409))
async def queue_training_run(request: Request) -> Response:
    """Queue a training. One works at a time; while one is queued, this answers that one."""
    run = await write_recorded(request, "training.queued", _run_id, training_runs.queue_run, "api")
    return answer(run, status=202, headers={"Location": f"/v1/training-runs/{run['run_id']}"})


@router.get("", response_model=TrainingRunPage, responses=problems())
async def list_training_runs(edge: EdgeDep, cursor: Cursor = None, limit: Limit = 20) -> Response:
    """Training runs, newest first."""
    return answer(await edge.read(training_runs.list_runs, cursor, limit))


@router.get("/{run_id}", response_model=TrainingRun, responses=problems(404))
async def get_training_run(run_id: RunId, edge: EdgeDep) -> Response:
    """One training run: its state, stage, progress, metrics or error."""
    return answer(await edge.read(training_runs.get_run, run_id))


@router.delete("/{run_id}", response_model=TrainingRun, responses=problems(404, 409))
async def cancel_training_run(run_id: RunId, request: Request) -> Response:
    """Cancel a run: a queued one at once, a working one at its next step."""
    run = await write_recorded(request, "training.cancelled", run_id, training_runs.cancel_run, run_id)
    return answer(run)


def _run_id(run: dict[str, Any]) -> str:
    return str(run["run_id"])
