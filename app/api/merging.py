"""HTTP of anonymous sessions that become a user's."""

from fastapi import APIRouter, Depends, Request, Response

from app.api.auth import scope
from app.api.edge import EdgeDep, answer, body_of, read_body
from app.api.paths import UserId
from app.api.problems import problems
from app.schemas.merging import Merge, MergeRequest
from app.schemas.parsing import parse_body
from app.services import merging

router = APIRouter(prefix="/v1/users", tags=["Ingest"])


@router.post(
    "/{user_id}/merge",
    response_model=Merge,
    responses=problems(400, 409, 413),
    dependencies=[Depends(scope("ingest"))],
    openapi_extra=body_of(MergeRequest, {"session_id": "s-81"}),
)
async def merge_session(user_id: UserId, request: Request, edge: EdgeDep) -> Response:
    """Make an anonymous session the user's, with all that happened in it and will; a repeat is harmless."""
    wanted = parse_body(MergeRequest, await read_body(request))
    return answer(await edge.write(merging.merge_session, user_id, wanted.session_id))
