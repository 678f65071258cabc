"""HTTP of association rules, and of what is bought together."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy import Connection

from app.api.auth import scope, speaks_for
from app.api.csv import CSV_CONTENT, csv_answer
from app.api.edge import Cursor, EdgeDep, LiveDep, answer, body_of, read_body
from app.api.paths import ItemId
from app.api.problems import problems
from app.api.recommendations import N
from app.schemas.fields import Id
from app.schemas.parsing import parse_body
from app.schemas.rules import BoughtTogetherRequest, RuleList, RuleOrder, Side, TogetherList
from app.services.bought_together import goes_with_cart, goes_with_item
from app.services.live import Live
from app.services.rules import RuleQuery, list_rules, rule_table

router = APIRouter(prefix="/v1", tags=["Ask"])
shows = [Depends(scope("query", "track"))]

_RESPONSES: dict[int | str, dict[str, Any]] = {**problems(404, 409), 200: {"content": CSV_CONTENT}}


def _share(of: str) -> Any:
    return Query(ge=0, le=1, allow_inf_nan=False, description=f"Only rules with at least this {of}, 0–1")


@router.get("/rules", response_model=RuleList, responses=_RESPONSES, dependencies=[Depends(scope("query"))])
async def list_association_rules(
    edge: EdgeDep,
    live: LiveDep,
    item_id: Annotated[Id | None, Query(description="Only rules with this item")] = None,
    side: Annotated[Side, Query(description="On which side of the rule `item_id` is to be")] = "any",
    min_support: Annotated[float, _share("support")] = 0,
    min_confidence: Annotated[float, _share("confidence")] = 0,
    min_lift: Annotated[
        float, Query(ge=0, allow_inf_nan=False, description="Only rules with at least this lift")
    ] = 0,
    order: Annotated[
        RuleOrder, Query(description="The highest first; strength is confidence times lift")
    ] = "strength",
    cursor: Cursor = None,
    limit: Annotated[
        int | None, Query(ge=1, le=1000, description="Rules on a page; default: 100, of a table all")
    ] = None,
    format: Annotated[Literal["json", "csv"], Query(description="`csv`: a table instead")] = "json",  # noqa: A002
) -> Response:
    """What is bought together more often than by chance, as of the model version.

    The training keeps rules that pass its own thresholds; those asked for here can only be stricter. An item
    that is in no rule has an empty list.
    """
    query = RuleQuery(item_id, side, min_support, min_confidence, min_lift, order)
    if format == "csv":
        return await edge.scan(_table, live, query, cursor, limit)
    return answer(await edge.scan(list_rules, live, query, cursor, limit))


@router.get(
    "/items/{item_id}/bought-together",
    response_model=TogetherList,
    responses=problems(404),
    dependencies=shows,
)
async def list_bought_together(item_id: ItemId, edge: EdgeDep, live: LiveDep, n: N = 10) -> Response:
    """Items that go with one item: by rules, then what is alike, then what is popular. All can be had now."""
    return answer(await edge.read(goes_with_item, live, item_id, n))


@router.post(
    "/bought-together",
    response_model=TogetherList,
    responses=problems(400, 413),
    dependencies=shows,
    openapi_extra=body_of(BoughtTogetherRequest, {"item_ids": ["mug", "tea"], "n": 5, "user_id": "ana"}),
)
async def post_bought_together(request: Request, edge: EdgeDep, live: LiveDep) -> Response:
    """Items to go with a cart, which is asked about as a set.

    A rule may need several of its items. What is in the cart, cannot be bought now, or was deleted is never
    answered. Where the rules name too few, the rest is alike or popular, each with its own `source`.
    """
    wanted = parse_body(BoughtTogetherRequest, await read_body(request))
    speaks_for(request, [wanted.user_id])
    return answer(await edge.read(goes_with_cart, live, wanted))


def _table(
    connection: Connection, live: Live, query: RuleQuery, cursor: str | None, limit: int | None
) -> Response:
    columns, rows = rule_table(connection, live, query, cursor, limit)
    return csv_answer(rows, columns, "rules.csv")
