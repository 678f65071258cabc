"""Ids in paths, slashes and all.

A server decodes `%2F` before it splits a path, so an id with a slash would name another route. The
middleware puts a control character (which no id may hold) in its place; the path's type turns it back.
"""

from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import Path
from pydantic import BeforeValidator
from starlette.types import ASGIApp, Receive, Scope, Send

from app.schemas.fields import Id

_SLASH = "\x1f"
_OTHER_CONTROL = "\x1e"


class EncodedSlashes:
    """Middleware: keeps encoded slashes apart from those that separate the path's parts."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw = scope.get("raw_path") or b""
            if b"%2f" in raw or b"%2F" in raw:
                parts = raw.decode("latin-1").split("?", 1)[0].split("/")
                scope = dict(scope, path="/".join(_part(part) for part in parts))
            elif _SLASH in scope["path"]:
                scope = dict(scope, path=scope["path"].replace(_SLASH, _OTHER_CONTROL))
        await self.app(scope, receive, send)


def _part(encoded: str) -> str:
    return unquote(encoded).replace(_SLASH, _OTHER_CONTROL).replace("/", _SLASH)


def _restore(value: str) -> str:
    return value.replace(_SLASH, "/")


def _id(whose: str) -> Any:
    return Path(description=f"The shop's id of the {whose}, percent-encoded")


UserId = Annotated[Id, BeforeValidator(_restore), _id("user")]
OtherId = Annotated[Id, BeforeValidator(_restore), _id("other user")]
ItemId = Annotated[Id, BeforeValidator(_restore), _id("item")]
