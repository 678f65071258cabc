"""Pseudonyms of users: what is stored in place of the shop's ids where a key is set."""

import hmac
import re
from base64 import urlsafe_b64encode
from contextvars import ContextVar
from typing import Final

PREFIX: Final = "p1_"
_PSEUDONYM = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
_KEY: ContextVar[str | None] = ContextVar("pseudonym_key", default=None)


def pseudonym_of(key: str, user_id: str) -> str:
    """`p1_` and HMAC-SHA256 of the id under the key, base64url unpadded; a pseudonym stays as it is."""
    if _PSEUDONYM.fullmatch(user_id):
        return user_id
    digest = hmac.digest(key.encode(), user_id.encode(), "sha256")
    return PREFIX + urlsafe_b64encode(digest).decode().rstrip("=")


def as_stored(user_id: str) -> str:
    """An id that came in, as it goes on: the pseudonym where a key is in use, else itself."""
    key = _KEY.get()
    return user_id if key is None else pseudonym_of(key, user_id)


def use_key(key: str | None) -> None:
    """Use a key in this context (a request, a command) and what it calls."""
    _KEY.set(key)
