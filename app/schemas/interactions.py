"""Wire types of interactions and orders."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from app.core.clock import now_ms
from app.core.events import ALIASES, DEFAULT_WEIGHTS, ITEMLESS, canonical
from app.schemas.fields import (
    MAX_BATCH,
    Answer,
    Attributes,
    Currency,
    Id,
    Instant,
    Money,
    Number,
    Quantity,
    UserRef,
    Wire,
)

MAX_CLOCK_SKEW_MS = 86_400_000


def _event(name: str) -> str:
    stored = canonical(name)
    if stored is None:
        raise PydanticCustomError(
            "unknown_event",
            "'{name}' is not an event: give one of {known}, an accepted spelling of it, "
            "or a name of your own from a-z, 0-9 and _",
            {"name": name[:80], "known": ", ".join(DEFAULT_WEIGHTS)},
        )
    return stored


def _happened(milliseconds: int) -> int:
    if milliseconds < 0:
        raise PydanticCustomError("date_out_of_range", "occurred_at lies before 1970")
    if milliseconds > now_ms() + MAX_CLOCK_SKEW_MS:
        raise PydanticCustomError("date_out_of_range", "occurred_at lies more than a day in the future")
    return milliseconds


Event = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64, strict=True),
    AfterValidator(_event),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": [*DEFAULT_WEIGHTS, *ALIASES]},
                {"type": "string", "pattern": "^[a-z0-9_]{1,64}$", "description": "A name of the shop's own"},
            ]
        }
    ),
]
OccurredAt = Annotated[Instant, AfterValidator(_happened)]


class Interaction(Wire):
    """One event of one user or anonymous session on one item."""

    user_id: UserRef | None = None
    session_id: Id | None = None
    item_id: Id | None = Field(None, description="Needed by all events that are about an item")
    event: Event = Field(description="A GA4 name such as view_item, or an accepted spelling of it")
    value: Number | None = Field(None, description="The rating, for event `rate`")
    quantity: Quantity | None = None
    price: Money | None = Field(None, description="Price of one unit")
    currency: Currency | None = None
    order_id: Id | None = None
    occurred_at: OccurredAt | None = Field(None, description="Default: the time of receipt")
    event_id: Id | None = Field(None, description="Idempotency key: an event is stored once")
    recommendation_id: Id | None = Field(None, description="The answer that led to this event")
    context: Attributes | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.user_id is None and self.session_id is None:
            raise PydanticCustomError(
                "missing", "An interaction needs user_id or session_id", {"field": "user_id"}
            )
        if self.item_id is None and self.event in DEFAULT_WEIGHTS and self.event not in ITEMLESS:
            raise PydanticCustomError(
                "missing", "Event '{event}' needs item_id", {"event": self.event, "field": "item_id"}
            )
        if self.value is None and self.event == "rate":
            raise PydanticCustomError("missing", "Event 'rate' needs value", {"field": "value"})
        return self


class InteractionBatch(Wire):
    interactions: list[Interaction] = Field(max_length=MAX_BATCH)


class InteractionResult(Answer):
    event_id: str
    status: Literal["accepted", "duplicate"]
    warnings: list[str] = []


class OrderLine(Wire):
    item_id: Id
    quantity: Quantity = 1.0
    price: Money | None = Field(None, description="Price of one unit")


class Order(Wire):
    """A purchase of several items at once."""

    order_id: Id
    user_id: UserRef | None = None
    session_id: Id | None = None
    items: list[OrderLine] = Field(min_length=1, max_length=1_000)
    currency: Currency | None = None
    occurred_at: OccurredAt | None = Field(None, description="Default: the time of receipt")
    recommendation_id: Id | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.user_id is None and self.session_id is None:
            raise PydanticCustomError("missing", "An order needs user_id or session_id", {"field": "user_id"})
        return self


class OrderResult(Answer):
    order_id: str
    status: Literal["accepted", "duplicate"]
    lines: int = Field(description="Purchases stored; 0 for a duplicate")


class StoredInteraction(Answer):
    event_id: str
    session_id: str | None
    item_id: str | None
    event: str
    value: float | None
    quantity: float | None
    price: float | None
    currency: str | None
    order_id: str | None
    recommendation_id: str | None
    context: dict[str, Any] | None
    occurred_at: str


class InteractionPage(Answer):
    interactions: list[StoredInteraction]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null: the end")
