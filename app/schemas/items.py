"""Wire types of items."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from app.schemas.fields import MAX_BATCH, Answer, Attributes, Currency, Id, Instant, Money, Wire, bounded

Availability = Literal["in_stock", "out_of_stock", "preorder", "backorder"]
Title = Annotated[str, bounded(2_000)]
Label = Annotated[str, bounded(500)]
Url = Annotated[str, bounded(4_000)]
Description = Annotated[str, bounded(50_000)]
Categories = Annotated[list[Label], Field(max_length=100)]
Tags = Annotated[list[Annotated[str, bounded(200)]], Field(max_length=200)]


class ItemFields(Wire):
    """What a shop says of an item."""

    title: Title | None = None
    description: Description | None = None
    categories: Categories = Field(default=[], description='Paths such as "Shoes > Running"')
    brand: Label | None = None
    price: Money | None = None
    cost: Money | None = None
    currency: Currency | None = None
    tags: Tags = []
    image_url: Url | None = None
    url: Url | None = None
    availability: Availability = "in_stock"
    available_from: Instant | None = Field(None, description="Not recommended before this time")
    expires_at: Instant | None = Field(None, description="Not recommended from this time on")
    group_id: Id | None = Field(None, description="Same for the variants of one product")
    attributes: Attributes = {}

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.available_from and self.expires_at and self.expires_at <= self.available_from:
            raise PydanticCustomError(
                "expires_too_early", "expires_at must come after available_from", {"field": "expires_at"}
            )
        return self


class ItemEntry(ItemFields):
    """An item of a batch or a stream."""

    item_id: Id


class ItemBatch(Wire):
    items: list[ItemEntry] = Field(max_length=MAX_BATCH)


class ItemPatch(Wire):
    """Changes of an item: what is given replaces the old, null clears it; `attributes` is merged."""

    title: Title | None = None
    description: Description | None = None
    categories: Categories | None = None
    brand: Label | None = None
    price: Money | None = None
    cost: Money | None = None
    currency: Currency | None = None
    tags: Tags | None = None
    image_url: Url | None = None
    url: Url | None = None
    availability: Availability | None = None
    available_from: Instant | None = None
    expires_at: Instant | None = None
    group_id: Id | None = None
    attributes: Attributes | None = None


class Item(Answer):
    item_id: str
    title: str | None
    description: str | None
    categories: list[str]
    brand: str | None
    price: float | None
    cost: float | None
    currency: str | None
    tags: list[str]
    image_url: str | None
    url: str | None
    availability: Availability
    available_from: str | None
    expires_at: str | None
    group_id: str | None
    attributes: dict[str, Any]
    created_at: str
    updated_at: str


class ItemPage(Answer):
    items: list[Item]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null: the end")
