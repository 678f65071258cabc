"""HTTP of a person's rights: erased sessions, receipts, and all that is held."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse

from app.api.audit import write_recorded
from app.api.auth import scope
from app.api.edge import Cursor, Edge, EdgeDep, Limit, LiveDep, answer
from app.api.paths import SessionId, UserId, name_of
from app.api.problems import problems
from app.schemas.privacy import PersonalData, Receipt, ReceiptPage, SessionErasure
from app.services import personal_data, privacy
from app.services.personal_data import LISTS, Person, Place

router = APIRouter(prefix="/v1", tags=["Privacy"])
admin = [Depends(scope("admin"))]


async def _erasure_days(request: Request) -> float:
    days: float = request.app.state.erasure_days
    return days


ErasureDays = Annotated[float, Depends(_erasure_days)]
ReceiptId = Annotated[str, name_of("As the erasure answered it")]


@router.delete(
    "/sessions/{session_id}",
    response_model=SessionErasure,
    responses=problems(404, 409),
    dependencies=[Depends(scope("ingest"))],
)
async def erase_session(session_id: SessionId, request: Request, days: ErasureDays) -> Response:
    """Erase what an anonymous visitor did in a session; the answer is a receipt.

    Events of it that name a user stay the user's; a session that became a user's own goes with the user.
    """
    erase, target = privacy.erase_session, privacy.receipt_of
    return answer(await write_recorded(request, "session.erased", target, erase, session_id, days))


@router.get(
    "/users/{user_id}/export", response_model=PersonalData, responses=problems(404), dependencies=admin
)
async def export_user(user_id: UserId, edge: EdgeDep, live: LiveDep) -> Response:
    """All that is held of a person, as one JSON document; a long history is sent as it is read."""
    person, beginning = await edge.scan(personal_data.begin, live, user_id)
    return StreamingResponse(
        _document(edge, person, beginning),
        media_type="application/json",
        headers={"Content-Disposition": 'attachment; filename="personal-data.json"'},
    )


async def _document(edge: Edge, person: Person, beginning: dict[str, Any]) -> AsyncIterator[bytes]:
    yield orjson.dumps(beginning)[:-1]
    for name, read in LISTS.items():
        yield b',"%s":[' % name.encode()
        comma = b""
        after: Place = None
        while True:
            part = await edge.scan(read, person, after)
            if part.entries:
                yield comma + orjson.dumps(part.entries)[1:-1]
                comma = b","
            after = part.after
            if after is None:
                break
        yield b"]"
    yield b"}"


@router.get("/privacy/receipts", response_model=ReceiptPage, responses=problems(), dependencies=admin)
async def list_receipts(edge: EdgeDep, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """Receipts of all erasures, newest first."""
    return answer(await edge.read(privacy.list_receipts, cursor, limit))


@router.get(
    "/privacy/receipts/{receipt_id}", response_model=Receipt, responses=problems(404), dependencies=admin
)
async def get_receipt(receipt_id: ReceiptId, edge: EdgeDep) -> Response:
    """What was removed, and which model versions that learned from it are there until when."""
    return answer(await edge.read(privacy.get_receipt, receipt_id))
