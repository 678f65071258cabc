"""Leases: who may work, until when, and under which fence."""

from sqlalchemy import Connection, select, text, update

from app.db.tables import leases

_TAKE = text(
    """
    INSERT INTO leases (name, holder, fence, until) VALUES (:name, :holder, 1, :until)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, fence = leases.fence + 1,
        until = excluded.until
    WHERE leases.until < :now
    RETURNING fence
    """
)


def take_lease(connection: Connection, name: str, holder: str, now: int, until: int) -> int | None:
    """Take a lease that nobody holds; answer the fence, or None while somebody does."""
    return connection.execute(
        _TAKE, {"name": name, "holder": holder, "now": now, "until": until}
    ).scalar_one_or_none()


def renew_lease(connection: Connection, name: str, fence: int, until: int) -> bool:
    """Hold a lease for longer; False if it has passed to somebody else."""
    statement = update(leases).where(leases.c.name == name, leases.c.fence == fence).values(until=until)
    return connection.execute(statement).rowcount == 1


def release_lease(connection: Connection, name: str, fence: int) -> None:
    """Give a lease back, if it is still held; the fence stays."""
    connection.execute(update(leases).where(leases.c.name == name, leases.c.fence == fence).values(until=0))


def holds_lease(connection: Connection, name: str, fence: int) -> bool:
    """Whether the lease is held under this fence; keeps it so until the transaction ends."""
    statement = select(leases.c.fence).where(leases.c.name == name).with_for_update()
    return connection.execute(statement).scalar_one_or_none() == fence


def lease_holder(connection: Connection, name: str, now: int) -> str | None:
    """Who holds the lease now."""
    statement = select(leases.c.holder).where(leases.c.name == name, leases.c.until >= now)
    return connection.execute(statement).scalar_one_or_none()
