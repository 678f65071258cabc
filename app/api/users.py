"""HTTP of users and their relations."""

from fastapi import APIRouter, Depends, Request, Response

from app.api.audit import write_recorded
from app.api.auth import scope
from app.api.batches import BATCH_PROBLEMS, post_batch
from app.api.edge import Cursor, EdgeDep, Limit, answer, body_of, read_body
from app.api.paths import OtherId, UserId
from app.api.privacy import ErasureDays
from app.api.problems import problems
from app.schemas.fields import BatchResult
from app.schemas.interactions import InteractionPage
from app.schemas.parsing import parse_body
from app.schemas.privacy import Erasure
from app.schemas.users import (
    Relation,
    RelationFields,
    RelationPage,
    User,
    UserBatch,
    UserFields,
    UserPage,
    UserPatch,
)
from app.services import interactions, privacy, users
from app.services.batches import USERS

router = APIRouter(prefix="/v1/users", tags=["Ingest"])
writes = [Depends(scope("ingest"))]
reads = [Depends(scope("query", "ingest"))]
_EXAMPLE = {"attributes": {"country": "PT", "newsletter": True}, "created_at": "2025-03-01T10:00:00Z"}


@router.get("", response_model=UserPage, responses=problems(), dependencies=reads)
async def list_users(edge: EdgeDep, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """Users, in the order in which they were first seen."""
    return answer(await edge.read(users.list_users, cursor, limit))


@router.post(
    "/batch",
    response_model=BatchResult,
    responses=BATCH_PROBLEMS,
    dependencies=writes,
    openapi_extra=body_of(UserBatch, {"users": [{"user_id": "ana", **_EXAMPLE}, {"user_id": "bo"}]}),
)
async def post_users(request: Request, edge: EdgeDep) -> Response:
    """Create or replace up to 10,000 users in one transaction; bad entries are named, good ones stored."""
    return await post_batch(request, edge, USERS, UserBatch)


@router.put(
    "/{user_id}",
    response_model=User,
    responses=problems(400, 413),
    dependencies=writes,
    openapi_extra=body_of(UserFields, _EXAMPLE),
)
async def put_user(user_id: UserId, request: Request, edge: EdgeDep) -> Response:
    """Create a user, or replace all that is known of it."""
    fields = parse_body(UserFields, await read_body(request))
    return answer(await edge.write(users.put_user, user_id, fields))


@router.patch(
    "/{user_id}",
    response_model=User,
    responses=problems(400, 404, 413),
    dependencies=writes,
    openapi_extra=body_of(UserPatch, {"attributes": {"newsletter": None, "vip": True}}),
)
async def patch_user(user_id: UserId, request: Request, edge: EdgeDep) -> Response:
    """Change a user: attributes are merged, null removes one."""
    patch = parse_body(UserPatch, await read_body(request))
    return answer(await edge.write(users.patch_user, user_id, patch))


@router.get("/{user_id}", response_model=User, responses=problems(404), dependencies=reads)
async def get_user(user_id: UserId, edge: EdgeDep) -> Response:
    """One user."""
    return answer(await edge.read(users.get_user, user_id))


@router.delete("/{user_id}", response_model=Erasure, responses=problems(404), dependencies=writes)
async def erase_user(user_id: UserId, request: Request, days: ErasureDays) -> Response:
    """Erase the person: the user, its interactions, sessions, relations, corrections and what it was shown.

    No answer of any worker knows of the person from then on. The answer is a receipt: it names the model
    versions that learned from the person, and by when they are replaced and deleted.
    """
    return answer(
        await write_recorded(request, "user.erased", privacy.receipt_of, privacy.erase_user, user_id, days)
    )


@router.get(
    "/{user_id}/interactions", response_model=InteractionPage, responses=problems(404), dependencies=reads
)
async def list_user_interactions(
    user_id: UserId, edge: EdgeDep, cursor: Cursor = None, limit: Limit = 100
) -> Response:
    """A user's interactions, newest first."""
    return answer(await edge.read(interactions.list_of_user, user_id, cursor, limit))


@router.get("/{user_id}/relations", response_model=RelationPage, responses=problems(404), dependencies=reads)
async def list_relations(
    user_id: UserId, edge: EdgeDep, cursor: Cursor = None, limit: Limit = 100
) -> Response:
    """A user's social ties."""
    return answer(await edge.read(users.list_relations, user_id, cursor, limit))


@router.put(
    "/{user_id}/relations/{other_id}",
    response_model=Relation,
    responses=problems(400, 413),
    dependencies=writes,
    openapi_extra=body_of(RelationFields, {"kind": "friend", "weight": 1.0}),
)
async def put_relation(user_id: UserId, other_id: OtherId, request: Request, edge: EdgeDep) -> Response:
    """Write a social tie from one user to another; both are created where unknown."""
    fields = parse_body(RelationFields, await read_body(request))
    return answer(await edge.write(users.put_relation, user_id, other_id, fields))


@router.delete(
    "/{user_id}/relations/{other_id}", status_code=204, responses=problems(404), dependencies=writes
)
async def delete_relation(user_id: UserId, other_id: OtherId, edge: EdgeDep) -> Response:
    """Remove a social tie."""
    await edge.write(users.delete_relation, user_id, other_id)
    return Response(status_code=204)
