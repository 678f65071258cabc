"""Model versions, as the API sees them: listed, and rolled back or forward."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import Conflict, NotFound
from app.db.queries import models
from app.db.rows import AnyRow
from app.learning.artifacts import ArtifactError
from app.services.live_model import LiveModel
from app.services.paging import decode_cursor, page


def list_models(connection: Connection, cursor: str | None, limit: int) -> dict[str, Any]:
    """A page of versions, newest first."""
    place = decode_cursor(cursor, int, str)
    before = (place[0], place[1]) if place else None
    rows = models.list_models(connection, before, limit + 1)
    found = page(rows, limit, lambda row: [row.created_at, row.version])
    return {"models": [_answer(row) for row in found.rows], "next_cursor": found.next_cursor}


def get_model(connection: Connection, version: str) -> dict[str, Any]:
    """One version; raises NotFound."""
    return _answer(_find(connection, version))


def activate_model(connection: Connection, artifacts: Path, version: str) -> dict[str, Any]:
    """Make a version the one that is served; raises NotFound, or Conflict if its artifacts cannot be used."""
    row = _find(connection, version)
    if row.pruned_at is not None:
        raise Conflict(f"The artifacts of version {version} were pruned; it cannot be served again.")
    try:
        LiveModel.open(artifacts, version)
    except (ArtifactError, OSError) as error:
        raise Conflict(f"Version {version} cannot be served: {error}") from error
    if not models.activate(connection, version, now_ms()):
        raise Conflict(f"The artifacts of version {version} were pruned; it cannot be served again.")
    return get_model(connection, version)


def _find(connection: Connection, version: str) -> AnyRow:
    row = models.find_model(connection, version)
    if row is None:
        raise NotFound(f"There is no model version '{version}'.")
    return row


def _answer(row: AnyRow) -> dict[str, Any]:
    return {
        "version": row.version,
        "active": row.active,
        "run_id": str(row.run_id),
        "created_at": rfc3339(row.created_at),
        "activated_at": None if row.activated_at is None else rfc3339(row.activated_at),
        "available": row.pruned_at is None,
        "evaluation": row.evaluation,
        "content": row.content,
    }
