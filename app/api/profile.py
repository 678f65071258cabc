"""HTTP of the customer at a glance."""

from fastapi import APIRouter, Depends, Response

from app.api.auth import scope
from app.api.edge import EdgeDep, LiveDep, answer
from app.api.paths import UserId
from app.api.problems import problems
from app.schemas.profile import Profile
from app.services.profile import get_profile

router = APIRouter(prefix="/v1/users", tags=["Ask"], dependencies=[Depends(scope("query"))])


@router.get(
    "/{user_id}/profile", response_model=Profile, response_model_exclude_unset=True, responses=problems(404)
)
async def get_user_profile(user_id: UserId, edge: EdgeDep, live: LiveDep) -> Response:
    """The customer at a glance: attributes, totals, service contacts, RFM, segments, predictions with their
    reasons, features, recent interactions and recommendations.

    Before the first training it answers what is known without one, with a warning.
    """
    return answer(await edge.scan(get_profile, live, user_id))
