"""HTTP of customer segments."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from app.api.auth import scope
from app.api.edge import Cursor, EdgeDep, Limit, LiveDep, answer
from app.api.paths import UserId, name_of
from app.api.problems import problems
from app.schemas.segments import SegmentAnswer, Segments, SegmentUsers, UserSegments
from app.services import segments

router = APIRouter(prefix="/v1", tags=["Ask"], dependencies=[Depends(scope("query"))])

SegmentId = Annotated[str, name_of("As `GET /v1/segments` gives it")]


@router.get("/segments", response_model=Segments, responses=problems(409))
async def list_segments(
    live: LiveDep,
    kind: Annotated[str | None, Query(max_length=40, description="Only of this segmentation: kmeans")] = None,
) -> Response:
    """Groups of customers with similar behaviour, the largest first."""
    return answer(segments.list_segments(live, kind))


@router.get("/segments/{segment_id}", response_model=SegmentAnswer, responses=problems(404, 409))
async def get_segment(segment_id: SegmentId, live: LiveDep) -> Response:
    """One segment."""
    return answer(segments.get_segment(live, segment_id))


@router.get("/segments/{segment_id}/users", response_model=SegmentUsers, responses=problems(404, 409))
async def list_segment_users(
    segment_id: SegmentId, edge: EdgeDep, live: LiveDep, cursor: Cursor = None, limit: Limit = 100
) -> Response:
    """The users of a segment."""
    return answer(await edge.read(segments.list_segment_users, live, segment_id, cursor, limit))


@router.get("/users/{user_id}/segments", response_model=UserSegments, responses=problems(404, 409))
async def list_user_segments(user_id: UserId, edge: EdgeDep, live: LiveDep) -> Response:
    """The segments that a user is in."""
    return answer(await edge.read(segments.segments_of_user, live, user_id))
