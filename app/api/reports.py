"""HTTP of the shop's figures."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response

from app.api.auth import scope
from app.api.csv import CSV_CONTENT, csv_answer
from app.api.edge import EdgeDep, answer
from app.api.problems import problems
from app.api.recommendations import Category, N
from app.schemas.reports import (
    CategoryReport,
    CohortReport,
    ItemReport,
    Moment,
    RecommendationReport,
    SalesReport,
)
from app.services.reports import cohorts, products, recommendations, sales

router = APIRouter(prefix="/v1/reports", tags=["Ask"], dependencies=[Depends(scope("query"))])

From = Annotated[
    Moment | None,
    Query(alias="from", description="A date or a time, inclusive; default: 30 days before the end"),
]
To = Annotated[
    Moment | None, Query(description="A date or a time, exclusive; default: just after the latest event")
]
Currency = Annotated[
    str | None,
    Query(pattern="^[A-Z]{3}$", description="Count only what was paid in it; default: the most frequent"),
]
Format = Annotated[Literal["json", "csv"], Query(description="`csv`: a table instead")]
_RESPONSES: dict[int | str, dict[str, Any]] = {**problems(), 200: {"content": CSV_CONTENT}}


@router.get("/sales", response_model=SalesReport, responses=_RESPONSES)
async def get_sales_report(
    edge: EdgeDep,
    since: From = None,
    to: To = None,
    by: Annotated[Literal["day", "week", "month"], Query(description="Weeks begin on Monday")] = "day",
    category: Category = None,
    currency: Currency = None,
    format: Format = "json",  # noqa: A002 (the parameter's name on the wire)
) -> Response:
    """Revenue, orders and customers: totals beside the window before, and a series.

    Times are UTC. Every period of the window is there, 1,100 at most. The table has the series alone.
    """
    report = await edge.scan(sales.report_sales, since, to, by, category, currency)
    if format == "csv":
        return csv_answer(sales.sales_rows(report), sales.COLUMNS, "sales.csv")
    return answer(report)


@router.get("/cohorts", response_model=CohortReport, responses=_RESPONSES)
async def get_cohort_report(
    edge: EdgeDep,
    by: Annotated[Literal["week", "month"], Query(description="Weeks begin on Monday")] = "month",
    periods: Annotated[int, Query(ge=1, le=120, description="How many, up to the latest event's")] = 12,
    format: Format = "json",  # noqa: A002 (the parameter's name on the wire)
) -> Response:
    """Customers by the period of their first purchase, and how many came back in each later one."""
    report = await edge.scan(cohorts.report_cohorts, by, periods)
    if format == "csv":
        return csv_answer(cohorts.cohort_rows(report), cohorts.COLUMNS, "cohorts.csv")
    return answer(report)


@router.get("/items", response_model=ItemReport, responses=_RESPONSES)
async def get_item_report(
    edge: EdgeDep,
    since: From = None,
    to: To = None,
    n: N = 10,
    order: Annotated[
        Literal["revenue", "units", "growth"], Query(description="What the best items are best by")
    ] = "revenue",
    currency: Currency = None,
    format: Format = "json",  # noqa: A002 (the parameter's name on the wire)
) -> Response:
    """Items that sold best, and those that rose and fell most since the window before.

    The table has the best items alone.
    """
    report = await edge.scan(products.report_items, since, to, n, order, currency)
    if format == "csv":
        return csv_answer(products.item_rows(report), products.ITEM_COLUMNS, "items.csv")
    return answer(report)


@router.get("/categories", response_model=CategoryReport, responses=_RESPONSES)
async def get_category_report(
    edge: EdgeDep,
    since: From = None,
    to: To = None,
    currency: Currency = None,
    format: Format = "json",  # noqa: A002 (the parameter's name on the wire)
) -> Response:
    """Sales by top-level category; an item in several of them counts in each."""
    report = await edge.scan(products.report_categories, since, to, currency)
    if format == "csv":
        return csv_answer(products.category_rows(report), products.CATEGORY_COLUMNS, "categories.csv")
    return answer(report)


@router.get(
    "/recommendations",
    response_model=RecommendationReport,
    response_model_exclude_unset=True,
    responses=_RESPONSES,
)
async def get_recommendation_report(
    edge: EdgeDep,
    since: From = None,
    to: To = None,
    by: Annotated[
        list[Literal["scenario", "source", "model_version", "day"]] | None,
        Query(max_length=4, description="May be repeated, for combinations; default: scenario"),
    ] = None,
    currency: Currency = None,
    format: Format = "json",  # noqa: A002 (the parameter's name on the wire)
) -> Response:
    """What recommendations led to: clicks, conversions and revenue of the lists shown in the window.

    Events count that carry the `recommendation_id` of a list and one of its items, whenever they happened.
    The table has the groups alone.
    """
    chosen = by or ["scenario"]
    report = await edge.scan(recommendations.report_recommendations, since, to, chosen, currency)
    if format == "csv":
        rows = recommendations.group_rows(report)
        return csv_answer(rows, recommendations.columns(chosen), "recommendations.csv")
    return answer(report)
