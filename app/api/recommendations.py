"""HTTP of recommendations and rankings."""

from collections.abc import Sequence
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response

from app.api.auth import scope
from app.api.browsers import as_told, may_be_told
from app.api.edge import Edge, answer, body_of, get_edge, get_live, get_shown, read_body
from app.api.paths import UserId
from app.api.problems import problems
from app.api.routes import DirectRoute
from app.core.errors import Unavailable
from app.schemas.parsing import parse_body
from app.schemas.recommendations import (
    MAX_N,
    ListQuery,
    Ranking,
    RankingRequest,
    RecommendationBatch,
    RecommendationRequest,
    Recommendations,
    RecommendationsBatch,
)
from app.services.live import Live
from app.services.next_items import UNKNOWN, Continued, continued
from app.services.placements import list_for, lists_for, may_read_much
from app.services.recommend import rank
from app.services.shown import Shown
from app.services.without_database import list_without_database, lists_without_database

router = APIRouter(prefix="/v1", tags=["Ask"], route_class=DirectRoute)
shows = [Depends(scope("query", "track", without_database=True))]

N = Annotated[int, Query(ge=1, le=MAX_N, description="How many")]
Category = Annotated[
    str | None, Query(max_length=500, description='Only items under this path, e.g. "Shoes > Running"')
]
_EXAMPLE: dict[str, Any] = {
    "user_id": "ana",
    "session": {"events": [{"item_id": "mug", "event": "view_item"}]},
    "scenario": "home",
    "n": 10,
    "fields": ["title", "price"],
    "explain": True,
    "filter": "price <= $most and not tags has 'sale'",
    "parameters": {"most": 50},
}
_PLAIN = RecommendationRequest()
"""Says nothing: to copy it takes less than to make another."""
_PAGE: dict[str, Any] = {
    "requests": [
        {"user_id": "ana", "scenario": "home", "n": 5},
        {"user_id": "ana", "sources": ["trending"], "n": 5},
    ],
    "distinct": True,
}


@router.get(
    "/users/{user_id}/recommendations",
    response_model=Recommendations,
    response_model_exclude_unset=True,
    responses=problems(),
    dependencies=shows,
)
async def get_recommendations(
    asked: Request, user_id: UserId, query: Annotated[ListQuery, Query()]
) -> Response:
    """The best items for a user now. An unknown user gets what is popular and new, never a 404."""
    # What the call does not say is left to the scenario.
    given = {name: getattr(query, name) for name in query.model_fields_set}
    return await _answered(asked, _PLAIN.model_copy(update={"user_id": user_id, **given}), "/query")


@router.post(
    "/recommendations",
    response_model=Recommendations,
    response_model_exclude_unset=True,
    responses=problems(400, 413),
    dependencies=shows,
    openapi_extra=body_of(RecommendationRequest, _EXAMPLE),
)
async def post_recommendations(request: Request) -> Response:
    """The best items for a user, a session or a cart, with all options."""
    wanted = parse_body(RecommendationRequest, await read_body(request))
    return await _answered(request, wanted, "")


@router.post(
    "/recommendations/batch",
    response_model=RecommendationsBatch,
    response_model_exclude_unset=True,
    responses=problems(400, 413),
    dependencies=[Depends(scope("query", without_database=True))],
    openapi_extra=body_of(RecommendationBatch, _PAGE),
)
async def post_recommendations_batch(request: Request) -> Response:
    """Up to 1,000 requests at once; the results are in the same order.

    With `distinct`, as for several lists on one page, no item is in two of them: an item belongs to the list
    that pins it, else to the first that takes it, and the others take the next best.
    """
    edge, live, shown = get_edge(request), get_live(request), get_shown(request)
    wanted = parse_body(RecommendationBatch, await read_body(request))
    places = [f"/requests/{place}" for place in range(len(wanted.requests))]
    following = await _following(edge, shown, wanted.requests, places)
    requests = [each.request for each in following]
    try:
        found = await edge.scan(lists_for, live, requests, wanted.distinct)
    except Unavailable:
        if not edge.serves_without:
            raise
        found = await to_thread.run_sync(lists_without_database, live, requests, wanted.distinct)
    for each, result in zip(following, found["results"], strict=True):
        result["warnings"] += each.warnings
    response = answer(found)
    for each, result in zip(following, found["results"], strict=True):
        shown.note(each.request, result, each.after)
    return response


async def _answered(asked: Request, request: RecommendationRequest, at: str) -> Response:
    """The answer as it goes out, noted as shown."""
    edge, live, shown = get_edge(asked), get_live(asked), get_shown(asked)
    told = may_be_told(asked, request, at)
    (following,) = await _following(edge, shown, [request], [at])
    found = await _asked(edge, live, following.request, at, told)
    found["warnings"] += following.warnings
    response = answer(as_told(asked, found, told))
    shown.note(following.request, found, following.after)
    return response


async def _asked(
    edge: Edge, live: Live, request: RecommendationRequest, at: str, told: bool
) -> dict[str, Any]:
    """A field of items that a filter names for the first time is read whole: not in the event loop."""
    run = edge.scan if may_read_much(live, request, at) else edge.read
    try:
        return await run(list_for, live, request, at, told)
    except Unavailable:
        if not edge.serves_without:
            raise
        return list_without_database(live, request, at)


async def _following(
    edge: Edge, shown: Shown, requests: Sequence[RecommendationRequest], at: Sequence[str]
) -> list[Continued]:
    """The requests without what the lists before showed, if the database can be asked for that."""
    try:
        return await continued(edge.scan, shown, requests, at)
    except Unavailable:
        if not edge.serves_without:
            raise
        return [
            Continued(request, None, () if request.after is None else (UNKNOWN.format(request.after),))
            for request in requests
        ]


@router.post(
    "/rankings",
    response_model=Ranking,
    responses=problems(400, 413),
    dependencies=[Depends(scope("query"))],
    openapi_extra=body_of(RankingRequest, {"user_id": "ana", "item_ids": ["mug", "tea", "bowl"]}),
)
async def post_ranking(request: Request) -> Response:
    """The given items, the best for a person first."""
    wanted = parse_body(RankingRequest, await read_body(request))
    return answer(await get_edge(request).read(rank, get_live(request), wanted))
