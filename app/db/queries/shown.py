"""Lists that were answered: a packed row for each, found again by their ids and their people."""

from collections import Counter
from collections.abc import Iterator, Sequence
from struct import pack, unpack
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, and_, delete, func, literal, or_, select

from app.db.bulk import insert_rows, keys_by_external_id
from app.db.rows import AnyRow
from app.db.tables import items, receipts, session_owners, sessions, shown_recommendations, users

_AT_ONCE = 5_000
"""Keys in one statement: engines bound the number of parameters."""
_NARROW = 2**32
"""Keys below it take four bytes, others eight."""
_COLUMNS = (
    *("recommendation_id", "after", "user_id", "session_id", "scenario", "model_version", "shown_at"),
    *("n", "sources", "item_keys", "item_sources"),
)


class ShownList(NamedTuple):
    """An answered list in the shop's own ids; items by rank, each with its source."""

    recommendation_id: str
    after: str | None
    """The list that it went on from."""
    user_id: str | None
    session_id: str | None
    """Only where no user was named."""
    scenario: str | None
    model_version: str | None
    shown_at: int
    item_ids: tuple[str, ...]
    sources: tuple[str, ...]


class Link(NamedTuple):
    """A list of a chain; `start` is the list that was asked for, `after` the next one of the chain."""

    start: str
    after: str | None
    user_id: str | None
    session_id: str | None
    item_keys: tuple[int, ...]


def insert_shown(connection: Connection, lists: Sequence[ShownList]) -> int:
    """Store lists that are not stored yet; answer how many were.

    Nobody is created: who is unknown, or came under the same id only later, is nobody. Where somebody was
    erased since a list was shown, it may have been that person's, and is not stored.
    """
    known_users = _users(connection, {each.user_id for each in lists if each.user_id is not None})
    named_sessions = sorted({each.session_id for each in lists if each.session_id is not None})
    known_sessions = keys_by_external_id(connection, sessions, named_sessions, "FOR KEY SHARE")
    keys = keys_by_external_id(
        connection, items, sorted({item_id for each in lists for item_id in each.item_ids})
    )
    latest = select(receipts.c.requested_at).order_by(receipts.c.revision.desc()).limit(1)
    erased_at = connection.execute(latest).scalar() or 0
    rows = []
    for each in lists:
        user, created_at = known_users.get(each.user_id or "", (None, 0))
        if created_at > each.shown_at:
            user = None
        session = known_sessions.get(each.session_id or "")
        unknown = (each.user_id is not None and user is None) or (
            each.session_id is not None and session is None
        )
        if unknown and each.shown_at <= erased_at:
            continue
        shown = [place for place, item_id in enumerate(each.item_ids) if item_id in keys]
        names = sorted({each.sources[place] for place in shown})
        rows.append(
            (
                each.recommendation_id,
                each.after,
                user,
                session,
                each.scenario,
                each.model_version,
                each.shown_at,
                len(shown),
                _mix_of(each.sources[place] for place in shown),
                _packed([keys[each.item_ids[place]] for place in shown]),
                bytes(names.index(each.sources[place]) for place in shown),
            )
        )
    return insert_rows(connection, shown_recommendations, _COLUMNS, rows, "(recommendation_id) DO NOTHING")


def chains(connection: Connection, starts: Sequence[str], depth: int) -> list[Link]:
    """The lists of these ids, each followed by those that it went on from, `depth` of each chain at most.

    Unknown lists are missing.
    """
    shown = shown_recommendations
    columns = (shown.c.after, shown.c.user_id, shown.c.session_id, shown.c.item_keys)
    chain = (
        select(shown.c.recommendation_id.label("start"), literal(0, Integer).label("depth"), *columns)
        .where(shown.c.recommendation_id.in_(starts))
        .cte("chain", recursive=True)
    )
    earlier = select(chain.c.start, chain.c.depth + 1, *columns).where(
        shown.c.recommendation_id == chain.c.after, chain.c.depth + 1 < depth
    )
    chain = chain.union_all(earlier)
    statement = (
        select(
            chain.c.start,
            chain.c.after,
            users.c.external_id.label("user_id"),
            sessions.c.external_id.label("session_id"),
            chain.c.item_keys,
        )
        .outerjoin(users, users.c.id == chain.c.user_id)
        .outerjoin(sessions, sessions.c.id == chain.c.session_id)
        .order_by(chain.c.start, chain.c.depth)
    )
    return [
        Link(row.start, row.after, row.user_id, row.session_id, unpacked(row.item_keys))
        for row in connection.execute(statement)
    ]


def item_ids(connection: Connection, keys: Sequence[int]) -> dict[int, str]:
    """The shop's ids of items, by key."""
    found: dict[int, str] = {}
    for first in range(0, len(keys), _AT_ONCE):
        some = select(items.c.id, items.c.external_id).where(items.c.id.in_(keys[first : first + _AT_ONCE]))
        found |= {row.id: row.external_id for row in connection.execute(some)}
    return found


