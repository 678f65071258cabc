"""HTTP of similar items and users."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from app.api.auth import scope
from app.api.edge import EdgeDep, LiveDep, answer
from app.api.paths import ItemId, UserId
from app.api.problems import problems
from app.api.recommendations import Category, N
from app.schemas.recommendations import ItemList, UserList
from app.services.similar import By, similar_items, similar_users

router = APIRouter(prefix="/v1", tags=["Ask"])


@router.get(
    "/items/{item_id}/similar",
    response_model=ItemList,
    responses=problems(404),
    dependencies=[Depends(scope("query", "track"))],
)
async def list_similar_items(
    item_id: ItemId,
    edge: EdgeDep,
    live: LiveDep,
    n: N = 10,
    by: Annotated[By, Query(description="By what people chose, by what the items are, or both")] = "hybrid",
    category: Category = None,
) -> Response:
    """Items like an item that can be bought now."""
    return answer(await edge.read(similar_items, live, item_id, by, category, n))


@router.get(
    "/users/{user_id}/similar",
    response_model=UserList,
    responses=problems(404, 409),
    dependencies=[Depends(scope("query"))],
)
async def list_similar_users(user_id: UserId, edge: EdgeDep, live: LiveDep, n: N = 10) -> Response:
    """Users with the most similar histories."""
    return answer(await edge.read(similar_users, live, user_id, n))
