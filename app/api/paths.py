"""Ids in paths, slashes and all.

A server decodes `%2F` before it splits a path, so an id with a slash would name another route. The
middleware puts a control character (which no id may hold) in its place; the path's type turns it back.
"""

from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

from fastapi import Path
from pydantic import BeforeValidator
from starlette.types import ASGIApp, Receive, Scope, Send

from app.schemas.fields import Id, UserRef

_SLASH = "\x1f"
_OTHER_CONTROL = "\x1e"


class EncodedSlashes:
    """Middleware: keeps encoded slashes apart from those that separate the path's parts."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw = scope.get("raw_path") or b""
            if b"%" in raw:
                parts = raw.split(b"?", 1)[0].split(b"/")
                scope = dict(scope, path="/".join(_part(part) for part in parts))
            elif _SLASH in scope["path"]:
                scope = dict(scope, path=scope["path"].replace(_SLASH, _OTHER_CONTROL))
        await self.app(scope, receive, send)


def _part(encoded: bytes) -> str:
    try:
        decoded = unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        return _OTHER_CONTROL  # not an id, and so refused where one is expected
    return decoded.replace(_SLASH, _OTHER_CONTROL).replace("/", _SLASH)


def _restore(value: str) -> str:
    return value.replace(_SLASH, "/")


def _id(whose: str) -> Any:
    return Path(description=f"The shop's id of the {whose}, percent-encoded")


def name_of(what: str) -> Any:
    """Path parameter with a name that Vitrine itself gave."""
    return Path(description=what, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")


UserId = Annotated[UserRef, BeforeValidator(_restore), _id("user")]
OtherId = Annotated[UserRef, BeforeValidator(_restore), _id("other user")]
ItemId = Annotated[Id, BeforeValidator(_restore), _id("item")]
SessionId = Annotated[Id, BeforeValidator(_restore), _id("session")]
