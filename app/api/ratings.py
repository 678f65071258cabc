"""HTTP of predicted ratings."""

from fastapi import APIRouter, Depends, Request, Response

from app.api.auth import scope
from app.api.edge import EdgeDep, LiveDep, answer, body_of, read_body
from app.api.problems import problems
from app.schemas.parsing import parse_body
from app.schemas.ratings import RatingPredictions, RatingRequest
from app.services.ratings import predict_ratings

router = APIRouter(prefix="/v1/predictions", tags=["Ask"], dependencies=[Depends(scope("query"))])


@router.post(
    "/ratings",
    response_model=RatingPredictions,
    responses=problems(400, 409, 413),
    openapi_extra=body_of(RatingRequest, {"user_id": "ana", "item_ids": ["mug", "tea"]}),
)
async def post_rating_predictions(request: Request, edge: EdgeDep, live: LiveDep) -> Response:
    """Ratings that a user would give, on the shop's own scale, from what the user has rated by now."""
    wanted = parse_body(RatingRequest, await read_body(request))
    return answer(await edge.read(predict_ratings, live, wanted))
