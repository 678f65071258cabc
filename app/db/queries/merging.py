"""Whose anonymous sessions are: given to a user, with all that happened in them."""

from collections.abc import Collection

import orjson
from sqlalchemy import Connection, insert, select, update

from app.db.bulk import is_sqlite
from app.db.tables import interactions, session_owners


def owners_of_sessions(connection: Connection, session_keys: Collection[int]) -> dict[int, int]:
    """Keys of the users to whom sessions belong, by session.

    They stay so until the transaction ends if it holds the sessions: who gives one away holds its row.
    """
    if not session_keys:
        return {}
    wanted = sorted(session_keys)
    query = "SELECT session_id, user_id FROM session_owners WHERE session_id"
    if is_sqlite(connection):
        given = orjson.dumps(wanted).decode()
        found = connection.exec_driver_sql(f"{query} IN (SELECT value FROM json_each(?))", (given,))
    else:
        found = connection.exec_driver_sql(f"{query} = ANY(%s)", (wanted,))
    return {row.session_id: row.user_id for row in found}


def hold_owners(connection: Connection, external_ids: Collection[str]) -> None:
    """Keep the users to whom sessions belong from being erased, before the sessions are held."""
    if external_ids and not is_sqlite(connection):
        connection.exec_driver_sql(
            "SELECT users.id FROM users WHERE id IN (SELECT user_id FROM session_owners "
            "JOIN sessions ON sessions.id = session_id "
            "JOIN unnest(%s::text[]) AS given(external_id) USING (external_id)) "
            "ORDER BY users.id FOR KEY SHARE OF users",
            (sorted(external_ids),),
        )


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
