"""Pseudonyms at rest are all or nothing: a database is begun with a key, or without one, and stays so."""

import hmac
from typing import Final

from app.db.queries import database_marks
from app.db.session import Database

MARK: Final = "pseudonym_key"


class WrongPseudonymKey(RuntimeError):
    """The setting does not fit the database; the message says how, in one line."""


def check_key(database: Database, key: str | None) -> None:
    """Note with which key an empty database is begun; raises WrongPseudonymKey if it was another one."""
    wanted = None if key is None else hmac.digest(key.encode(), b"vitrine:pseudonym_key", "sha256").hex()
    with database.read() as connection:
        if database_marks.find_mark(connection, MARK) == wanted:
            return
    with database.write() as connection:
        if wanted is not None and not database_marks.has_users(connection):
            database_marks.set_mark(connection, MARK, wanted)
        found = database_marks.find_mark(connection, MARK)
    if found == wanted:
        return
    if wanted is None:
        raise WrongPseudonymKey("The database holds pseudonyms: set VITRINE_PSEUDONYM_KEY to its key.")
    if found is None:
        raise WrongPseudonymKey(
            "The database holds users under their own ids: VITRINE_PSEUDONYM_KEY is for an empty database."
        )
    raise WrongPseudonymKey("The database was begun with another VITRINE_PSEUDONYM_KEY; set that one.")
