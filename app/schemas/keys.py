"""Wire types of API keys."""

from typing import Literal

from pydantic import Field

from app.schemas.fields import Answer, Instant, Name, Wire

Scope = Literal["track", "ingest", "query", "admin"]


class KeyRequest(Wire):
    name: Name = Field(description="For people: where the key is used")
    scopes: list[Scope] = Field(min_length=1, max_length=4)
    expires_at: Instant | None = None


class Key(Answer):
    key_id: str
    name: str
    scopes: list[Scope]
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class NewKey(Key):
    key: str = Field(description="The secret; shown this once")


class KeyList(Answer):
    keys: list[Key]
