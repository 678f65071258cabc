"""HTTP of recommendations and rankings."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy import Connection

from app.api.auth import scope
from app.api.edge import Edge, EdgeDep, LiveDep, answer, body_of, read_body
from app.api.paths import UserId
from app.api.problems import problems
from app.schemas.parsing import parse_body
from app.schemas.recommendations import (
    MAX_N,
    Ranking,
    RankingRequest,
    RecommendationBatch,
    RecommendationRequest,
    Recommendations,
    RecommendationsBatch,
)
from app.services.live import Live
from app.services.recommend import rank, recommend
from app.services.shop_rules import reads_much

router = APIRouter(prefix="/v1", tags=["Ask"])
shows = [Depends(scope("query", "track"))]

N = Annotated[int, Query(ge=1, le=MAX_N, description="How many")]
Category = Annotated[
    str | None, Query(max_length=500, description='Only items under this path, e.g. "Shoes > Running"')
]
_EXAMPLE: dict[str, Any] = {
    "user_id": "ana",
    "session": {"events": [{"item_id": "mug", "event": "view_item"}]},
    "n": 10,
    "fields": ["title", "price"],
    "explain": True,
    "filter": "price <= $most and not tags has 'sale'",
    "parameters": {"most": 50},
}


@router.get(
    "/users/{user_id}/recommendations",
    response_model=Recommendations,
    response_model_exclude_unset=True,
    responses=problems(),
    dependencies=shows,
)
async def get_recommendations(
    user_id: UserId,
    edge: EdgeDep,
    live: LiveDep,
    n: N = 10,
    category: Category = None,
    exclude_seen: Annotated[
        bool | None,
        Query(
            description="Leave out what the user interacted with; default: yes, but what was bought "
            "on an earlier day may return where the shop's customers buy again"
        ),
    ] = None,
    explain: Annotated[bool, Query(description="Say why each item is recommended")] = False,
    item_filter: Annotated[
        str | None,
        Query(
            alias="filter",
            max_length=4000,
            description='Only items that pass, e.g. `price <= 50 and not tags has "sale"`',
        ),
    ] = None,
) -> Response:
    """The best items for a user now. An unknown user gets what is popular and new, never a 404."""
    request = RecommendationRequest.model_construct(
        user_id=user_id,
        n=n,
        category=category,
        exclude_seen=exclude_seen,
        explain=explain,
        filter=item_filter,
    )
    return answer(await _asked(edge, live, request, "/query"))


@router.post(
    "/recommendations",
    response_model=Recommendations,
    response_model_exclude_unset=True,
    responses=problems(400, 413),
    dependencies=shows,
    openapi_extra=body_of(RecommendationRequest, _EXAMPLE),
)
async def post_recommendations(request: Request, edge: EdgeDep, live: LiveDep) -> Response:
    """The best items for a user, a session or a cart, with all options."""
    wanted = parse_body(RecommendationRequest, await read_body(request))
    return answer(await _asked(edge, live, wanted, ""))


@router.post(
    "/recommendations/batch",
    response_model=RecommendationsBatch,
    response_model_exclude_unset=True,
    responses=problems(400, 413),
    dependencies=[Depends(scope("query"))],
    openapi_extra=body_of(RecommendationBatch, {"requests": [{"user_id": "ana"}, {"user_id": "bo", "n": 5}]}),
)
async def post_recommendations_batch(request: Request, edge: EdgeDep, live: LiveDep) -> Response:
    """Up to 1,000 requests at once; the results are in the same order."""
    wanted = parse_body(RecommendationBatch, await read_body(request))
    return answer(await edge.scan(_recommend_all, live, wanted.requests))


def _recommend_all(
    connection: Connection, live: Live, requests: list[RecommendationRequest]
) -> dict[str, Any]:
    return {
        "results": [
            recommend(connection, live, request, f"/requests/{place}")
            for place, request in enumerate(requests)
        ]
    }


async def _asked(edge: Edge, live: Live, request: RecommendationRequest, at: str) -> dict[str, Any]:
    """A field of items that a filter names for the first time is read whole: not in the event loop."""
    run = edge.scan if reads_much(live, request, at) else edge.read
    return await run(recommend, live, request, at)


@router.post(
    "/rankings",
    response_model=Ranking,
    responses=problems(400, 413),
    dependencies=[Depends(scope("query"))],
    openapi_extra=body_of(RankingRequest, {"user_id": "ana", "item_ids": ["mug", "tea", "bowl"]}),
)
async def post_ranking(request: Request, edge: EdgeDep, live: LiveDep) -> Response:
    """The given items, the best for a person first."""
    wanted = parse_body(RankingRequest, await read_body(request))
    return answer(await edge.read(rank, live, wanted))
