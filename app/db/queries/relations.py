"""Social ties between users."""

from sqlalchemy import BigInteger, Connection, Integer, bindparam, case, delete, or_, select

from app.db.bulk import insert_rows
from app.db.prepared import Prepared
from app.db.rows import AnyRow
from app.db.tables import relations, users


def upsert_relation(
    connection: Connection, user: int, other: int, kind: str, weight: float, now: int
) -> None:
    """Write the tie from one user to another."""
    insert_rows(
        connection,
        relations,
        ("user_id", "other_id", "kind", "weight", "updated_at"),
        [(user, other, kind, weight, now)],
        "(user_id, other_id) DO UPDATE SET kind = excluded.kind, weight = excluded.weight, "
        "updated_at = excluded.updated_at",
    )


def delete_relation(connection: Connection, user: int, other: int) -> bool:
    """Remove a tie; whether there was one."""
    gone = delete(relations).where(relations.c.user_id == user, relations.c.other_id == other)
    return connection.execute(gone).rowcount > 0


def ties_of(connection: Connection, user: int, limit: int) -> list[tuple[int, float]]:
    """The other's key and the weight of each tie that a user or the other has named, the strongest first."""
    found = _TIES.rows(connection, user=user, most=limit)
    return [(int(key), float(weight)) for key, weight in found]


def _ties() -> Prepared:
    user = bindparam("user", type_=BigInteger)
    other = case((relations.c.user_id == user, relations.c.other_id), else_=relations.c.user_id)
    return Prepared(
        select(other, relations.c.weight)
        .where(or_(relations.c.user_id == user, relations.c.other_id == user))
        .order_by(relations.c.weight.desc(), other)
        .limit(bindparam("most", type_=Integer))
    )


_TIES = _ties()


def list_relations(connection: Connection, user: int, after: int, limit: int) -> list[AnyRow]:
    """A user's ties in order of the other's key."""
    return list(
        connection.execute(
            select(relations, users.c.external_id)
            .join(users, users.c.id == relations.c.other_id)
            .where(relations.c.user_id == user, relations.c.other_id > after)
            .order_by(relations.c.other_id)
            .limit(limit)
        )
    )
