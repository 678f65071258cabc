"""Recommendations for many users, in batches: each list is the one that a request would get."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from app.core.errors import ModelNotReady, NotFound
from app.db.bulk import keys_by_external_id
from app.db.queries import exports
from app.db.session import Database
from app.db.tables import users
from app.schemas.recommendations import RecommendationRequest
from app.services.exports.table import Table
from app.services.live import Live
from app.services.recommend import recommend

COLUMNS: Final = ("user_id", "rank", "item_id", "score", "source")
_USERS_AT_ONCE: Final = 200
"""For each batch a moment of its own: a long transaction would keep the database from tidying up."""


def lists_table(database: Database, live: Live, n: int, user_ids: Sequence[str]) -> Table:
    """The best `n` items for the given users, or for all; raises ModelNotReady, NotFound."""
    if live.current is None:
        raise ModelNotReady("No model is trained yet: lists for the customers need a training run.")
    wanted = list(dict.fromkeys(user_ids))
    with database.read() as connection:
        known = keys_by_external_id(connection, users, wanted)
        missing = [name for name in wanted if name not in known]
        if missing:
            raise NotFound(f"There is no user '{missing[0]}'.")
        total = (len(wanted) or exports.count_users(connection)) * min(n, len(live.catalogue))
    batches = _given(database, wanted) if wanted else _everyone(database)

    def rows() -> Iterator[dict[str, Any]]:
        for connection, names in batches:
            for name in names:
                request = RecommendationRequest.model_construct(user_id=name, n=n)
                for entry in recommend(connection, live, request)["items"]:
                    yield {"user_id": name} | {column: entry[column] for column in COLUMNS[1:]}

    return Table(COLUMNS, rows(), total)


def _given(database: Database, wanted: list[str]) -> Iterator[tuple[Connection, list[str]]]:
    for start in range(0, len(wanted), _USERS_AT_ONCE):
        with database.snapshot() as connection:
            some = wanted[start : start + _USERS_AT_ONCE]
            known = keys_by_external_id(connection, users, some)
            yield connection, [name for name in some if name in known]


def _everyone(database: Database) -> Iterator[tuple[Connection, list[str]]]:
    after = 0
    while True:
        with database.snapshot() as connection:
            found = exports.user_ids(connection, after, _USERS_AT_ONCE)
            if not found:
                return
            yield connection, [row.external_id for row in found]
            after = found[-1].id
