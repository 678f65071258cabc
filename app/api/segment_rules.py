"""HTTP of saved filters over customers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from app.api.audit import write_recorded
from app.api.auth import scope
from app.api.edge import EdgeDep, LiveDep, answer, body_of, read_body
from app.api.problems import problems
from app.schemas.parsing import parse_body
from app.schemas.segment_rules import (
    FilterFields,
    FilterPreview,
    FilterRequest,
    SegmentRule,
    SegmentRuleFields,
    SegmentRuleList,
)
from app.services import segment_rules

router = APIRouter(prefix="/v1/segment-rules", tags=["Ask"])
writes = [Depends(scope("admin"))]
reads = [Depends(scope("query"))]
SegmentName = Annotated[
    str,
    Path(
        description="The filter's own name: its segment is `rule-NAME`",
        pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$",
        examples=["big-spenders"],
    ),
]
_FILTER = "purchase_recency_days <= 30 and monetary > 100"


@router.get("", response_model=SegmentRuleList, responses=problems(), dependencies=reads)
async def list_segment_rules(edge: EdgeDep) -> Response:
    """All saved filters. Whom they match is in `GET /v1/segments?kind=rule`."""
    return answer(await edge.read(segment_rules.list_rules))


@router.get("/fields", response_model=FilterFields, responses=problems(), dependencies=reads)
async def list_filter_fields(edge: EdgeDep, live: LiveDep) -> Response:
    """What filters may name: features, predicted figures and users' attributes, with unit and meaning."""
    return answer(await edge.scan(segment_rules.list_fields, live))


@router.post(
    "/preview",
    response_model=FilterPreview,
    responses=problems(400, 409, 413),
    dependencies=reads,
    openapi_extra=body_of(FilterRequest, {"filter": _FILTER}),
)
async def preview_segment_rule(request: Request, edge: EdgeDep, live: LiveDep) -> Response:
    """Whom a filter matches, and what sets them apart, without saving it."""
    wanted = parse_body(FilterRequest, await read_body(request))
    return answer(await edge.scan(segment_rules.preview, live, wanted.filter))


@router.put(
    "/{segment}",
    response_model=SegmentRule,
    responses={
        **problems(400, 409, 413),
        201: {"description": "Saved for the first time", "model": SegmentRule},
    },
    dependencies=writes,
    openapi_extra=body_of(SegmentRuleFields, {"name": "Big spenders of this month", "filter": _FILTER}),
)
async def put_segment_rule(segment: SegmentName, request: Request, edge: EdgeDep, live: LiveDep) -> Response:
    """Save a filter, or change it: its segment is there at the next call, without a training.

    A filter that cannot be understood is refused with the column of the mistake. Before the first training
    any name may be an attribute; from then on names are compared with what there is.
    """
    wanted = parse_body(SegmentRuleFields, await read_body(request))
    # Names are looked up in all users: not while other writers wait.
    await edge.scan(segment_rules.check_filter, live, wanted.filter)
    saved, created = await write_recorded(
        request, "segment_rule.saved", segment, segment_rules.put_rule, segment, wanted
    )
    return answer(saved, status=201 if created else 200)


@router.get("/{segment}", response_model=SegmentRule, responses=problems(404), dependencies=reads)
async def get_segment_rule(segment: SegmentName, edge: EdgeDep) -> Response:
    """One saved filter."""
    return answer(await edge.read(segment_rules.get_rule, segment))


@router.delete("/{segment}", status_code=204, responses=problems(404), dependencies=writes)
async def delete_segment_rule(segment: SegmentName, request: Request) -> Response:
    """Remove a filter, and with it its segment."""
    await write_recorded(request, "segment_rule.deleted", segment, segment_rules.delete_rule, segment)
    return Response(status_code=204)
