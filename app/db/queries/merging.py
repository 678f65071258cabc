"""Whose anonymous sessions are: given to a user, with all that happened in them."""

from collections.abc import Collection

import orjson
from sqlalchemy import Connection, insert, select, update

from app.db.bulk import is_sqlite
from app.db.tables import interactions, session_owners, sessions, users


def owners_of_sessions(connection: Connection, session_keys: Collection[int]) -> dict[int, int]:
    """Keys of the users to whom sessions belong, by session; they stay so until the transaction ends."""
    if not session_keys:
        return {}
    wanted = sorted(session_keys)
    query = "SELECT session_id, user_id FROM session_owners WHERE session_id"
    if is_sqlite(connection):
        given = orjson.dumps(wanted).decode()
        found = connection.exec_driver_sql(f"{query} IN (SELECT value FROM json_each(?))", (given,))
    else:
        # Who gives a session away holds its row: what is read after that, in a statement of its own, is
        # what was decided, and it is not decided anew before the events that follow are there.
        connection.exec_driver_sql("SELECT id FROM sessions WHERE id = ANY(%s) FOR KEY SHARE", (wanted,))
        found = connection.exec_driver_sql(f"{query} = ANY(%s)", (wanted,))
    return {row.session_id: row.user_id for row in found}


def hold_user(connection: Connection, user: int) -> bool:
    """Keep a user from being erased until the transaction ends; whether it is there."""
    held = select(users.c.id).where(users.c.id == user).with_for_update(read=True, key_share=True)
    return connection.execute(held).first() is not None


def lock_session(connection: Connection, session: int) -> bool:
    """Keep events of a session from being stored until the transaction ends; whether it is there."""
    locked = select(sessions.c.id).where(sessions.c.id == session).with_for_update()
    return connection.execute(locked).first() is not None


def owner_of(connection: Connection, session: int) -> int | None:
    """Key of the user to whom a session belongs."""
    owner: int | None = connection.execute(
        select(session_owners.c.user_id).where(session_owners.c.session_id == session)
    ).scalar_one_or_none()
    return owner


def users_in_session(connection: Connection, session: int) -> set[int | None]:
    """Keys of the users whom the events of a session name; None is among them if some name nobody."""
    named = select(interactions.c.user_id).where(interactions.c.session_id == session)
    return set(connection.execute(named.distinct()).scalars())


def give_session(connection: Connection, session: int, user: int) -> None:
    """Note whose a session is that is nobody's yet."""
    connection.execute(insert(session_owners).values(session_id=session, user_id=user))


def give_events(connection: Connection, session: int, user: int) -> int:
    """Make the events of a session that name no user a user's; how many these were."""
    anonymous = (interactions.c.session_id == session) & interactions.c.user_id.is_(None)
    return connection.execute(update(interactions).where(anonymous).values(user_id=user)).rowcount