def shown_of_user(connection: Connection, user_key: int, after: int, limit: int) -> list[dict[str, Any]]:
    """Lists that were shown to a person, with or without a login, in order of their keys from `after` on.

    Each has key, recommendation_id, session_id, scenario, model_version, shown_at (ms) and items, by rank,
    as `{"item_id", "source"}`.
    """
    shown = shown_recommendations
    theirs = select(session_owners.c.session_id).where(session_owners.c.user_id == user_key)
    statement = (
        select(shown, sessions.c.external_id.label("session_external_id"))
        .outerjoin(sessions, sessions.c.id == shown.c.session_id)
        .where(
            or_(shown.c.user_id == user_key, and_(shown.c.user_id.is_(None), shown.c.session_id.in_(theirs))),
            shown.c.id > after,
        )
        .order_by(shown.c.id)
        .limit(limit)
    )
    rows = connection.execute(statement).all()
    decoded = [list(sourced(row)) for row in rows]
    names = item_ids(connection, sorted({key for entries in decoded for key, _ in entries}))
    return [
        {
            "key": row.id,
            "recommendation_id": row.recommendation_id,
            "session_id": row.session_external_id,
            "scenario": row.scenario,
            "model_version": row.model_version,
            "shown_at": row.shown_at,
            "items": [{"item_id": names[key], "source": source} for key, source in entries],
        }
        for row, entries in zip(rows, decoded, strict=True)
    ]


def shown_before(connection: Connection, before: int, limit: int) -> list[AnyRow]:
    """`(id, session_id)` of at most `limit` of the lists that were shown before a time, the oldest."""
    shown = shown_recommendations
    old = select(shown.c.id, shown.c.session_id).where(shown.c.shown_at < before)
    return list(connection.execute(old.order_by(shown.c.shown_at).limit(limit)))


def delete_shown(connection: Connection, keys: list[int]) -> int:
    """Remove lists whose sessions are locked; how many went."""
    shown = shown_recommendations
    return connection.execute(delete(shown).where(shown.c.id.in_(keys))).rowcount


def oldest_shown(connection: Connection) -> int | None:
    """When the oldest list was shown, ms since the epoch; None without any."""
    oldest: int | None = connection.execute(select(func.min(shown_recommendations.c.shown_at))).scalar_one()
    return oldest


def latest_shown(connection: Connection) -> int | None:
    """When the latest list was shown, ms since the epoch; None without any."""
    latest: int | None = connection.execute(select(func.max(shown_recommendations.c.shown_at))).scalar_one()
    return latest


def owners_by_session(connection: Connection, session_ids: Sequence[str]) -> dict[str, str]:
    """The users to whom sessions belong, all in the shop's ids."""
    statement = (
        select(sessions.c.external_id, users.c.external_id)
        .select_from(session_owners)
        .join(sessions, sessions.c.id == session_owners.c.session_id)
        .join(users, users.c.id == session_owners.c.user_id)
        .where(sessions.c.external_id.in_(session_ids))
    )
    return dict(connection.execute(statement).all())


def mix(sources: str) -> dict[str, int]:
    """How many items of each source, of a row's `sources`, in their order there."""
    return {
        name: int(count) for name, _, count in (part.rpartition(" ") for part in sources.split(",") if part)
    }


def sourced(row: AnyRow) -> Iterator[tuple[int, str]]:
    """Key and source of each item, by rank, of a row with `item_keys`, `sources` and `item_sources`."""
    names = list(mix(row.sources))
    return zip(unpacked(row.item_keys), (names[place] for place in row.item_sources), strict=True)


def unpacked(packed: bytes) -> tuple[int, ...]:
    """Keys of items, by rank."""
    if not packed:
        return ()
    width, packed = packed[0], packed[1:]
    return unpack(f"<{len(packed) // width}{'I' if width == 4 else 'Q'}", packed)


def _packed(keys: list[int]) -> bytes:
    """The width of a key in bytes, then the keys."""
    narrow = max(keys, default=0) < _NARROW
    return pack(f"<B{len(keys)}{'I' if narrow else 'Q'}", 4 if narrow else 8, *keys)


def _mix_of(sources: Iterator[str]) -> str:
    return ",".join(f"{name} {count}" for name, count in sorted(Counter(sources).items()))


def _users(connection: Connection, external_ids: set[str]) -> dict[str, tuple[int | None, int]]:
    """Key and `created_at` of the users there are; none of them is erased until the transaction ends."""
    held = (
        select(users.c.external_id, users.c.id, users.c.created_at)
        .where(users.c.external_id.in_(sorted(external_ids)))
        .order_by(users.c.id)
        .with_for_update(read=True, key_share=True)
    )
    return {row.external_id: (row.id, row.created_at) for row in connection.execute(held)}
