"""HTTP of predictions of customers."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy import Connection

from app.api.auth import scope
from app.api.csv import CSV_CONTENT, csv_answer
from app.api.edge import Cursor, EdgeDep, Limit, LiveDep, answer
from app.api.paths import UserId
from app.api.problems import problems
from app.schemas.predictions import Features, PredictionModels, PredictionPage, UserPredictions
from app.services import prediction_lists
from app.services.live import Live
from app.services.prediction_models import describe_features, describe_models
from app.services.predictions import predict_customer

router = APIRouter(prefix="/v1", tags=["Ask"], dependencies=[Depends(scope("query"))])

Bound = Annotated[float | None, Query(allow_inf_nan=False, description="Inclusive")]
_PAGE: dict[int | str, dict[str, Any]] = {**problems(404, 409), 200: {"content": CSV_CONTENT}}


@router.get("/users/{user_id}/predictions", response_model=UserPredictions, responses=problems(404, 409))
async def get_user_predictions(user_id: UserId, edge: EdgeDep, live: LiveDep) -> Response:
    """Churn, next purchase, value and lifetime value of a customer, from all events until now, each with what
    drove it and how far such figures have proved right."""
    return answer(await edge.scan(predict_customer, live, user_id))


@router.get("/predictions", response_model=PredictionPage, responses=_PAGE)
async def list_predictions(
    edge: EdgeDep,
    live: LiveDep,
    name: Annotated[prediction_lists.Name, Query(description="The figure")] = "churn",
    order: Annotated[prediction_lists.Order, Query(description="`desc`: the highest first")] = "desc",
    low: Annotated[Bound, Query(alias="min")] = None,
    high: Annotated[Bound, Query(alias="max")] = None,
    segment_id: Annotated[
        str | None,
        Query(
            max_length=200,
            pattern=r"^[^\x00-\x1f\x7f]+$",
            description="Only the members of a segment, learned or saved",
        ),
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Annotated[  # noqa: A002 (the parameter's name on the wire)
        Literal["json", "csv"],
        Query(
            description="`csv`: a table of all that match, with every figure; "
            "`cursor` and `limit` do not count"
        ),
    ] = "json",
) -> Response:
    """Customers by a figure, as of the active version; those to whom it does not apply are left out.

    A cursor is of one version: after another one became active, it is a 409.
    """
    wanted = prediction_lists.Wanted(name, order, low, high, segment_id)
    if format == "csv":
        return await edge.scan(_table, live, wanted)
    return answer(await edge.scan(prediction_lists.list_predictions, live, wanted, cursor, limit))


@router.get("/predictions/models", response_model=PredictionModels, responses=problems(409))
async def get_prediction_models(live: LiveDep) -> Response:
    """How each prediction was learned, chosen and judged, and the models that people can read."""
    return answer(describe_models(live))


@router.get("/predictions/features", response_model=Features, responses=problems())
async def list_features(live: LiveDep) -> Response:
    """What the features of customers mean, from which segments and predictions are made."""
    return answer(describe_features(live))


def _table(connection: Connection, live: Live, wanted: prediction_lists.Wanted) -> Response:
    rows = prediction_lists.table_of_predictions(connection, live, wanted)
    return csv_answer(rows, prediction_lists.COLUMNS, f"{wanted.name}.csv")
