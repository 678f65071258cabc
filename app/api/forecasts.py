"""HTTP of sales and demand forecasts."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy import Connection

from app.api.auth import scope
from app.api.csv import CSV_CONTENT, csv_answer
from app.api.edge import Cursor, EdgeDep, LiveDep, answer
from app.api.paths import ItemId
from app.api.problems import problems
from app.learning.forecasting.series import Measure, Step
from app.schemas.forecasts import DemandList, ItemForecast, SalesForecast
from app.services import forecasts
from app.services.live import Live

router = APIRouter(prefix="/v1", tags=["Ask"], dependencies=[Depends(scope("query"))])

By = Annotated[Step, Query(description="UTC days, or weeks of seven days back from the data's last")]
Past = Annotated[
    int | None,
    Query(ge=0, le=1100, description="How many periods of the past; default: 56 days or 26 weeks"),
]
Format = Annotated[Literal["json", "csv"], Query(description="`csv`: a table instead")]


def _responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {**problems(*statuses), 200: {"content": CSV_CONTENT}}


@router.get("/forecasts/sales", response_model=SalesForecast, responses=_responses(409))
async def get_sales_forecast(
    live: LiveDep,
    measure: Annotated[
        Measure,
        Query(description="Revenue is money less refunds, added up as sent, whatever the currency"),
    ] = "revenue",
    by: By = "day",
    past: Past = None,
    format: Format = "json",  # noqa: A002 (the parameter's name on the wire)
) -> Response:
    """The whole shop's sales: what was, and what is expected with intervals.

    Beside the method's error stands that of repeating the last season. Too short a history has `missing`.
    """
    found = forecasts.forecast_sales(live, measure, by, past)
    if format == "csv":
        return csv_answer(forecasts.series_rows(found), forecasts.SERIES_COLUMNS, "sales-forecast.csv")
    return answer(found)


@router.get("/forecasts/demand", response_model=DemandList, responses=_responses(409))
async def list_demand_forecasts(
    edge: EdgeDep,
    live: LiveDep,
    by: By = "day",
    n: Annotated[
        int | None, Query(ge=1, le=500, description="Items on a page; default: 50, of a table all")
    ] = None,
    cursor: Cursor = None,
    format: Format = "json",  # noqa: A002 (the parameter's name on the wire)
) -> Response:
    """Items by the units that are expected of them, the most first, with their periods.

    Only items that sold most, and for long enough, have a forecast. The table has no periods.
    """
    if format == "csv":
        return await edge.scan(_demand_table, live, by, cursor, n)
    return answer(await edge.scan(forecasts.list_demand, live, by, cursor, n))


@router.get("/items/{item_id}/forecast", response_model=ItemForecast, responses=_responses(404, 409))
async def get_item_forecast(
    item_id: ItemId,
    edge: EdgeDep,
    live: LiveDep,
    by: By = "day",
    past: Past = None,
    format: Format = "json",  # noqa: A002 (the parameter's name on the wire)
) -> Response:
    """One item's demand in units: what was, and what is expected; `missing` says why nothing is."""
    found = await edge.read(forecasts.forecast_item, live, item_id, by, past)
    if format == "csv":
        return csv_answer(forecasts.series_rows(found), forecasts.SERIES_COLUMNS, "item-forecast.csv")
    return answer(found)


def _demand_table(
    connection: Connection, live: Live, by: Step, cursor: str | None, n: int | None
) -> Response:
    rows = forecasts.demand_rows(connection, live, by, cursor, n)
    return csv_answer(rows, forecasts.DEMAND_COLUMNS, "demand-forecast.csv")
