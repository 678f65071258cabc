"""HTTP of customer segments."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse

from app.api.auth import scope
from app.api.csv import CSV_CONTENT, csv_answer
from app.api.edge import Cursor, Edge, EdgeDep, Limit, LiveDep, answer
from app.api.paths import UserId, name_of
from app.api.problems import problems
from app.schemas.segments import SegmentAnswer, SegmentKind, Segments, SegmentUsers, UserSegments
from app.services import segment_users, segments
from app.services.segment_users import ROWS_AT_ONCE, Members

router = APIRouter(prefix="/v1", tags=["Ask"], dependencies=[Depends(scope("query"))])

SegmentId = Annotated[str, name_of("As `GET /v1/segments` gives it")]
_WITH_CSV: dict[int | str, dict[str, Any]] = {**problems(404, 409), 200: {"content": CSV_CONTENT}}


@router.get("/segments", response_model=Segments, responses=problems(409))
async def list_segments(
    edge: EdgeDep,
    live: LiveDep,
    kind: Annotated[SegmentKind | None, Query(description="Only segments of this kind")] = None,
) -> Response:
    """Groups of customers: by behaviour, by taste, by recency, frequency and money, and by saved filters.

    What the data do not suffice for is in `missing`, with what it needs. Sizes are of the last training.
    """
    return answer(await edge.scan(segments.list_segments, live, kind))


@router.get("/segments/{segment_id}", response_model=SegmentAnswer, responses=problems(404, 409))
async def get_segment(segment_id: SegmentId, edge: EdgeDep, live: LiveDep) -> Response:
    """One segment."""
    return answer(await edge.scan(segments.get_segment, live, segment_id))


@router.get("/segments/{segment_id}/users", response_model=SegmentUsers, responses=_WITH_CSV)
async def list_segment_users(
    segment_id: SegmentId,
    edge: EdgeDep,
    live: LiveDep,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Annotated[  # noqa: A002 (the parameter's name on the wire)
        Literal["json", "csv"],
        Query(description="`csv`: the whole segment as a table, with features and predicted figures"),
    ] = "json",
) -> Response:
    """The users of a segment as of the last training; of RFM with their scores.

    Users that were erased since are left out. The table has all users, whatever `cursor` and `limit` say.
    """
    if format == "csv":
        members = await edge.scan(segment_users.members_of, live, segment_id)
        return StreamingResponse(
            _table(edge, members),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{segment_id}.csv"'},
        )
    return answer(await edge.scan(segment_users.list_segment_users, live, segment_id, cursor, limit))


@router.get("/users/{user_id}/segments", response_model=UserSegments, responses=problems(404, 409))
async def list_user_segments(user_id: UserId, edge: EdgeDep, live: LiveDep) -> Response:
    """The segments that a user is in, by all events until this moment: no training is needed for it."""
    return answer(await edge.scan(segments.segments_of_user, live, user_id))


async def _table(edge: Edge, members: Members) -> AsyncIterator[bytes]:
    """A segment may be the whole shop: it goes out as it is read, and holds no connection meanwhile."""
    for start in range(0, max(1, len(members.rows)), ROWS_AT_ONCE):
        rows = await edge.scan(segment_users.member_table, members, start)
        lines = bytes(csv_answer(rows, members.columns, members.segment_id).body)
        yield lines if start == 0 else lines.partition(b"\r\n")[2]
