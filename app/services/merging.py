"""Anonymous visitors who log in: what happened in their session becomes theirs, at once and from then on."""

from typing import Any

from sqlalchemy import Connection

from app.core.clock import now_ms
from app.core.errors import Conflict
from app.db.queries import identities, merging


def merge_session(connection: Connection, user_id: str, session_id: str) -> dict[str, Any]:
    """Make a session the user's, with its events that name nobody; both are created where unknown.

    Raises Conflict if the session belongs to somebody else: it was merged into another user, or nobody's
    yet and events in it name another one.
    """
    user = identities.user_keys(connection, [user_id], now_ms())[user_id]
    # Until it is decided whose the session is, no events of it are stored.
    session = identities.session_keys(connection, [session_id], "FOR UPDATE")[session_id]
    owner = merging.owner_of(connection, session)
    named = merging.users_in_session(connection, session)
    others = named - {user, None} if owner is None else {owner} - {user}
    if others:
        raise Conflict(
            f"Session '{session_id}' belongs to another user. Begin a new session when somebody logs out."
        )
    if owner is None:
        merging.give_session(connection, session, user)
    return {
        "user_id": user_id,
        "session_id": session_id,
        "merged": merging.give_events(connection, session, user),
        "warnings": [] if named else [f"Session '{session_id}' has no events yet; those to come will count."],
    }
