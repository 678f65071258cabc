"""HTTP of batches and of NDJSON streams."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from app.api.auth import access_of, scope, speaks_for
from app.api.edge import Edge, EdgeDep, answer, get_live, read_body, read_lines
from app.api.problems import problems
from app.core.telemetry import INGESTED
from app.schemas.fields import BatchResult
from app.schemas.parsing import Checked, LineParser, parse_batch
from app.services.batches import INTERACTIONS, ITEMS, USERS, Kind, Tally, store_checked
from app.services.tracking import track_all

router = APIRouter(prefix="/v1/import", tags=["Ingest"], dependencies=[Depends(scope("ingest"))])

BATCH_PROBLEMS = problems(400, 413)
CHUNK_LINES = 5_000
MAX_LINE_BYTES = 1_048_576


async def post_batch(request: Request, edge: Edge, kind: Kind[Any], envelope: type[BaseModel]) -> Response:
    """Store a batch in one transaction; the good entries are kept, each bad one is named."""
    checked = parse_batch(envelope, kind.entry, kind.name, await read_body(request))
    told = speaks_for(request, {getattr(entry, "user_id", None) for entry in checked.entries})
    if access_of(request).public:
        tally = await edge.write(track_all, checked, get_live(request).event_weights.keys())
    else:
        tally = await edge.write(_store, kind, checked)
    _count(kind, tally)
    if not told:  # which are new says what somebody did before
        tally.accepted, tally.duplicate = tally.accepted + tally.duplicate, 0
    return answer(tally.answer())


def _store(connection: Connection, kind: Kind[Any], checked: Checked[Any]) -> Tally:
    tally = Tally()
    store_checked(connection, kind, checked, tally)
    return tally


async def _import_stream(request: Request, edge: Edge, kind: Kind[Any]) -> Response:
    parser = LineParser(kind.entry)
    tally = Tally()
    lines: list[bytes] = []
    places: list[int] = []

    async def store() -> None:
        if lines:
            tally.add(await edge.write(_store, kind, parser.parse(lines, places)))
            lines.clear()
            places.clear()

    number = -1
    async for line in read_lines(request, MAX_LINE_BYTES):
        number += 1
        if line is None:
            tally.reject([_too_long(number)])
        elif line.strip():
            lines.append(line)
            places.append(number)
            if len(lines) == CHUNK_LINES:
                await store()
    await store()
    _count(kind, tally)
    return answer(tally.answer())


def _too_long(number: int) -> dict[str, Any]:
    detail = f"The line is longer than {MAX_LINE_BYTES:,} bytes"
    return {"index": number, "code": "line_too_long", "detail": detail, "pointer": ""}


def _count(kind: Kind[Any], tally: Tally) -> None:
    for verdict in ("accepted", "duplicate", "rejected"):
        INGESTED.labels(kind.name, verdict).inc(getattr(tally, verdict))


def _stream_of(example: str) -> dict[str, Any]:
    content = {"application/x-ndjson": {"schema": {"type": "string"}, "example": example}}
    return {"requestBody": {"content": content}}  # an empty stream is one too


_NOTE = (
    "One JSON object a line, any number of lines; stored in chunks as they arrive. Entries that were stored "
    "stay if the stream breaks off; sending it again is harmless for users, items and interactions "
    "that carry `event_id` or `occurred_at`."
)


@router.post(
    "/users",
    response_model=BatchResult,
    responses=problems(),
    description=_NOTE,
    openapi_extra=_stream_of('{"user_id": "ana"}\n{"user_id": "bo"}\n'),
)
async def import_users(request: Request, edge: EdgeDep) -> Response:
    return await _import_stream(request, edge, USERS)


@router.post(
    "/items",
    response_model=BatchResult,
    responses=problems(),
    description=_NOTE,
    openapi_extra=_stream_of('{"item_id": "mug", "title": "Blue mug", "price": 9.5}\n'),
)
async def import_items(request: Request, edge: EdgeDep) -> Response:
    return await _import_stream(request, edge, ITEMS)


@router.post(
    "/interactions",
    response_model=BatchResult,
    responses=problems(),
    description=_NOTE,
    openapi_extra=_stream_of('{"user_id": "ana", "item_id": "mug", "event": "view_item"}\n'),
)
async def import_interactions(request: Request, edge: EdgeDep) -> Response:
    return await _import_stream(request, edge, INTERACTIONS)
