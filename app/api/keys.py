"""HTTP of API keys."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.api.auth import scope
from app.api.edge import EdgeDep, answer, body_of, read_body
from app.api.paths import name_of
from app.api.problems import problems
from app.schemas.keys import KeyList, KeyRequest, NewKey
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
async def create_key(request: Request, edge: EdgeDep) -> Response:
    """Make a key; its secret is shown this once. `track` is for browsers, `admin` allows everything.

    From the first key on, no call is answered without one: make it an `admin` key.
    """
    wanted = parse_body(KeyRequest, await read_body(request))
    return answer(await edge.write(keys.create_key, wanted), status=201)


@router.get("", response_model=KeyList, responses=problems())
async def list_keys(edge: EdgeDep) -> Response:
    """All keys, revoked ones included, without their secrets."""
    return answer(await edge.read(keys.list_keys))


@router.delete("/{key_id}", status_code=204, responses=problems(404))
async def revoke_key(key_id: KeyId, edge: EdgeDep) -> Response:
    """Revoke a key: it is refused from the next call on, by every worker."""
    await edge.write(keys.revoke_key, key_id)
    return Response(status_code=204)
