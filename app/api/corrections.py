"""HTTP of corrections of taste."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.api.auth import scope
from app.api.edge import Cursor, EdgeDep, Limit, answer, body_of, read_body
from app.api.paths import UserId, name_of
from app.api.problems import problems
from app.schemas.corrections import Correction, CorrectionFields, CorrectionPage
from app.schemas.parsing import parse_body
from app.services import corrections

router = APIRouter(prefix="/v1/users/{user_id}/corrections", tags=["Ingest"])
writes = [Depends(scope("ingest"))]
reads = [Depends(scope("query", "ingest"))]
CorrectionId = Annotated[str, name_of("As `GET …/corrections` gives it")]


@router.post(
    "",
    status_code=201,
    response_model=Correction,
    responses={
        **problems(400, 404, 413),
        200: {"description": "It was there already", "model": Correction},
    },
    dependencies=writes,
    openapi_extra=body_of(CorrectionFields, {"item_id": "mug", "kind": "not_interested"}),
)
async def add_correction(user_id: UserId, request: Request, edge: EdgeDep) -> Response:
    """Take events out of a user's taste: from the next answer on, and in the next training.

    They stay in sales, reports and lifetime value. `not_interested` also keeps the item out of the user's
    recommendations.
    """
    wanted = parse_body(CorrectionFields, await read_body(request))
    stored, created = await edge.write(corrections.add_correction, user_id, wanted)
    return answer(stored, status=201 if created else 200)


@router.get("", response_model=CorrectionPage, responses=problems(404), dependencies=reads)
async def list_corrections(
    user_id: UserId, edge: EdgeDep, cursor: Cursor = None, limit: Limit = 100
) -> Response:
    """A user's corrections, in the order in which they came."""
    return answer(await edge.read(corrections.list_corrections, user_id, cursor, limit))


@router.delete("/{correction_id}", status_code=204, responses=problems(404), dependencies=writes)
async def delete_correction(user_id: UserId, correction_id: CorrectionId, edge: EdgeDep) -> Response:
    """Take a correction back: its events count again from the next answer on."""
    await edge.write(corrections.delete_correction, user_id, correction_id)
    return Response(status_code=204)
