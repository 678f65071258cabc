"""Wire types of API keys."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from app.schemas.fields import Answer, Instant, Name, Wire

Scope = Literal["track", "ingest", "query", "admin"]


class KeyRequest(Wire):
    name: Name = Field(description="For people: where the key is used")
    scopes: list[Scope] = Field(min_length=1, max_length=4)
    expires_at: Instant | None = None


class RotationRequest(Wire):
    """How long the key that is replaced stays valid."""

    overlap_seconds: Annotated[int, Field(ge=0, le=90 * 86_400, strict=True)] = Field(
        86_400, description="From now on; 0: it ends at once"
    )
    expires_at: Instant | None = Field(None, description="A moment instead of `overlap_seconds`")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.expires_at is not None and "overlap_seconds" in self.model_fields_set:
            raise PydanticCustomError(
                "one_of_both", "Give overlap_seconds or expires_at", {"field": "expires_at"}
            )
        return self


class Key(Answer):
    key_id: str
    name: str
    scopes: list[Scope]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    successor: str | None = Field(description="Id of the key that takes its place, once it was rotated")


class NewKey(Key):
    key: str = Field(description="The secret; shown this once")


class RotatedKey(NewKey):
    replaces: Key = Field(description="The key that was rotated, with its end")


class KeyList(Answer):
    keys: list[Key]
