"""HTTP of the audit log, and how the other handlers write to it."""

from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from fastapi import APIRouter, Depends, Request, Response

from app.api.auth import access_of, scope
from app.api.edge import Cursor, EdgeDep, Limit, answer, get_edge
from app.api.problems import problems
from app.core.errors import AppError
from app.schemas.audit import AuditPage
from app.services.audit import Deed, do_recorded, list_entries, record_refusal

Result = TypeVar("Result")
router = APIRouter(prefix="/v1/audit-log", tags=["Run"], dependencies=[Depends(scope("admin"))])


async def write_recorded(
    request: Request,
    action: str,
    target: str | Callable[[Any], str],
    function: Callable[..., Result],
    *args: Any,
) -> Result:
    """As `Edge.write`, with an entry in the audit log in the same transaction.

    `target` is what it is done to, without secrets and without personal data, or how the result tells it.
    A refusal is written down too.
    """
    edge = get_edge(request)
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    deed = Deed(access_of(request).actor, action, target, request_id)
    try:
        return await edge.write(do_recorded, deed, function, *args)
    except AppError as error:
        if error.status < 500:
            await edge.write(record_refusal, deed, error)
        raise


@router.get("", response_model=AuditPage, responses=problems())
async def list_audit_log(edge: EdgeDep, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """Who did what to the service, newest first: keys, trainings, models, rules, erasures."""
    return answer(await edge.read(list_entries, cursor, limit))
