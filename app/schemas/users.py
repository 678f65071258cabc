"""Wire types of users and their relations."""

from typing import Annotated, Any

from pydantic import Field

from app.schemas.fields import MAX_BATCH, Answer, Attributes, Instant, Name, UserRef, Wire


class UserFields(Wire):
    """What a shop says of a user."""

    attributes: Attributes = {}
    created_at: Instant | None = Field(None, description="When the customer joined; default: first seen")


class UserEntry(UserFields):
    """A user of a batch or a stream."""

    user_id: UserRef


class UserBatch(Wire):
    users: list[UserEntry] = Field(max_length=MAX_BATCH)


class UserPatch(Wire):
    """Changes of a user: `attributes` is merged (RFC 7396: null removes an attribute)."""

    attributes: Attributes | None = None
    created_at: Instant | None = None


class User(Answer):
    user_id: str
    attributes: dict[str, Any]
    created_at: str
    updated_at: str


class UserPage(Answer):
    users: list[User]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null: the end")


class RelationFields(Wire):
    """A social tie."""

    kind: Name = Field("friend", description="friend, follows, family … in the shop's own words")
    weight: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False, strict=True)] = 1.0


class Relation(Answer):
    user_id: str
    other_id: str
    kind: str
    weight: float
    updated_at: str


class RelationPage(Answer):
    relations: list[Relation]
    next_cursor: str | None
