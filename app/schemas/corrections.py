"""Wire types of corrections of taste."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from app.schemas.fields import Answer, Id, Wire, bounded
from app.schemas.interactions import Event

Kind = Literal["gift", "not_interested", "not_me"]
Note = Annotated[str, bounded(1_000)]


class CorrectionFields(Wire):
    """Which of a user's events say nothing of its taste: those that have all that is given, and why."""

    kind: Kind = Field(
        description="`gift`: for somebody else; `not_me`: by somebody else; `not_interested`: do not show it"
    )
    event_id: Id | None = Field(None, description="One event, by its `event_id` as it was answered")
    item_id: Id | None = Field(None, description="The user's events with this item until now")
    event: Event | None = Field(None, description="Only events of this name")
    note: Note | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.event_id is None and self.item_id is None:
            raise PydanticCustomError(
                "missing", "A correction needs event_id or item_id", {"field": "item_id"}
            )
        return self


class Correction(Answer):
    correction_id: str
    user_id: str
    kind: Kind
    item_id: str
    event: str | None
    event_id: str | None
    note: str | None
    interactions: int = Field(description="Events that it takes out of taste")
    created_at: str


class CorrectionPage(Answer):
    corrections: list[Correction]
    next_cursor: str | None
