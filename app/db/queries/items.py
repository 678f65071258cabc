"""Items: one, many, and the columns that serving keeps in memory."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, and_, or_, select, update

from app.db.bulk import insert_rows
from app.db.queries.revisions import hold_revision, next_revision
from app.db.rows import AnyRow
from app.db.tables import items

FIELDS = (
    "title",
    "description",
    "categories",
    "brand",
    "price",
    "cost",
    "currency",
    "tags",
    "image_url",
    "url",
    "availability",
    "available_from",
    "expires_at",
    "group_id",
    "attributes",
)
"""What a shop says of an item, in the order of the rows that `upsert_items` takes."""

_WRITTEN = ("external_id", *FIELDS, "created_at", "updated_at", "revision")
_ON_CONFLICT = "(external_id) DO UPDATE SET deleted_at = NULL, " + ", ".join(
    f"{name} = excluded.{name}" for name in (*FIELDS, "updated_at", "revision")
)
_AT_ONCE = 5_000
"""Rows that are read in one statement."""
_HIGHEST = 2**63 - 1
_SERVED = (
    items.c.id,
    items.c.external_id,
    items.c.categories,
    items.c.availability,
    items.c.available_from,
    items.c.expires_at,
    items.c.deleted_at,
    items.c.created_at,
    items.c.revision,
)


def upsert_items(connection: Connection, rows: list[tuple[Any, ...]], now: int) -> None:
    """Write items as `(external_id, *FIELDS)` with JSON fields as text; the last of an id wins."""
    latest = {row[0]: row for row in rows}
    if not latest:
        return
    revision = next_revision(connection, "items")
    written = [(*latest[name], now, now, revision) for name in sorted(latest)]
    insert_rows(connection, items, _WRITTEN, written, _ON_CONFLICT)


def changed_keys(connection: Connection, since: int) -> list[int]:
    """Keys of the items that have changed after a revision."""
    return list(connection.execute(select(items.c.id).where(items.c.revision > since)).scalars())


def deleted_keys(connection: Connection) -> list[int]:
    """Keys of deleted items, whose rows are kept as evidence."""
    return list(connection.execute(select(items.c.id).where(items.c.deleted_at.is_not(None))).scalars())


def find_item(connection: Connection, external_id: str) -> AnyRow | None:
    """One item's row, unless it was deleted."""
    return connection.execute(
        select(items).where(items.c.external_id == external_id, items.c.deleted_at.is_(None))
    ).first()


def lock_item(connection: Connection, external_id: str) -> AnyRow | None:
    """One item's row (unless deleted), kept from other writers until the transaction ends."""
    hold_revision(connection, "items")
    return connection.execute(
        select(items)
        .where(items.c.external_id == external_id, items.c.deleted_at.is_(None))
        .with_for_update()
    ).first()


def update_item(connection: Connection, key: int, values: dict[str, Any]) -> None:
    """Set columns of one item."""
    changed = values | {"revision": next_revision(connection, "items")}
    connection.execute(update(items).where(items.c.id == key).values(changed))


def list_items(connection: Connection, after: int, limit: int) -> list[AnyRow]:
    """Items in order of their keys, beginning after a key."""
    return list(
        connection.execute(
            select(items)
            .where(items.c.id > after, items.c.deleted_at.is_(None))
            .order_by(items.c.id)
            .limit(limit)
        )
    )


def items_by_key(connection: Connection, keys: list[int]) -> dict[int, AnyRow]:
    """Whole rows of the given items."""
    return {row.id: row for row in connection.execute(select(items).where(items.c.id.in_(keys)))}


def served_columns(connection: Connection, after_revision: int) -> Iterator[Sequence[AnyRow]]:
    """What serving keeps of each item changed since a revision, deleted ones included, as they changed.

    In parts, none of them empty, each item once in a part. What changes while they are read comes again at
    the end, for revisions commit in order.
    """
    revision, key = after_revision, _HIGHEST
    while True:
        beyond = or_(items.c.revision > revision, and_(items.c.revision == revision, items.c.id > key))
        statement = (
            select(*_SERVED)
            .where(items.c.revision >= revision, beyond)
            .order_by(items.c.revision, items.c.id)
            .limit(_AT_ONCE)
        )
        rows = connection.execute(statement).all()
        if rows:
            yield rows
        if len(rows) < _AT_ONCE:
            return
        revision, key = rows[-1].revision, rows[-1].id


def changed_fields(connection: Connection, names: list[str], after_revision: int) -> Iterator[AnyRow]:
    """Key and some columns of each item changed since a revision, but for deleted ones."""
    chosen = (items.c.id, *(items.c[name] for name in names))
    statement = select(*chosen).where(items.c.revision > after_revision, items.c.deleted_at.is_(None))
    yield from connection.execute(statement)
