"""HTTP of interactions and orders."""

from fastapi import APIRouter, Depends, Request, Response

from app.api.auth import access_of, scope, speaks_for
from app.api.batches import BATCH_PROBLEMS, post_batch
from app.api.edge import EdgeDep, answer, body_of, get_live, read_body
from app.api.problems import problems
from app.core.telemetry import INGESTED
from app.schemas.fields import BatchResult
from app.schemas.interactions import Interaction, InteractionBatch, InteractionResult, Order, OrderResult
from app.schemas.parsing import parse_body
from app.services import interactions
from app.services.batches import INTERACTIONS
from app.services.tracking import track

router = APIRouter(prefix="/v1", tags=["Ingest"])
tracks = [Depends(scope("ingest", "track"))]
_EXAMPLE = {
    "user_id": "ana",
    "session_id": "s-81",
    "item_id": "mug",
    "event": "add_to_cart",
    "quantity": 2,
    "price": 9.5,
    "currency": "EUR",
    "event_id": "evt-000193",
    "occurred_at": "2026-11-20T18:25:43.511Z",
}


@router.post(
    "/interactions",
    status_code=201,
    response_model=InteractionResult,
    responses=problems(400, 413),
    dependencies=tracks,
    openapi_extra=body_of(Interaction, _EXAMPLE),
)
async def post_interaction(request: Request, edge: EdgeDep) -> Response:
    """Store one event. A repeat (same `event_id`, or the same dated facts) changes nothing."""
    entry = parse_body(Interaction, await read_body(request))
    told = speaks_for(request, [entry.user_id])
    if access_of(request).public:
        recorded = await edge.write(track, entry, get_live(request).event_weights.keys())
    else:
        recorded = await edge.write(interactions.record, [entry])
    status = "accepted" if recorded.accepted[0] else "duplicate"
    INGESTED.labels("interactions", status).inc()
    if not told:  # whether it is new says what somebody did before
        status = "accepted"
    return answer(
        {"event_id": recorded.event_ids[0], "status": status, "warnings": recorded.warnings}, status=201
    )


@router.post(
    "/interactions/batch",
    response_model=BatchResult,
    responses=BATCH_PROBLEMS,
    dependencies=tracks,
    openapi_extra=body_of(InteractionBatch, {"interactions": [_EXAMPLE]}),
)
async def post_interactions(request: Request, edge: EdgeDep) -> Response:
    """Store up to 10,000 events in one transaction; bad entries are named, good ones stored."""
    return await post_batch(request, edge, INTERACTIONS, InteractionBatch)


@router.post(
    "/orders",
    status_code=201,
    response_model=OrderResult,
    responses=problems(400, 413),
    dependencies=[Depends(scope("ingest"))],
    openapi_extra=body_of(
        Order,
        {
            "order_id": "o-1042",
            "user_id": "ana",
            "items": [{"item_id": "mug", "quantity": 2, "price": 9.5}, {"item_id": "tea", "price": 4.2}],
            "currency": "EUR",
            "occurred_at": "2026-11-20T18:31:02Z",
        },
    ),
)
async def post_order(request: Request, edge: EdgeDep) -> Response:
    """Store an order as one purchase for each line; a repeat of the same order changes nothing."""
    order = parse_body(Order, await read_body(request))
    result = await edge.write(interactions.record_order, order)
    INGESTED.labels("interactions", "accepted").inc(result["lines"])
    return answer(result, status=201)
