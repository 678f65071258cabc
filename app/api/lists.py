"""HTTP of what is popular, trending and new."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from app.api.auth import scope
from app.api.edge import EdgeDep, LiveDep, answer
from app.api.problems import problems
from app.api.recommendations import Category, N
from app.schemas.recommendations import ItemList
from app.services.popular import list_latest, list_popular, list_trending

router = APIRouter(prefix="/v1", tags=["Ask"], dependencies=[Depends(scope("query", "track"))])

Window = Annotated[
    str, Query(max_length=10, description="Time before the latest event: a number and h, d or w")
]


@router.get("/popular", response_model=ItemList, responses=problems())
async def get_popular(
    edge: EdgeDep, live: LiveDep, n: N = 10, category: Category = None, window: Window = "30d"
) -> Response:
    """Items by the weight of all events on them within the window."""
    return answer(await edge.scan(list_popular, live, category, window, n))


@router.get("/trending", response_model=ItemList, responses=problems())
async def get_trending(
    edge: EdgeDep, live: LiveDep, n: N = 10, category: Category = None, window: Window = "7d"
) -> Response:
    """Items whose interest within the window lies most above that of the four windows before it.

    The score is the excess in standard deviations of a count; items without excess are not listed.
    """
    return answer(await edge.scan(list_trending, live, category, window, n))


@router.get("/latest", response_model=ItemList, responses=problems())
async def get_latest(edge: EdgeDep, live: LiveDep, n: N = 10, category: Category = None) -> Response:
    """Items by the time from which they are offered, latest first; the score is that time in ms."""
    return answer(await edge.read(list_latest, live, category, n))
