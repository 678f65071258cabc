"""HTTP of API keys."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from app.api.audit import write_recorded
from app.api.auth import scope
from app.api.edge import EdgeDep, answer, body_of, read_body
from app.api.paths import name_of
from app.api.problems import problems
from app.schemas.keys import KeyList, KeyRequest, NewKey, RotatedKey, RotationRequest
from app.schemas.parsing import parse_body
from app.services import keys

router = APIRouter(prefix="/v1/keys", tags=["Run"], dependencies=[Depends(scope("admin"))])

KeyId = Annotated[str, name_of("As `GET /v1/keys` gives it")]


@router.post(
    "",
    status_code=201,
    response_model=NewKey,
    responses=problems(400, 413),
    openapi_extra=body_of(KeyRequest, {"name": "storefront", "scopes": ["track"]}),
)
async def create_key(request: Request) -> Response:
    """Make a key; its secret is shown this once. `track` is for browsers, `admin` allows everything.

    From the first key on, no call is answered without one: make it an `admin` key.
    """
    wanted = parse_body(KeyRequest, await read_body(request))
    made = await write_recorded(request, "key.created", _key_id, keys.create_key, wanted)
    return answer(made, status=201)


@router.get("", response_model=KeyList, responses=problems())
async def list_keys(edge: EdgeDep) -> Response:
    """All keys, revoked ones included, without their secrets."""
    return answer(await edge.read(keys.list_keys))


@router.delete("/{key_id}", status_code=204, responses=problems(404))
async def revoke_key(key_id: KeyId, request: Request) -> Response:
    """Revoke a key: it is refused from the next call on, by every worker."""
    await write_recorded(request, "key.revoked", key_id, keys.revoke_key, key_id)
    return Response(status_code=204)


@router.post(
    "/{key_id}/rotate",
    status_code=201,
    response_model=RotatedKey,
    responses=problems(400, 404, 409, 413),
    openapi_extra=body_of(RotationRequest, {"overlap_seconds": 86_400}),
)
async def rotate_key(key_id: KeyId, request: Request) -> Response:
    """Make a key's successor, with its name, scopes and end; its secret is shown this once.

    The key itself stays valid for `overlap_seconds`, or until `expires_at`, so that both work while the new
    one is brought to where it is used. A key is rotated once; from then on, its successor is.
    """
    wanted = parse_body(RotationRequest, await read_body(request))
    made = await write_recorded(request, "key.rotated", key_id, keys.rotate_key, key_id, wanted)
    return answer(made, status=201)


def _key_id(made: dict[str, Any]) -> str:
    return str(made["key_id"])
